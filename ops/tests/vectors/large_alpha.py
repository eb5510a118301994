"""α-entmax for α > 2 in 120-digit arithmetic: weights, and gradients in the scores and in α for a given gradient.

    pip install mpmath==1.3.0 && python ops/tests/vectors/large_alpha.py ops/tests/vectors/large_alpha_vectors.json

Every number of an input is an f32, so that both types are asked the same. The threshold is bisected in 400 halvings.
Where several weights are below 1e-3 the gradients in the scores are left out: there they are of the order of p^(2−α), and an
error of the last digit of p is one of theirs.
"""

import json
import random
import struct
import sys

from mpmath import mp, mpf, log

mp.dps = 120
ALPHAS = [2.25, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 13.0, 20.0]


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def entmax(z, alpha):
    epsilon = mpf(alpha) - 1
    z = [mpf(x) for x in z]
    largest = max(z)
    low, high = largest - 1 / epsilon, largest
    weights = lambda tau: [(epsilon * (x - tau)) ** (1 / epsilon) if x > tau else mpf(0) for x in z]
    for _ in range(400):
        tau = (low + high) / 2
        if sum(weights(tau)) >= 1:
            low = tau
        else:
            high = tau
    return weights(low)


def gradients(p, alpha, g):
    """Peters et al. 2019, Proposition 2, and Correia et al. 2019, Proposition 1."""
    epsilon = mpf(alpha) - 1
    inside = [x > mpf(10) ** -40 for x in p]
    s = [x ** (1 - epsilon) if i else mpf(0) for x, i in zip(p, inside)]
    l = [log(x) if i else mpf(0) for x, i in zip(p, inside)]
    total = sum(s)
    mean = sum(x * y for x, y in zip(s, g)) / total
    h = -sum(x * y for x, y in zip(p, l))
    d_scores = [x * (y - mean) for x, y in zip(s, g)]
    d_p = [(x - y / total) / epsilon**2 - (x * z + y / total * h) / epsilon for x, y, z in zip(p, s, l)]
    return d_scores, sum(x * y for x, y in zip(d_p, g))


def rows(draw, alpha):
    width = 1 / (alpha - 1)
    yield [0.1, 0.0]
    yield [0.0, 0.0, 0.1 * width]
    yield [0.9 * width, 0.0, 0.0]
    yield [0.9 * width, 1e-9, 0.0]
    yield [0.98 * width, 0.0, -1.0, -0.5]
    yield [1.5, 1.5, 1.5, 1.5, 1.5 - 0.9 * width]
    yield [3e-8, 1e-8, 0.0, -2e-8]
    yield [100.0, 100.0 - 0.5 * width, 100.0 - 0.9 * width]
    yield [1e-30, 0.0, -3e-30]
    for n, scale in [(2, 0.5), (3, 1.0), (5, 0.3), (8, 1.0), (8, 4.0), (17, 0.5), (17, 1.0), (40, 0.2), (40, 1.0)]:
        yield [draw.gauss(0, scale * width) for _ in range(n)]


def main():
    draw = random.Random(20190902)
    sweep, lines = [], []
    for alpha in ALPHAS:
        # Scores (x, 0) with x = (i − 128)/256: the first weight of each.
        first = [float(entmax([(i - 128) / 256, 0.0], alpha)[0]) for i in range(257)]
        sweep.append({"alpha": alpha, "first": first})
        for z in rows(draw, alpha):
            z = [f32(x) for x in z]
            g = [f32(draw.gauss(0, 1)) for _ in z]
            p = entmax(z, alpha)
            d_scores, d_alpha = gradients(p, alpha, [mpf(x) for x in g])
            small = sum(0 < x < 1e-3 for x in p)
            row = {"alpha": alpha, "scores": z, "upstream": g, "weights": [float(x) for x in p]}
            row["d_scores"] = [float(x) for x in d_scores] if small < 2 else None
            lines.append(json.dumps(row | {"d_alpha": float(d_alpha)}))
    header = {"by": "ops/tests/vectors/large_alpha.py", "mpmath": "1.3.0", "digits": mp.dps, "seed": 20190902}
    with open(sys.argv[1], "w") as file:
        swept, rows_ = ",\n".join(json.dumps(line) for line in sweep), ",\n".join(lines)
        file.write(f'{{"header": {json.dumps(header)},\n"sweep": [\n{swept}\n],\n"rows": [\n{rows_}\n]}}\n')


if __name__ == "__main__":
    main()

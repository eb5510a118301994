"""Writes attention.json: random sparse attention with padding, and its figures by definitions E1 to E4.

    python3 -m venv v && v/bin/pip install -r results/tests/parity/requirements.txt
    v/bin/python results/tests/parity/attention.py

Everything is drawn from one seed, so that a second run writes the same bytes. The diversity and the density follow
`validate.py` of the code released with "Adaptively Sparse Transformers" (arXiv 1909.00015): arrays over (head, query,
batch, key), a mask of queries that are not padding, natural logarithms with 0 log 0 = 0, and log(number of heads) as the
bound. For the roles of heads no code was released; they are the sums of the paper's words, cell by cell.
"""

import json
import math
import pathlib

import numpy

HERE = pathlib.Path(__file__).parent
N_CASES = 32
OFFSETS = [-2, -1, 0, 1, 3]


def sparsemax(scores):
    """Rows of sparsemax over the finite scores (Martins and Astudillo 2016)."""
    ordered = -numpy.sort(-scores)
    sums = numpy.cumsum(ordered)
    k = numpy.arange(1, len(scores) + 1)
    support = k[1 + k * ordered > sums].max()
    return numpy.maximum(scores - (sums[support - 1] - 1) / support, 0)


def draw(rng, index):
    """A batch: weights [batch, heads, query, key] in f32 and where each sequence lies in it."""
    batch = int(rng.integers(1, 4))
    heads = [1, 2, 3, 8][index % 4]
    kind = ["encoder", "causal", "cross", "memory"][index // 4 % 4]
    memory = int(rng.integers(1, 4)) if kind == "memory" else 0
    seq_q = int(rng.integers(1, 8))
    seq_kv = seq_q + memory if kind != "cross" else int(rng.integers(1, 8))
    weights = numpy.zeros((batch, heads, seq_q, seq_kv), dtype=numpy.float32)
    sequences = []
    for b in range(batch):
        n_q = int(rng.integers(1, seq_q + 1))
        n_k = n_q + memory if kind != "cross" else int(rng.integers(1, seq_kv + 1))
        left = bool(rng.integers(2))
        q0 = seq_q - n_q if left else 0
        k0 = seq_kv - n_k if left else 0
        sequences.append({"queries": [q0, q0 + n_q], "keys": [k0, k0 + n_k]})
        for h in range(heads):
            scale = rng.choice([0.0, 1.0, 3.0, 10.0])
            for i in range(n_q):
                legal = n_k if kind in ("encoder", "cross") else n_k - n_q + i + 1
                row = sparsemax(scale * rng.normal(size=legal))
                if rng.random() < 0.05:  # a row hidden by a mask
                    row = 0 * row
                weights[b, h, q0 + i, k0 : k0 + legal] = row
        # Padded queries attend to something too; it must not count.
        for i in set(range(seq_q)) - set(range(q0, q0 + n_q)):
            weights[b, :, i, :] = 1 / seq_kv
    return kind, weights, sequences


def entropy(p):
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return -numpy.where(p > 0, p * numpy.log(p), 0).sum(-1)


def diversity(weights, sequences):
    heads = weights.shape[1]
    arranged = weights.astype(numpy.float64).transpose(1, 2, 0, 3)  # (heads, query, batch, key)
    cut = numpy.zeros_like(arranged)
    is_query = numpy.zeros(arranged.shape[1:3], dtype=bool)
    for b, s in enumerate(sequences):
        q, k = slice(*s["queries"]), slice(*s["keys"])
        cut[:, q, b, k] = arranged[:, q, b, k]
        is_query[q, b] = True
    js = entropy(cut.mean(0)) - entropy(cut).mean(0)
    js = js / math.log(heads) if heads > 1 else 0 * js
    return float(js[is_query].mean())


def cells(weights, sequence, b):
    """[heads, query, key] of one sequence."""
    return weights[b, :, slice(*sequence["queries"]), slice(*sequence["keys"])].astype(numpy.float64)


def possible(kind, shape):
    n_q, n_k = shape
    return n_q * n_k if kind in ("encoder", "cross") else int(numpy.tri(n_q, n_k, n_k - n_q).sum())


def density(kind, weights, sequences):
    heads = weights.shape[1]
    nonzero, union, legal, queries, each = numpy.zeros(heads), 0, 0, 0, []
    for b, s in enumerate(sequences):
        a = cells(weights, s, b)
        n = possible(kind, a.shape[1:])
        counts = (a > 0).sum((1, 2))
        nonzero += counts
        union += int((a > 0).any(0).sum())
        legal, queries = legal + n, queries + a.shape[1]
        each += list(counts / n)
    return {
        "heads": list(nonzero / legal),
        "union": union / legal,
        "support_sizes": list(nonzero / queries),
        "histogram": [int(n) for n in numpy.histogram(each, bins=15, range=(0, 1))[0]],
    }


def positional(kind, weights, sequences, offset):
    heads, found = weights.shape[1], []
    for b, s in enumerate(sequences):
        a = cells(weights, s, b)
        n_q, n_k = a.shape[1:]
        for t in range(n_q):
            token = n_k - n_q + t
            last = n_k - 1 if kind == "encoder" else token
            if 0 <= token + offset <= last:
                found.append(a[:, t, token + offset])
    return list(numpy.mean(found, 0)) if found else []


def clusters(rng, n):
    ranges, at = [], 0
    while at < n:
        end = min(n, at + int(rng.integers(1, 5)))
        if rng.random() < 0.85:  # some tokens, as </s>, are of no word
            ranges.append([at, end])
        at = end
    return ranges


def merging(weights, sequences, words):
    scores, within = [], []
    for b, s in enumerate(sequences):
        a = cells(weights, s, b)
        memory = a.shape[2] - a.shape[1]
        for start, end in words[b]:
            square = a[:, start:end, memory + start : memory + end]
            within += list(square.sum(2).T)
            if end - start == 1:
                scores.append(square[:, 0, 0])
            else:
                others = square * (1 - numpy.eye(end - start))
                scores.append(others.sum(2).max(1))
    mean = lambda values: list(numpy.mean(values, 0)) if values else []
    return {"heads": mean(scores), "within": mean(within)}


def interrogation(weights, sequences, questions):
    found = []
    for b, s in enumerate(sequences):
        if questions[b] is not None:
            a = cells(weights, s, b)
            mark = a.shape[2] - a.shape[1] + questions[b]["mark"]
            found += [a[:, t, mark] for t in questions[b]["words"]]
    return list(numpy.mean(found, 0)) if found else []


def case(rng, index):
    kind, weights, sequences = draw(rng, index)
    result = {
        "kind": kind,
        "shape": list(weights.shape),
        "weights": [float(w) for w in weights.ravel()],
        "sequences": sequences,
        "diversity": diversity(weights, sequences),
        "density": density(kind, weights, sequences),
    }
    if kind != "cross":
        lengths = [s["queries"][1] - s["queries"][0] for s in sequences]
        words = [clusters(rng, n) for n in lengths]
        asks = lambda n: {"words": [int(t) for t in rng.choice(n, rng.integers(1, n + 1), False)], "mark": int(rng.integers(n))}
        questions = [asks(n) if rng.random() < 0.6 else None for n in lengths]
        result |= {
            "positional": {str(o): positional(kind, weights, sequences, o) for o in OFFSETS},
            "words": words,
            "merging": merging(weights, sequences, words),
            "questions": questions,
            "interrogation": interrogation(weights, sequences, questions),
        }
    return result


def histogram(rng):
    """Values on, beside and between the edges, and outside."""
    lower, upper, bins = [(0.0, 1.0, 15), (1.0, 2.0, 15), (-0.7, 0.4, 11)][int(rng.integers(3))]
    edges = numpy.linspace(lower, upper, bins + 1)
    values = numpy.concatenate([edges, numpy.nextafter(edges, -9), numpy.nextafter(edges, 9), rng.uniform(lower - 0.2, upper + 0.2, 40)])
    counts = numpy.histogram(values, bins=bins, range=(lower, upper))[0]
    return {
        "bins": {"lower": lower, "upper": upper, "count": bins},
        "values": [float(v) for v in values],
        "counts": [int(n) for n in counts],
    }


def trajectory(rng):
    n = int(rng.integers(1, 12))
    steps = sorted(int(s) for s in rng.choice(1000, n, replace=False))
    alphas = [float(numpy.float32(a)) for a in rng.uniform(1, 2, n)]
    start, low, end = alphas[0], min(alphas), alphas[-1]
    return {
        "points": list(zip(steps, alphas)),
        "start": start,
        "min": low,
        "end": end,
        "starts_dense_ends_sparse": bool(start - low > 0.05 and end > start),
    }


def main():
    rng = numpy.random.default_rng(7)
    result = {
        "versions": f"numpy {numpy.__version__}",
        "cases": [case(rng, index) for index in range(N_CASES)],
        "histograms": [histogram(rng) for _ in range(6)],
        "trajectories": [trajectory(rng) for _ in range(20)],
    }
    path = HERE / "attention.json"
    path.write_text(json.dumps(result, separators=(",", ":"), allow_nan=False) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

"""Fusedmax and oscarmax by their authors' package: weights, and gradients for a given gradient in them.

    git clone https://github.com/vene/sparse-structured-attention && cd sparse-structured-attention/pytorch
    pip install torch==2.9.0 numpy cython setuptools && python setup.py build_ext --inplace
    PYTHONPATH=. python .../ops/tests/vectors/structured.py .../ops/tests/vectors/structured_vectors.json

Its autograd functions are of PyTorch 1.1 to 1.4; their `project` and `project_jv` are called one by one. Its oscarmax
takes absolute values and is exact only where all scores are far from 0: it gets `scores + shift`, which the
exact mapping does not tell from the scores. It holds multiples of the penalty in f32, so that those here are binary fractions.
"""

import json
import random
import sys

import torch
from torchsparseattn.fused import FusedProxFunction
from torchsparseattn.oscar import OscarProxFunction
from torchsparseattn.sparsemax import SparsemaxFunction


def solve(prox, scores, upstream):
    z = prox.project(scores)
    sparsemax = SparsemaxFunction()
    weights = sparsemax.project(z)
    return weights, prox.project_jv(sparsemax.project_jv(upstream, weights), z)


def main():
    draw = random.Random(20170522)
    rows = []
    for mapping, penalties in [("fusedmax", [0.05, 0.1, 0.5]), ("oscarmax", [1 / 64, 1 / 16, 1 / 4])]:
        for n in [1, 2, 3, 7, 16, 40]:
            for penalty in penalties:
                scores = [round(draw.gauss(0, 1), 6) for _ in range(n)]
                upstream = [round(draw.gauss(0, 1), 6) for _ in range(n)]
                x, g = (torch.tensor(values, dtype=torch.float64) for values in (scores, upstream))
                if mapping == "fusedmax":
                    prox = FusedProxFunction(penalty)
                else:
                    prox = OscarProxFunction(beta=penalty)
                    x = x + (penalty * n - min(scores))
                weights, grad = solve(prox, x, g)
                row = {"mapping": mapping, "lambda": penalty, "scores": scores, "upstream": upstream}
                rows.append(row | {"weights": weights.tolist(), "grad": grad.tolist()})
    header = {
        "source": "github.com/vene/sparse-structured-attention at 7003b3d (torchsparseattn 0.3.dev0), BSD-3-Clause",
        "by": "ops/tests/vectors/structured.py",
        "torch": torch.__version__,
        "seed": 20170522,
    }
    with open(sys.argv[1], "w") as file:
        lines = ",\n".join(json.dumps(row) for row in rows)
        file.write(f'{{"header": {json.dumps(header)},\n"rows": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()

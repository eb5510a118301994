"""Writes classification.json: predictions and what scikit-learn, SciPy and SQuAD's official rules say of them.

    python3 -m venv v && v/bin/pip install -r results/tests/parity/requirements.txt
    v/bin/python results/tests/parity/classification.py

Everything is drawn from one seed, so that a second run writes the same bytes. SQuAD's rules are those of evaluate-v1.1.py,
the official script of the data set, written down again below.
"""

import collections
import json
import math
import pathlib
import random
import re
import string
import warnings

import numpy
import scipy.stats
import sklearn
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, mean_squared_error

HERE = pathlib.Path(__file__).parent
N_CLASSES, N_NUMBERS, N_ANSWERS = 160, 160, 200
WORDS = """the a an The A AN THE of in Paris paris New York 1999 1,999 $5 U.S. U.S it's its don't state-of-the-art and "quoted" (a) [an] the.
theatre another a. an, naïve naïve Éa a\u0301 aé é ½ a½ 2a a2 a_b _ ΟΔΟΣ οδος İstanbul ISTANBUL ß SS straße – — “the” ’ ‘a’ 日本 日本。 the日本 अ अ\u093e a\u0903 Ⓐ ⅷ
\u00a0 \u3000 \u200b \x1c \t \n ! ? ... '' `` @ # ~ ^ <b> & | a|b the-end""".split(" ")


def normalize_answer(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def answer_f1(predicted, expected):
    predicted, expected = normalize_answer(predicted).split(), normalize_answer(expected).split()
    shared = sum((collections.Counter(predicted) & collections.Counter(expected)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(expected)
    return 2 * precision * recall / (precision + recall)


def number(value):
    """Numbers that are none become null."""
    return None if math.isnan(value) else float(value)


def classes(rng, index):
    n_classes = rng.choice([2, 2, 2, 3, 5])
    n = rng.choice([1, 2, 3, 10, 30, 30])
    expected = [rng.randrange(n_classes) for _ in range(n)]
    predicted = [e if rng.random() < rng.choice([0.1, 0.5, 0.9]) else rng.randrange(n_classes) for e in expected]
    if index % 8 == 0:
        predicted = [rng.randrange(n_classes)] * n
    if index % 16 == 1:
        expected = [rng.randrange(2)] * n
    if index % 16 == 3:
        predicted = list(expected)
    if index % 16 == 5:
        predicted = [1 - e if e < 2 else e for e in expected]
    positive = [[int(c == 1) for c in side] for side in (expected, predicted)]
    return {
        "predicted": predicted,
        "expected": expected,
        "accuracy": float(accuracy_score(expected, predicted)),
        "f1": float(f1_score(*positive, zero_division=0)),
        "matthews": float(matthews_corrcoef(expected, predicted)),
    }


def numbers(rng, index):
    n = rng.choice([2, 2, 3, 10, 25, 25])
    grid = rng.choice([0.2, 1.0, None])
    draw = lambda: rng.uniform(0, 5) if grid is None else round(rng.uniform(0, 5) / grid) * grid
    expected = [draw() for _ in range(n)]
    predicted = [e * rng.choice([0.5, 1.0, -1.0]) + rng.gauss(0, rng.choice([0.1, 1.0])) for e in expected]
    kind = index % 16
    if kind == 0:
        predicted = [draw()] * n
    elif kind == 1:
        expected = [draw()] * n
    elif kind == 2:
        predicted = list(expected)
    elif kind == 3:
        predicted = [-e for e in expected]
    elif kind == 4:
        predicted[rng.randrange(n)] = math.nan
    elif kind == 5:
        predicted[rng.randrange(n)] = rng.choice([math.inf, -math.inf])
    elif kind == 6:
        predicted = [p * 1e200 for p in predicted]
    elif kind == 7:
        predicted = [p * 1e-200 for p in predicted]
    elif kind == 8:
        predicted = [draw() for _ in range(n)]
    elif kind == 9:
        predicted = [float(numpy.float32(p)) for p in predicted]
    elif kind == 10:
        predicted = [rng.choice([0.0, -0.0, 1.0]) for _ in range(n)]
    pearson = scipy.stats.pearsonr(predicted, expected).statistic
    spearman = scipy.stats.spearmanr(predicted, expected).statistic
    finite = all(map(math.isfinite, predicted)) and max(map(abs, predicted)) < 1e100
    return {
        # As text where JSON has no number for it.
        "predicted": [p if math.isfinite(p) else str(p) for p in predicted],
        "expected": expected,
        "pearson": number(pearson),
        "spearman": number(spearman),
        "mean_squared_error": float(mean_squared_error(expected, predicted)) if finite else None,
    }


def answers(rng):
    text = lambda: rng.choice(["", "", " "]) + " ".join(rng.choice(WORDS) for _ in range(rng.choice([0, 1, 1, 2, 3, 6])))
    expected = [text() for _ in range(rng.randint(1, 3))]
    predicted = rng.choice([text(), rng.choice(expected), rng.choice(expected).upper(), rng.choice(expected) + " " + rng.choice(WORDS)])
    return {
        "predicted": predicted,
        "expected": expected,
        "normalized": normalize_answer(predicted),
        "exact": max(normalize_answer(predicted) == normalize_answer(e) for e in expected),
        "f1": max(answer_f1(predicted, e) for e in expected),
    }


def main():
    warnings.simplefilter("ignore")  # of scores that are not defined
    rng = random.Random(5)
    asked = [answers(rng) for _ in range(N_ANSWERS)]
    result = {
        "versions": f"scikit-learn {sklearn.__version__}, scipy {scipy.__version__}, numpy {numpy.__version__}",
        "classes": [classes(rng, index) for index in range(N_CLASSES)],
        "numbers": [numbers(rng, index) for index in range(N_NUMBERS)],
        "answers": asked,
        "squad": {
            "exact_match": 100.0 * sum(a["exact"] for a in asked) / len(asked),
            "f1": 100.0 * sum(a["f1"] for a in asked) / len(asked),
        },
    }
    path = HERE / "classification.json"
    path.write_text(json.dumps(result, separators=(",", ":"), allow_nan=False) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

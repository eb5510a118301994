"""Writes squad_v2.json: questions, predictions and odds of no answer, and what SQuAD's rules for version 2.0 say of them.

    python3 results/tests/parity/squad_v2.py

Everything is drawn from one seed, so that a second run writes the same bytes. The rules are those of evaluate-v2.0.py, the
official script of the data set (with --na-prob-file), written down again below.
"""

import collections
import json
import pathlib
import random
import re
import string

HERE = pathlib.Path(__file__).parent
N_SETS = 24
WORDS = """the a an The A of in Paris paris New York 1999 $5 U.S. U.S it's "quoted" (a) [an] the. theatre naïve Éa 2a a_b İstanbul ß SS
— “the” 日本 日本。 \u00a0 \u3000 \u200b ! ... <b> a|b the-end""".split(" ")


def normalize_answer(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def f1(expected, predicted):
    expected, predicted = [normalize_answer(text).split() if text else [] for text in (expected, predicted)]
    if not expected or not predicted:
        return int(expected == predicted)
    shared = sum((collections.Counter(expected) & collections.Counter(predicted)).values())
    if shared == 0:
        return 0
    precision, recall = shared / len(predicted), shared / len(expected)
    return 2 * precision * recall / (precision + recall)


def scores(question):
    expected = [answer for answer in question["expected"] if normalize_answer(answer)] or [""]
    predicted = question["predicted"]
    exact = max(int(normalize_answer(answer) == normalize_answer(predicted)) for answer in expected)
    return exact, max(f1(answer, predicted) for answer in expected)


def best_threshold(questions, scores):
    """The highest sum over all places at which those with greater odds are cut off, and the odds before it."""
    best = current = sum(not question["expected"] for question in questions)
    threshold = 0.0
    for at in sorted(range(len(questions)), key=lambda at: questions[at]["null_odds"]):
        if questions[at]["expected"]:
            current += scores[at]
        elif questions[at]["predicted"]:
            current -= 1
        if current > best:
            best, threshold = current, questions[at]["null_odds"]
    return 100.0 * best / len(questions), threshold


def evaluate(questions):
    exact, f1s = zip(*map(scores, questions))
    result = {}
    for prefix, part in [
        ("", range(len(questions))),
        ("HasAns_", [i for i, question in enumerate(questions) if question["expected"]]),
        ("NoAns_", [i for i, question in enumerate(questions) if not question["expected"]]),
    ]:
        if part:
            result[prefix + "exact"] = 100.0 * sum(exact[i] for i in part) / len(part)
            result[prefix + "f1"] = 100.0 * sum(f1s[i] for i in part) / len(part)
            result[prefix + "total"] = len(part)
    for name, values in (("exact", exact), ("f1", f1s)):
        result["best_" + name], result[f"best_{name}_thresh"] = best_threshold(questions, values)
    return result


def questions(rng, index):
    text = lambda: " ".join(rng.choice(WORDS) for _ in range(rng.choice([0, 1, 1, 2, 3, 6])))
    asked = []
    for _ in range(rng.choice([1, 2, 5, 40])):
        has_none = rng.random() < [0.5, 0.0, 1.0][index % 12 if index % 12 < 3 else 0]
        expected = [] if has_none else [text() for _ in range(rng.randint(1, 3))]
        right = rng.choice(expected) if expected else ""
        predicted = rng.choice([text(), right, right, right.upper(), ""])
        odds = rng.gauss(3.0 if has_none else -3.0, 4.0)
        # Odds that are equal, too: of these the order decides.
        asked.append({"predicted": predicted, "expected": expected, "null_odds": round(odds) if index % 4 == 0 else odds})
    return asked


def main():
    rng = random.Random(17)
    sets = []
    for index in range(N_SETS):
        asked = questions(rng, index)
        sets.append({"questions": asked, "scores": evaluate(asked)})
    path = HERE / "squad_v2.json"
    path.write_text(json.dumps(sets, separators=(",", ":"), allow_nan=False) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

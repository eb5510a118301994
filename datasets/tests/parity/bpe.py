#!/usr/bin/env python3
"""Writes tests/parity/bpe.json: what subword-nmt makes of the shipped German–English text.

    python3 -m venv venv && venv/bin/pip install subword-nmt==0.3.8
    venv/bin/python datasets/tests/parity/bpe.py

Learned on the lower-cased text, both languages together; hashes are sha256 of the whole output.
"""
import hashlib
import io
import json
import lzma
import pathlib
import sys

from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

HERE = pathlib.Path(__file__).parent
WORDS = ["a", "aa", "aaa", "aaaa", "aaaaa", "xxaxxa", "zusammenfassung", "größe", "ß", "中国", "don't",
         "libreoffice-dokumenten", "12.345,67", "@@", "a@@", "</w>", "x</w>", "nichtvorhandeneswort", "naïve",
         "https://www.libreoffice.org/", "µm²", "e\u0301e\u0301", "…", "\U0001f600\U0001f600", "donaudampfschiff"]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def learn(text, **options):
    out = io.StringIO()
    learn_bpe(io.StringIO(text, newline="\n"), out, **options)
    return out.getvalue()


def apply(codes, lines):
    bpe = BPE(io.StringIO(codes))
    return [bpe.process_line(line) for line in lines]


def main():
    raw = lzma.open(HERE / "../../data/libreoffice_help.de-en.tsv.xz", "rt", encoding="utf-8", newline="\n").read()
    text = raw.lower().replace("\t", "\n")
    lines = text.rstrip("\n").split("\n")
    codes = learn(text, num_symbols=4000)
    applied = apply(codes, lines)
    head = "\n".join(lines[:400]) + "\n"
    repeats = "aaaa aaa aaaaaa abab ababab babababa\naaaaaaa abababab xx xxx xxxx xyxyx xyxyxyx yxyxyxy\n" * 3
    json.dump({
        "generator": "subword-nmt 0.3.8",
        "codes_4000_head": codes.split("\n")[:200],
        "codes_4000_sha256": sha256(codes),
        "applied_sha256": sha256("\n".join(applied) + "\n"),
        "codes_exhausted": learn(head, num_symbols=100000, min_frequency=3),
        "codes_total_symbols_600_sha256": sha256(learn(text, num_symbols=600, total_symbols=True)),
        "codes_repeats": learn(repeats, num_symbols=1000),
        "repeats_text": repeats,
        "words": [[word, apply(codes, [word])[0]] for word in WORDS],
        "spaces": [[line, apply(codes, [line])[0]] for line in ["  zwei  worte ", "   ", "", " a", "wort\r"]],
    }, open(HERE / "bpe.json", "w", encoding="utf-8"), ensure_ascii=False, indent=0)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What Moses' Perl scripts make of text, for the tests of `tokenize::moses` to be held to.

Scripts of three states (`Release` in Rust):
    2015  pip download --no-deps --no-binary :all: mosestokenizer==1.2.1, src/mosestokenizer in its archive
    2017  scripts/tokenizer in moses-smt/mosesdecoder at 3a0631a
    2019  scripts/tokenizer in moses-smt/mosesdecoder, master

    moses.py --fixture 2015=SCRIPTS 2017=SCRIPTS 2019=SCRIPTS
        writes tests/parity/moses.json from the shipped corpus and made-up lines
    moses.py --out DIR 2015=SCRIPTS de=FILE[,FILE...] en=... fr=... cs=... ro=...
        writes DIR/<lang>.{txt,2015.tok,...} for
        SPARTA_MOSES=DIR cargo test --release -p sparta-datasets --test it -- --ignored moses
        (`txt` is the text of all files and 5,000 made-up lines)
"""
import json
import lzma
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
LANGUAGES = ["de", "en", "fr", "cs", "ro"]
PIECES = list("aAzZéßșВ中あ가ǅªʰ²½٣Ⅳ0159") + [
    " ", " ", " ", " ", ".", ".", "..", "...", ",", ",", "'", "'", "\"", "-", "–", "—", "@-@", "`", "``", "''", "´", "’", "‘",
    "‚", "„", "“", "”", "«", "»", "…", "(", ")", "[", "]", "{", "}", "<", ">", "|", "&", "&amp;", "&quot;", "&#91;", "&bra;",
    "$", "€", "£", "%", "?", "!", ":", ";", "\\", "/", "¿", "¡", "\u00a0", "\t", "\u0007", "\r", "\u2009", "\u3000", "#", "*", "°", "º", "cm",
    "z.B.", "U.S.", "Inc.", "a.", "Rs.", "5,", ".'", "Dr.", "No. 5", "No. x", "pp. 3", "21. Mai", "XI.", "etc.", "tj.", "d-na.", "M.", "m.", "s", "l'", "d'eau", "it's",
    "1990's", "5,300", "3,5", "li", "mail", "e-mail", "Mr.", "J. R. R.", "nº", "ºC", "foo", "Bar", "ŽLUŤ", "\U0001f600", "e\u0301",
]


def made_up(seed, n_lines):
    rng = random.Random(seed)
    return ["".join(rng.choice(PIECES) + rng.choice(["", "", " "]) for _ in range(rng.randint(0, 24))) for _ in range(n_lines)]


def run(scripts, script, arguments, lines):
    assert all("\n" not in line for line in lines)
    text = "".join(line + "\n" for line in lines)
    command = ["perl", str(scripts / script), *arguments]
    out = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
    assert out.endswith("\n") and out.count("\n") == len(lines), (script, arguments)
    return out[:-1].split("\n")


def outputs(release, scripts, lang, lines):
    """Kind -> lines; the newer states only where they differ."""
    scripts = pathlib.Path(scripts)
    tokenizer = next(name for name in ("tokenizer-v1.1.perl", "tokenizer.perl") if (scripts / name).exists())
    tokens = run(scripts, tokenizer, ["-q", "-l", lang], lines)
    result = {"tok": tokens, "norm": run(scripts, "normalize-punctuation.perl", ["-l", lang], lines)}
    if release == "2015":
        result |= {
            "aggressive": run(scripts, tokenizer, ["-q", "-a", "-l", lang], lines),
            "plain": run(scripts, tokenizer, ["-q", "-no-escape", "-l", lang], lines),
            "detok": run(scripts, "detokenizer.perl", ["-q", "-l", lang], tokens),
            # The original's own tokens do not reach every rule of the way back.
            "detok_raw": run(scripts, "detokenizer.perl", ["-q", "-l", lang], lines),
        }
    return {f"{release}.{kind}": out for kind, out in result.items()}


def fixture(releases):
    tsv = lzma.open(HERE / "../../data/libreoffice_help.de-en.tsv.xz", "rt", encoding="utf-8", newline="\n")
    pairs = [line.rstrip("\n").split("\t") for line in tsv]
    odd = [pair for pair in pairs if any(mark in pair[0] + pair[1] for mark in ("z.B.", "bzw.", "'", "„", "…", "...", "%", "[", "&"))]
    shipped = {"de": [pair[0] for pair in odd[::40]], "en": [pair[1] for pair in odd[::40]]}
    result = {}
    for number, lang in enumerate(LANGUAGES):
        lines = shipped.get(lang, [])[:45] + made_up(number, 80)
        result[lang] = {"txt": lines}
        for release in releases:
            result[lang] |= outputs(*release, lang, lines)
    with open(HERE / "moses.json", "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, indent=0)


def main():
    if sys.argv[1] == "--fixture":
        return fixture([argument.split("=") for argument in sys.argv[2:]])
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[4:]:
        lang, files = argument.split("=")
        lines = [line for name in files.split(",") for line in open(name, encoding="utf-8", newline="\n").read().removesuffix("\n").split("\n")]
        lines += made_up(lang, 5000)
        for kind, out in ({"txt": lines} | outputs(*sys.argv[3].split("="), lang, lines)).items():
            (folder / f"{lang}.{kind}").write_bytes("".join(line + "\n" for line in out).encode())
        print(lang, len(lines))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What Moses' Perl scripts make of text, for the tests of `tokenize::moses` to be held to.

    pip download --no-deps --no-binary :all: mosestokenizer==1.2.1 && tar xf mosestokenizer-1.2.1.tar.gz
    moses.py mosestokenizer-1.2.1/src/mosestokenizer --fixture
        writes tests/parity/moses.json from the shipped corpus and made-up lines
    moses.py mosestokenizer-1.2.1/src/mosestokenizer --out DIR de=FILE[,FILE…] en=… fr=… cs=… ro=…
        writes DIR/<lang>.{txt,tok,aggressive,plain,detok,norm} for
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
    "z.B.", "U.S.", "Dr.", "No. 5", "No. x", "pp. 3", "21. Mai", "XI.", "etc.", "tj.", "d-na.", "M.", "m.", "s", "l'", "d'eau", "it's",
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


def outputs(scripts, lang, lines):
    tokenizer = "tokenizer-v1.1.perl"
    tokens = run(scripts, tokenizer, ["-q", "-l", lang], lines)
    return {
        "txt": lines,
        "tok": tokens,
        "aggressive": run(scripts, tokenizer, ["-q", "-a", "-l", lang], lines),
        "plain": run(scripts, tokenizer, ["-q", "-no-escape", "-l", lang], lines),
        "detok": run(scripts, "detokenizer.perl", ["-q", "-l", lang], tokens),
        # The original's own tokens do not reach every rule of the way back.
        "detok_raw": run(scripts, "detokenizer.perl", ["-q", "-l", lang], lines),
        "norm": run(scripts, "normalize-punctuation.perl", ["-l", lang], lines),
    }


def fixture(scripts):
    tsv = lzma.open(HERE / "../../data/libreoffice_help.de-en.tsv.xz", "rt", encoding="utf-8", newline="\n")
    pairs = [line.rstrip("\n").split("\t") for line in tsv]
    odd = [pair for pair in pairs if any(mark in pair[0] + pair[1] for mark in ("z.B.", "bzw.", "'", "„", "…", "...", "%", "[", "&"))]
    shipped = {"de": [pair[0] for pair in odd[::40]], "en": [pair[1] for pair in odd[::40]]}
    result = {lang: outputs(scripts, lang, shipped.get(lang, [])[:120] + made_up(number, 150)) for number, lang in enumerate(LANGUAGES)}
    with open(HERE / "moses.json", "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, indent=0)


def main():
    scripts = pathlib.Path(sys.argv[1])
    if sys.argv[2] == "--fixture":
        return fixture(scripts)
    folder = pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[4:]:
        lang, files = argument.split("=")
        lines = [line for name in files.split(",") for line in open(name, encoding="utf-8", newline="\n").read().removesuffix("\n").split("\n")]
        lines += made_up(lang, 5000)
        for kind, out in outputs(scripts, lang, lines).items():
            (folder / f"{lang}.{kind}").write_bytes("".join(line + "\n" for line in out).encode())
        print(lang, len(lines))


if __name__ == "__main__":
    sys.exit(main())

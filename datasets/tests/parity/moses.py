#!/usr/bin/env python3
"""What Moses' Perl scripts make of text, for the tests of `tokenize::moses` to be held to.

Scripts of three states (`Release` in Rust):
    2015  pip download --no-deps --no-binary :all: mosestokenizer==1.2.1, src/mosestokenizer in its archive
    2017  scripts/tokenizer in moses-smt/mosesdecoder at 3a0631a
    2019  scripts/tokenizer in moses-smt/mosesdecoder, master

    moses.py --fixture 2015=SCRIPTS 2017=SCRIPTS 2019=SCRIPTS
        writes tests/parity/moses.json from the shipped corpus, made-up lines and the words of src/tokenize/moses/prefixes.rs
    moses.py --words 2015=SCRIPTS 2017=SCRIPTS 2019=SCRIPTS
        prints how many abbreviations of ours the originals treat otherwise, and how many of theirs are ours
    moses.py --out DIR 2015=SCRIPTS 2017=SCRIPTS 2019=SCRIPTS de=PATH[,PATH...] en=... fr=... cs=... ro=... ja=...
        writes DIR/<lang>.{txt,2015.tok,...} for
        SPARTA_MOSES=DIR cargo test --release -p sparta-datasets --test it -- --ignored --nocapture large_texts
        which prints the lines that agree; DIR/<lang>.made.* is the same of 5,000 made-up lines

PATH is a text, or a folder whose files are all read: plain, .gz or .xz; of .tsv the column after `:` (FILE.tsv.xz:2); of
.html the paragraphs, of manual pages (.1.gz) the sentences, of fortune files what stands between the `%`.
"""
import gzip
import html
import json
import lzma
import pathlib
import random
import re
import string
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
LANGUAGES = ["de", "en", "fr", "cs", "ro", "ja"]
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


def script_in(scripts, name):
    names = (name.replace(".perl", "-v1.1.perl"), name)
    return next(path for path in (pathlib.Path(scripts) / name for name in names) if path.exists())


def run(scripts, name, arguments, lines):
    assert all("\n" not in line for line in lines)
    text = "".join(line + "\n" for line in lines)
    command = ["perl", str(script_in(scripts, name)), *arguments]
    out = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
    assert out.endswith("\n") and out.count("\n") == len(lines), (name, arguments)
    return out[:-1].split("\n")


def outputs(release, scripts, lang, lines):
    """Kind -> lines; the newer states only where they differ."""
    tokens = run(scripts, "tokenizer.perl", ["-q", "-l", lang], lines)
    result = {"tok": tokens, "norm": run(scripts, "normalize-punctuation.perl", ["-l", lang], lines)}
    if release == "2015":
        result |= {
            "aggressive": run(scripts, "tokenizer.perl", ["-q", "-a", "-l", lang], lines),
            "plain": run(scripts, "tokenizer.perl", ["-q", "-no-escape", "-l", lang], lines),
            "detok": run(scripts, "detokenizer.perl", ["-q", "-l", lang], tokens),
            # The original's own tokens do not reach every rule of the way back.
            "detok_raw": run(scripts, "detokenizer.perl", ["-q", "-l", lang], lines),
        }
    return {f"{release}.{kind}": out for kind, out in result.items()}


def our_words():
    """The lists of prefixes.rs by the name of their constant."""
    source = (HERE / "../../src/tokenize/moses/prefixes.rs").read_text(encoding="utf-8")
    lists = {name: words.split() for name, words in re.findall(r'const (\w+): &str =\s*"([^"]*)";', source)}
    assert {"TITLES", "EN", "DE", "FR", "CS", "RO"} <= lists.keys(), lists.keys()
    return lists


def is_rule(word):
    """Whether a rule of ours covers it: one letter, a number, a Roman numeral, a period inside."""
    return len(word) == 1 or "." in word or re.fullmatch(r"\d+|[IVX]+|[ivx]+", word) is not None


def asked():
    """Every word that a list or rule of ours knows in any language, and their neighbours."""
    ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
    roman = [tens + one for tens in ("", "X", "XX") for one in ones if tens + one]
    letters = string.ascii_letters + "áčďéěíňóřšťúůýžöüäßàâçèêîôûæœășțşţÁČĎÉĚÍŇÓŘŠŤÚŮÝŽÖÜÄÀÂÇÈÊÎÔÛĂȘȚ"
    words = [word for words in our_words().values() for word in words]
    words += list(letters) + roman + [word.lower() for word in roman] + ["Iv", "xI", "L", "lii"]
    words += ["0", "1", "9", "10", "21", "99", "100", "05"]
    return list(dict.fromkeys(words))


def treatment(scripts, lang, words):
    """One letter a word: a, the period always stays; n, before a number; c, it is cut."""
    ask = lambda after: run(scripts, "tokenizer.perl", ["-q", "-no-escape", "-l", lang], [f"x {word}. {after} x" for word in words])
    answers = zip(words, ask("Aa"), ask("5"))
    letter = lambda word, before_word, before_number: "a" if f" {word}. " in before_word else "n" if f" {word}. " in before_number else "c"
    return "".join(letter(*answer) for answer in answers)


def fixture(releases):
    tsv = lzma.open(HERE / "../../data/libreoffice_help.de-en.tsv.xz", "rt", encoding="utf-8", newline="\n")
    pairs = [line.rstrip("\n").split("\t") for line in tsv]
    odd = [pair for pair in pairs if any(mark in pair[0] + pair[1] for mark in ("z.B.", "bzw.", "'", "„", "…", "...", "%", "[", "&"))]
    shipped = {"de": [pair[0] for pair in odd[::40]], "en": [pair[1] for pair in odd[::40]]}
    words = asked()
    result = {"words": words}
    for number, lang in enumerate(LANGUAGES):
        lines = shipped.get(lang, [])[:45] + made_up(number, 80)
        result[lang] = {"txt": lines}
        for release, scripts in releases:
            result[lang] |= outputs(release, scripts, lang, lines)
            result[lang][f"{release}.words"] = treatment(scripts, lang, words)
    with open(HERE / "moses.json", "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, indent=0)


def originals(scripts, lang):
    """The words of an original's list, to count them."""
    folders = (pathlib.Path(scripts) / "nonbreaking_prefixes", pathlib.Path(scripts).parent / "share/nonbreaking_prefixes")
    path = next(folder for folder in folders if folder.exists()) / f"nonbreaking_prefix.{lang}"
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}


def count_words(releases):
    lists = our_words()
    lists["EN"] += lists["EN_BEFORE_NUMBER"]
    for lang in LANGUAGES[:5]:
        words = lists[lang.upper()] + lists["TITLES"] * (lang in ("de", "en"))
        of_release = {release: words + lists.get(f"{lang.upper()}_{release}", []) for release, _ in releases}
        theirs = originals(releases[-1][1], lang)
        listed = {word for word in theirs if not is_rule(word)}
        print(f"{lang}: {len(theirs)} words of the original, {len(theirs) - len(listed)} by rules, {len(listed & set(of_release[releases[-1][0]]))} of the other {len(listed)} in ours")
        for release, scripts in releases:
            words = of_release[release]
            cut = [word for word, how in zip(words, treatment(scripts, lang, words)) if how == "c"]
            print(f"  {release}: {len(words)} words of ours, cut there: {len(cut)}", *cut)


def texts(path):
    path, _, column = path.partition(":")
    path = pathlib.Path(path)
    if path.is_dir():
        for inner in sorted(inner for inner in path.rglob("*") if inner.is_file() and not inner.is_symlink()):
            yield from texts(str(inner))
        return
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    try:
        text = opener(path, "rt", encoding="utf-8", newline="\n").read()
    except UnicodeDecodeError:
        return
    if path.suffix == ".html":
        found = re.findall(r"<(?:p|h\d)\b[^>]*>(.*?)</(?:p|h\d)>", text, re.S)
        yield from (html.unescape(re.sub(r"<[^>]*>", "", paragraph)) for paragraph in found)
    elif re.search(r"\.\d\w*\.gz$", path.name):
        text = re.sub(r"\\f.|\\\(..|\\[&/,|^]", "", text).replace("\\-", "-").replace("\\ ", "\u00a0")
        yield from (sentence.replace("\n", " ") for sentence in re.split(r"\n(?:[.'].*\n)+|\n\n", text))
    elif "\n%\n" in text:
        yield from (re.sub(r"\s*\n\s*", " ", saying) for saying in text.split("\n%\n"))
    elif column:
        yield from (line.split("\t")[int(column) - 1] for line in text.removesuffix("\n").split("\n"))
    elif path.suffix not in (".css", ".js", ".dat"):
        yield from text.removesuffix("\n").split("\n")


def main():
    mode, *arguments = sys.argv[1:]
    pairs = [argument.split("=") for argument in arguments if "=" in argument]
    releases = [pair for pair in pairs if pair[0] not in LANGUAGES]
    if mode == "--fixture":
        return fixture(releases)
    if mode == "--words":
        return count_words(releases)
    folder = pathlib.Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for lang, paths in (pair for pair in pairs if pair[0] in LANGUAGES):
        real = [line.strip().replace("\n", " ") for path in paths.split(",") for line in texts(path)]
        real = list(dict.fromkeys(line for line in real if line))
        for name, lines in ((lang, real), (f"{lang}.made", made_up(lang, 5000))):
            result = {"txt": lines}
            for release, scripts in releases:
                result |= outputs(release, scripts, lang, lines)
            for kind, out in result.items():
                (folder / f"{name}.{kind}").write_bytes("".join(line + "\n" for line in out).encode())
        print(lang, len(real), flush=True)


if __name__ == "__main__":
    sys.exit(main())

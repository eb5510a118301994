"""Writes sacrebleu.json: generated system outputs and what sacreBLEU and multi-bleu.perl say of them.

    python3 -m venv v && v/bin/pip install sacrebleu==2.6.0
    v/bin/python results/tests/parity/sacrebleu_scores.py --multi-bleu mosesdecoder/scripts/generic/multi-bleu.perl

multi-bleu.perl is the file of that name in github.com/moses-smt/mosesdecoder; Perl must be installed. Everything is
drawn from one seed, so that a second run writes the same bytes.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

N_SYSTEMS = 240
HERE = pathlib.Path(__file__).parent

ENGLISH = """the a of and to in is it that was for on are with as they be at one have this from had by hot but some what
there we can out other were all your when up use word how said an each she which do their time if will way about many
then them would write like so these her long make thing see him two has look more day could go come did my no most who
over know than call first people may down side been now find any new work part take get place made live where after back
little only round man year came show every good me give our under name very through just form great think say help low
line before turn cause same mean differ move right boy old too does tell sentence set three want air well also play small
end put home read hand port large spell add even land here must big high such follow act why ask men change went light
kind off need house picture try us again animal point mother world near build self earth father""".split()
GERMAN = """der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat
dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch
man sein wurde sei Prozent hatte kann gegen vom können schon wenn habe seine Mark ihre dann unter wir soll ich eines Jahr
zwei Jahren diese dieser wieder keine Uhr seiner worden will zwischen immer Millionen was sagte größer Straße Übung
schön weiß heißt müssen Äpfel Öl""".split()
OTHER = """naïve café déjà-vu façade Ελλάδα ΟΔΟΣ ΣΑΣ Σίσυφος Москва поезд İstanbul ISPARTA ıssız straße STRASSE ﬁnal ǅ ñandú
日本語 東京都 こんにちは。 カタカナ 中文字符 你好，世界！ 한국어 문장 العربية، שלום हिन्दी। ไทย 🙂 👩‍👩‍👧 🇩🇪 e\u0301t\u00e9 \u00e9t\u00e9 ½ Ⅷ ² ٣٤ १२
№5 §3 10€ £9.99 ¥100 ±2 × ÷ ≤ ∑ ™ © …  „Zitat“ «citation» ‚so‘ — – ‐ ‑ · • ¿qué? ¡sí! ′ ″ ％ ＋ ａｂｃ １２３ ﹣""".split()
PIECES = """3.14 1,000,000 1.000,5 2-3 10-fold -5 5- 5. .5 ,5 5, 12:30 1990s 3% $5 #1 @home a/b x=y a&b A.B. U.S. e.g. Mr. don't
it's 's '' "quoted" (hi) [ref] {x} <b> </s> <unk> <skipped> &quot; &amp; &lt; &gt; &amp;lt; &apos; & && -- --- ... .. ., ,. !? ?! ;;
well-known state-of-the-art co- -ing under_score C++ C# .NET www.example.org/a?b=c&d=e me@example.org 50/50 `code` ~ ^ | \\ \\1 $1 ${1} * a.b,c
1.a a.1 1-a a-1 9,a a,9 ' '""".split()
SPACES = [" ", " ", " ", " ", " ", " ", " ", " ", " ", "  ", "\t", "\u00a0", "\u2009", "\u3000", "\x1c", "\x1f", "\x85", "\u200b", "\r",
          "\x0b", "\x0c", "\u2028"]
LINE_BREAKS = ["\n", "-\n"]


def sentence(rng, style):
    n = {"short": rng.randint(0, 3), "long": rng.randint(40, 60)}.get(style, rng.randint(4, 14))
    odd = {"plain": 0.03, "tokenised": 0.05}.get(style, 0.3)
    base = rng.choice([ENGLISH, ENGLISH, GERMAN])
    words = [rng.choice(rng.choice([OTHER, PIECES]) if rng.random() < odd else base) for _ in range(n)]
    if words and style != "tokenised":
        words[0] = words[0][:1].upper() + words[0][1:]
        words[-1] += rng.choice([".", ".", "!", "?", "", " .", "..."])
    elif words:
        words.append(".")
    return words


def noise(rng, words, level):
    out = []
    for word in words:
        what = rng.random()
        if what > level:
            out.append(word)
        elif what < 0.25 * level:
            pass
        elif what < 0.5 * level:
            out.append(rng.choice(rng.choice([ENGLISH, GERMAN, OTHER, PIECES])))
        elif what < 0.6 * level:
            out += [word, word]
        elif what < 0.7 * level:
            out.append(rng.choice([word.upper(), word.lower(), word.title()]))
        elif what < 0.8 * level:
            out.append(word + rng.choice(",.;:!-\"')"))
        elif out:
            out.insert(rng.randrange(len(out)), word)
    return out


def join(rng, words, style):
    if style in ("plain", "tokenised", "long"):
        return " ".join(words)
    text = "".join(word + rng.choice(SPACES) for word in words)
    text = text if rng.random() < 0.3 else text.rstrip()
    if style == "breaks" and words:
        text = text.replace(" ", rng.choice(LINE_BREAKS), 1)
    return rng.choice(["", "", "", " "]) + text


def system(rng, at):
    style = ["plain", "odd", "tokenised", "short", "odd", "plain", "breaks", "long"][at % 8]
    n = 1 if at % 10 == 9 else rng.randint(2, 3 if style == "long" else 6)
    n_refs = [1, 1, 1, 2, 1, 3, 1, -1][at // 3 % 8]
    level = rng.choice([0.0, 0.1, 0.2, 0.3, 0.5, 0.9])
    hyps, refs = [], []
    for _ in range(n):
        words = sentence(rng, style)
        some = rng.randint(1, 3) if n_refs == -1 else n_refs
        refs.append([join(rng, words if k == 0 else noise(rng, words, 0.25), style) for k in range(some)])
        hyps.append(join(rng, noise(rng, words, level), style))
    if at % 11 == 5:
        hyps[rng.randrange(n)] = rng.choice(["", " ", "\u00a0"])
    if at % 13 == 7:
        refs[rng.randrange(n)][0] = ""
    if at % 40 == 21:
        hyps = [""] * n
    if at % 40 == 33:
        refs = [[""] * len(of) for of in refs]
    return hyps, refs


# What is asked of every system, and what of some.
TOKENIZERS = ["13a", "intl", "char", "none"]
ALWAYS = [dict(tokenize=t) for t in TOKENIZERS] + [dict(lowercase=True)]
SMOOTH = [("none", None), ("floor", None), ("floor", 0.01), ("add-k", None), ("add-k", 0.5), ("add-k", 2.0), ("exp", None)]
ROTATING = [
    dict(tokenize=t, lowercase=lc, smooth_method=s, smooth_value=v, effective_order=eff, max_ngram_order=order)
    for t, lc, eff, order in [("13a", False, True, 4), ("intl", True, False, 4), ("char", True, True, 2), ("none", True, True, 6)]
    for s, v in SMOOTH
]
CHRF_ALWAYS = [dict(), dict(word_order=2)]
CHRF_ROTATING = [
    dict(lowercase=True), dict(whitespace=True), dict(word_order=2, whitespace=True, eps_smoothing=True), dict(eps_smoothing=True),
    dict(beta=3, char_order=4, word_order=1), dict(char_order=0, word_order=2, lowercase=True), dict(beta=1, eps_smoothing=True, lowercase=True),
]


def streams(refs):
    return [[of[k] if k < len(of) else None for of in refs] for k in range(max(map(len, refs)))]


def settings(metric, of):
    return [metric, {key: value for key, value in of.items() if value is not None}]


def scored(index, metric, of, score):
    """[settings, signature, printed score], the first two as numbers."""
    signature = metric.get_signature().format().rsplit("|version:", 1)[0]
    name = "bleu" if isinstance(metric, BLEU) else "chrf"
    return [index("settings", settings(name, of)), index("signatures", signature), score.format(width=6)]


def perl(script, hyps, refs, lowercase):
    """What the script prints, or None where lines and sentences are not the same or it stops."""
    texts = hyps + [text for of in refs for text in of]
    if any("\n" in text for text in texts) or len({len(of) for of in refs}) != 1:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for k, stream in enumerate(streams(refs)):
            pathlib.Path(folder, f"ref{k}").write_bytes("".join(line + "\n" for line in stream).encode())
        command = ["perl", script, *(["-lc"] if lowercase else []), os.path.join(folder, "ref")]
        text = "".join(line + "\n" for line in hyps).encode()
        found = subprocess.run(command, input=text, capture_output=True, check=False)
    return found.stdout.decode().strip() or None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--multi-bleu", required=True)
    parser.add_argument("--out", default=HERE / "sacrebleu.json")
    options = parser.parse_args()
    rng = random.Random(20200302)
    names, systems = {"settings": [], "signatures": []}, []

    def index(kind, of):
        if of not in names[kind]:
            names[kind].append(of)
        return names[kind].index(of)

    for at in range(N_SYSTEMS):
        hyps, refs = system(rng, at)
        scores = []
        rotating = [ROTATING[(2 * at + k) % len(ROTATING)] for k in range(2)]
        for of in ALWAYS + rotating:
            metric = BLEU(force=True, **of)
            scores.append(scored(index, metric, of, metric.corpus_score(hyps, streams(refs))))
        for of in CHRF_ALWAYS + [CHRF_ROTATING[at % len(CHRF_ROTATING)]]:
            metric = CHRF(**of)
            scores.append(scored(index, metric, of, metric.corpus_score(hyps, streams(refs))))
        counts = BLEU(force=True, smooth_method="none").corpus_score(hyps, streams(refs))
        sentence_score = BLEU(effective_order=True).sentence_score(hyps[0], refs[0])
        entry = {
            "hypotheses": hyps,
            "references": refs,
            "scores": scores,
            "counts": [counts.counts, counts.totals],
            "sentence": sentence_score.format(width=6),
            "multi_bleu": [perl(options.multi_bleu, hyps, refs, lowercase) for lowercase in (False, True)],
        }
        systems.append(entry)

    paired = []
    for name, of in [("bleu", {}), ("bleu", dict(tokenize="intl", lowercase=True)), ("chrf", {}), ("chrf", dict(word_order=2))]:
        for n, level in [(12, 0.0), (20, 0.05), (24, 0.3)]:
            words = [sentence(rng, "plain") for _ in range(n)]
            refs = [[" ".join(of)] for of in words]
            one = [" ".join(noise(rng, of, 0.25)) for of in words]
            two = [" ".join(noise(rng, of, 0.25 + level)) for of in words]
            if level == 0.0:
                two = list(one)
            metric = (BLEU if name == "bleu" else CHRF)(**of)
            test = PairedTest([("one", one), ("two", two)], {"m": metric}, streams(refs), test_type="bs")
            signatures, results = test()
            (key,) = signatures
            results = [[r.score, r.mean, r.ci, r.p_value] for r in results[key]]
            results = [[None if x is None else round(float(x), 8) for x in r] for r in results]
            paired.append({"settings": settings(name, of), "baseline": one, "system": two, "references": refs, "results": results})

    def lines(entries):
        return "[\n" + ",\n".join(json.dumps(of, ensure_ascii=True, separators=(",", ":")) for of in entries) + "\n]"

    text = (
        f'{{"sacrebleu":"{sacrebleu.__version__}",\n"settings":{lines(names["settings"])},\n"signatures":{lines(names["signatures"])},\n'
        f'"systems":{lines(systems)},\n'
        f'"paired":{lines(paired)}}}\n'
    )
    pathlib.Path(options.out).write_text(text, encoding="ascii")
    print(f"{len(systems)} systems, {sum(len(of['scores']) for of in systems)} scores, {len(text)} bytes")


if __name__ == "__main__":
    main()

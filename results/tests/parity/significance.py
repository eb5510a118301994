"""Writes significance.json: sacreBLEU's paired approximate randomisation of the pairs in sacrebleu.json, numpy's coins, and
SciPy's exact binomial test (McNemar's). Run as `python significance.py` with requirements.txt installed."""

import json
import pathlib

import numpy
import sacrebleu
import scipy.stats
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

HERE = pathlib.Path(__file__).parent


def main():
    paired = json.loads((HERE / "sacrebleu.json").read_text())["paired"]
    p_values = []
    for case in paired:
        name, arguments = case["settings"]
        metric = (BLEU if name == "bleu" else CHRF)(**arguments)
        systems = [("one", case["baseline"]), ("two", case["system"])]
        streams = [[references[0] for references in case["references"]]]
        test = PairedTest(systems, {"m": metric}, streams, test_type="ar", n_samples=10000)
        signatures, results = test()
        (key,) = signatures
        p_values.append(round(float(results[key][1].p_value), 8))
    discordant = [(0, 0), (1, 9), (0, 5), (12, 20), (3, 3), (100, 140), (1100, 1000)]
    binomial = [(b, c, float(scipy.stats.binomtest(min(b, c), b + c).pvalue) if b + c else 1.0) for b, c in discordant]
    coins = numpy.random.default_rng(12345).integers(2, size=70, dtype=bool)
    text = json.dumps(
        {
            "versions": {"sacrebleu": sacrebleu.__version__, "scipy": scipy.__version__, "numpy": numpy.__version__},
            "randomization": p_values,
            "mcnemar": binomial,
            "coins": "".join("1" if coin else "0" for coin in coins),
        },
        indent=1,
    )
    (HERE / "significance.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

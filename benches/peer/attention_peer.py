"""Attention in PyTorch, driven by ops/benches/attention over stdin and stdout, one JSON a line."""

import json
import sys
import time
from pathlib import Path

import entmax
import numpy
import torch
from entmax_peer import versions, write_outputs

MAPPINGS = {
    "softmax": lambda x, alpha: torch.softmax(x, dim=-1),
    "sparsemax": lambda x, alpha: entmax.sparsemax(x, dim=-1),
    "entmax15": lambda x, alpha: entmax.entmax15(x, dim=-1),
    "alpha_entmax": lambda x, alpha: entmax.entmax_bisect(x, alpha, dim=-1, n_iter=25),
}


def attend(function, q, k, v, alpha, causal):
    if function == "sdpa":
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        n = q.shape[-2]
        hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return MAPPINGS[function](scores, alpha.reshape(1, -1, 1, 1)) @ v


def open_case(request):
    """The case as a function of nothing that returns its outputs."""
    directory, shape = Path(request["dir"]), request["shape"]

    def load(name, shape):
        return torch.from_numpy(numpy.fromfile(directory / name, numpy.float32).reshape(shape))

    q, k, v, grad = (load(name, shape) for name in ("query", "key", "value", "grad"))
    alpha = load("alpha", shape[1])

    def run():
        leaves = [x.detach().requires_grad_() for x in (q, k, v)]
        a = alpha.detach().requires_grad_(request["function"] == "alpha_entmax")
        context = attend(request["function"], *leaves, a, request["causal"])
        context.backward(grad)
        return [context.detach()] + [x.grad for x in leaves]

    return run


def time_calls(run):
    """Milliseconds of each call: two at least, for a moment at least."""
    times = []
    begin = time.perf_counter()
    while len(times) < 2 or (time.perf_counter() - begin < 0.04 and len(times) < 40):
        start = time.perf_counter()
        outputs = run()
        del outputs
        times.append((time.perf_counter() - start) * 1e3)
    return times


def main():
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        match request["do"]:
            case "versions":
                answer = versions()
            case "open":
                run = open_case(request)
                answer = write_outputs(run, request["dir"])
            case "time":
                answer = time_calls(run)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""entmax 1.3 and PyTorch, driven by ops/benches/entmax over stdin and stdout, one JSON a line."""

import json
import platform
import sys
import time
from pathlib import Path

import entmax
import numpy
import torch

MAPPINGS = {
    "softmax": lambda x, alpha: torch.softmax(x, dim=-1),
    "sparsemax": lambda x, alpha: entmax.sparsemax(x, dim=-1),
    "entmax15": lambda x, alpha: entmax.entmax15(x, dim=-1),
    "alpha_entmax": lambda x, alpha: entmax.entmax_bisect(x, alpha, dim=-1, n_iter=25),
    "sparsemax_topk512": lambda x, alpha: entmax.sparsemax(x, dim=-1, k=512),
    "entmax15_topk512": lambda x, alpha: entmax.entmax15(x, dim=-1, k=512),
    "entmax": lambda x, alpha: entmax.entmax_bisect(x, alpha, dim=-1, n_iter=50),
}
LOSSES = {
    "softmax": lambda x, y: torch.nn.functional.cross_entropy(x, y, reduction="none"),
    "sparsemax_topk512": lambda x, y: entmax.sparsemax_loss(x, y, k=512),
    "entmax15_topk512": lambda x, y: entmax.entmax15_loss(x, y, k=512),
}


def open_case(request):
    """The case as a function of nothing that returns its outputs."""
    directory = Path(request["dir"])

    def load(name, dtype, shape):
        return torch.from_numpy(numpy.fromfile(directory / name, dtype).reshape(shape))

    rows, n, op = request["rows"], request["n"], request["op"]
    scores = load("scores", numpy.float32, (rows, n))
    grad = load("grad", numpy.float32, (rows, n))
    alpha = load("alpha", numpy.float32, (rows, 1))
    targets = load("targets", numpy.int64, rows)

    def forward():
        with torch.no_grad():
            return [MAPPINGS[op](scores, alpha)]

    def forward_backward():
        x = scores.detach().requires_grad_()
        a = alpha.detach().requires_grad_(op == "alpha_entmax")
        y = MAPPINGS[op](x, a)
        y.backward(grad)
        return [y.detach(), x.grad] + ([a.grad] if a.grad is not None else [])

    def loss():
        x = scores.detach().requires_grad_()
        y = LOSSES[op](x, targets)
        y.sum().backward()
        return [y.detach(), x.grad]

    return {"fwd": forward, "fwd_bwd": forward_backward, "loss": loss}[request["pass"]]


def write_outputs(run, directory):
    outputs = run()
    for i, output in enumerate(outputs):
        output.contiguous().numpy().tofile(Path(directory) / f"output{i}")
    return len(outputs)


def time_calls(run):
    """Milliseconds of each call: three at least, for a moment at least."""
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begin < 0.04 and len(times) < 40):
        start = time.perf_counter()
        outputs = run()
        del outputs
        times.append((time.perf_counter() - start) * 1e3)
    return times


def versions():
    return (
        f"python {platform.python_version()}\ntorch {torch.__version__}\nentmax {entmax.__version__}\n"
        f"torch threads {torch.get_num_threads()}\n"
    )


def main():
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        match request["do"]:
            case "versions":
                answer = versions()
            case "map":
                scores = torch.tensor([request["scores"]], dtype=torch.float32)
                answer = MAPPINGS[request["function"]](scores, request["alpha"])[0].tolist()
            case "open":
                run = open_case(request)
                answer = write_outputs(run, request["dir"])
            case "time":
                answer = time_calls(run)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

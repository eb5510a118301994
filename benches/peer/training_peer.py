"""What the peers of training have in common: requests over stdin and stdout, one JSON a line, and the loop of a step.

A model of theirs is a `torch.nn.Module` whose call takes a batch and gives its loss, and that has

    load(weights)      takes over ours, by their names in our exports
    batch(tensors)     a batch as it reads it, of the tensors of one step
    start()            forgets what steps hand to each other
    groups(settings)   parameters with the factor of their learning rate and their weight decay
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file


def of_step(tensors, step):
    """The tensors of a step, by their names without its number."""
    start = f"{step:05}."
    return {name.removeprefix(start): x for name, x in tensors.items() if name.startswith(start)}


class Training:
    """So many steps from the same weights on the same batches, as often as it is asked for."""

    def __init__(self, request, model):
        self.directory = directory = Path(request["dir"])
        self.adam, self.lrs, self.model = request["adam"], request["lr"], model
        self.weights = load_file(directory / "weights.safetensors")
        tensors = load_file(directory / "batches.safetensors")
        self.batches = [model.batch(of_step(tensors, step)) for step in range(len(self.lrs))]
        self.forward = model

    def run(self):
        """Loss, norm of the gradient, and milliseconds of each step."""
        self.model.load(self.weights)
        self.model.start()
        self.model.train()
        adam = self.adam
        groups = [
            {"params": parameters, "factor": factor, "weight_decay": decay}
            for parameters, factor, decay in self.model.groups(adam)
        ]
        kind = torch.optim.AdamW if adam["weight_decay"] > 0 else torch.optim.Adam
        optimizer = kind(groups, lr=0.0, betas=(adam["beta_1"], adam["beta_2"]), eps=adam["epsilon"])
        steps = []
        for batch, lr in zip(self.batches, self.lrs):
            started = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = lr * group["factor"]
            loss = self.forward(batch)
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), adam["clip"])
            optimizer.step()
            steps.append((loss.item(), norm.item(), (time.perf_counter() - started) * 1e3))
        return steps

    def outputs(self):
        """What is compared with ours: losses and norms."""
        steps = self.run()
        return [torch.tensor([step[i] for step in steps]) for i in (0, 1)]

    def times(self):
        return [ms for _, _, ms in self.run()]

    def compile(self):
        """Goes over to torch.compile: the losses, or why not."""
        # Not what a run that was stopped has left half written.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(self.directory / "compiled")
        counters = torch._dynamo.utils.counters["stats"]
        self.forward = self.compiled = torch.compile(self.model, dynamic=False)
        try:
            losses = [loss for loss, _, _ in self.run()]
            before = counters["unique_graphs"]
            self.run()
        except Exception as error:  # whatever the compiler lacks, the rest is timed without it
            self.forward = self.model
            text = str(error).strip() or type(error).__name__
            return {"reason": text.splitlines()[0]}
        if counters["unique_graphs"] > before:
            self.forward = self.model
            return {"reason": "it compiles again at every pass over the same batches"}
        return {"losses": losses}

    def use(self, is_compiled):
        self.forward = self.compiled if is_compiled else self.model


def matmul_gflops(n=1024):
    """Of f32 matrix products [n, n] · [n, n] on all threads: the median of many."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    times, begin = [], time.perf_counter()
    with torch.no_grad():
        while time.perf_counter() - begin < 1:
            start = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - start)
    return 2 * n**3 / sorted(times)[len(times) // 2] / 1e9


def write(outputs, directory):
    for i, output in enumerate(outputs):
        output.to(torch.float32).contiguous().numpy().tofile(Path(directory) / f"output{i}")
    return len(outputs)


def versions(packages):
    lines = [f"python {platform.python_version()}", f"torch {torch.__version__}", f"numpy {numpy.__version__}"]
    lines += [f"{package.__name__} {package.__version__}" for package in packages]
    return "\n".join([*lines, f"torch threads {torch.get_num_threads()}", ""])


def serve(open_case, packages=()):
    """Answers requests until the input ends; `open_case` makes what has `outputs` and `times` of one."""
    opened = None
    for line in sys.stdin:
        request = json.loads(line)
        match request["do"]:
            case "threads":
                torch.set_num_threads(request["threads"])
                answer = torch.get_num_threads()
            case "versions":
                answer = versions(packages)
            case "matmul":
                answer = matmul_gflops()
            case "open":
                opened = open_case(request)
                answer = write(opened.outputs(), request["dir"])
            case "compile":
                answer = opened.compile()
            case "eager" | "compiled" as which:
                answer = opened.use(which == "compiled")
            case "time":
                answer = opened.times()
        print(json.dumps(answer), flush=True)

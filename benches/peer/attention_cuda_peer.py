"""Attention on an NVIDIA GPU, driven by ops/benches/attention over stdin and stdout, one JSON a line:
AdaSplash (v1 and v2, Triton), FlexAttention and scaled_dot_product_attention, in f16."""

import json
import sys
import time
from pathlib import Path

import numpy
import torch

BLOCK = 64
# FlexAttention's tiles must divide the mask's blocks.
TILES = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_M1": 32, "BLOCK_N1": 64, "BLOCK_M2": 64, "BLOCK_N2": 32}


def require_cuda():
    if not torch.cuda.is_available():
        sys.exit(
            "attention_cuda_peer.py: PyTorch finds no NVIDIA GPU; run `--cases gpu` on a machine with one, "
            "and a PyTorch built for CUDA (benches/peer/requirements-cuda.txt)"
        )


def versions():
    import adasplash
    import triton

    return "\n".join(
        [
            f"torch {torch.__version__}, CUDA {torch.version.cuda}, triton {triton.__version__}",
            f"adasplash {getattr(adasplash, '__version__', 'of unknown version')}",
            torch.cuda.get_device_name(),
        ]
    )


def block_mask(request, directory):
    """The mask of hidden blocks as FlexAttention takes it, none where nothing is hidden."""
    from torch.nn.attention.flex_attention import create_block_mask

    _, n_heads, n, _ = request["shape"]
    n_blocks = -(-n // BLOCK)
    flags = numpy.fromfile(directory / "blocks", numpy.uint8).reshape(n_heads, n_blocks, n_blocks)
    hidden = torch.from_numpy(flags).bool().cuda()
    causal = request["causal"]

    def sees(batch, head, query, key):
        seen = ~hidden[head, query // BLOCK, key // BLOCK]
        return seen & (query >= key) if causal else seen

    if not flags.any() and not causal:
        return None
    return create_block_mask(sees, None, n_heads, n, n, device="cuda", BLOCK_SIZE=BLOCK)


def function(request, directory):
    name, causal = request["function"], request["causal"]
    if name == "sdpa":
        attend = torch.nn.functional.scaled_dot_product_attention
        return lambda q, k, v: attend(q, k, v, is_causal=causal)
    if name == "flex":
        from torch.nn.attention.flex_attention import flex_attention

        mask, attend = block_mask(request, directory), torch.compile(flex_attention)
        return lambda q, k, v: attend(q, k, v, block_mask=mask, kernel_options=TILES)
    import adasplash

    if name == "adasplash":
        return lambda q, k, v: adasplash.adasplash_v1(q, k, v, alpha=1.5, is_causal=causal)
    if name == "adasplash2":
        return lambda q, k, v: adasplash.adasplash_v2(q, k, v)
    raise ValueError(f"no function {name}")


def open_case(request):
    """The case as a function of nothing that returns its outputs."""
    directory, shape = Path(request["dir"]), request["shape"]

    def load(name):
        values = numpy.fromfile(directory / name, numpy.float32).reshape(shape)
        return torch.from_numpy(values).to("cuda", torch.float16)

    q, k, v, grad = (load(name) for name in ("query", "key", "value", "grad"))
    attend = function(request, directory)

    def run():
        leaves = [x.detach().requires_grad_() for x in (q, k, v)]
        context = attend(*leaves)
        context.backward(grad)
        return [context.detach()] + [x.grad for x in leaves]

    return run


def write_outputs(run, directory):
    outputs = run()
    for i, output in enumerate(outputs):
        output.float().cpu().numpy().tofile(Path(directory) / f"output{i}")
    return len(outputs)


def time_calls(run):
    """Milliseconds of each call, by the device's events: two at least, for a moment at least."""
    times = []
    begin = time.perf_counter()
    while len(times) < 2 or (time.perf_counter() - begin < 0.2 and len(times) < 40):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        outputs = run()
        end.record()
        torch.cuda.synchronize()
        del outputs
        times.append(start.elapsed_time(end))
    return times


def main():
    require_cuda()
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

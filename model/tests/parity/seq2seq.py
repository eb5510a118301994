"""The encoder-decoder in plain PyTorch: logits and the losses of 50 Adam steps.

    python model/tests/parity/seq2seq.py

writes model/tests/parity/seq2seq.safetensors, to which model/tests/it/seq2seq/parity.rs holds ours.
Pinned: torch 2.9.0 on the CPU (pip install torch==2.9.0 numpy).
"""

import json
import math
import pathlib
import struct

import torch
import torch.nn.functional as F

SOURCE_VOCAB, TARGET_VOCAB, D, HEADS, D_FF, LAYERS = 30, 30, 32, 2, 48, 2
BATCHES, BATCH, SOURCE_LEN, TARGET_LEN = 10, 4, 7, 6
STEPS, LEARNING_RATE, BETAS, SMOOTHING = 50, 1e-3, (0.9, 0.98), 0.1
PAD = 1


def sparsemax(scores):
    """Projection onto the simplex: [z - tau]+ with sum 1."""
    z = scores.sort(dim=-1, descending=True).values
    k = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    inside = z.isfinite() & (1 + k * z > z.masked_fill(~z.isfinite(), 0).cumsum(-1))
    size = inside.sum(-1, keepdim=True)
    tau = (z.masked_fill(~inside, 0).sum(-1, keepdim=True) - 1) / size
    return (scores - tau).clamp(min=0)


def entmax15(scores):
    """[(z/2 - tau)+]^2 with sum 1."""
    half = scores / 2
    z = half.sort(dim=-1, descending=True).values
    finite = z.isfinite()
    z = z.masked_fill(~finite, 0)
    k = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    mean = z.cumsum(-1) / k
    spread = k * ((z * z).cumsum(-1) / k - mean * mean)
    tau = mean - ((1 - spread) / k).clamp(min=0).sqrt()
    size = (finite & (tau <= z)).sum(-1, keepdim=True)
    return (half - tau.gather(-1, size - 1)).clamp(min=0) ** 2


def linear(weights, name, n_in, n_out):
    bound = 1 / math.sqrt(n_in)
    weights[name + ".weight"] = torch.empty(n_in, n_out).uniform_(-bound, bound)
    weights[name + ".bias"] = torch.empty(n_out).uniform_(-bound, bound)


def norm(weights, name):
    weights[name + ".gamma"] = 1 + 0.1 * torch.randn(D)
    weights[name + ".beta"] = 0.1 * torch.randn(D)


def block(weights, name):
    for which in ("query", "key", "value", "output"):
        linear(weights, f"{name}.attention.{which}", D, D)
    norm(weights, name + ".norm")


def feed_forward(weights, name):
    linear(weights, name + ".expand", D, D_FF)
    linear(weights, name + ".reduce", D_FF, D)
    norm(weights, name + ".norm")


def make_weights(pre_norm, share_all):
    weights = {}
    if not share_all:
        weights["source_embedding"] = torch.randn(SOURCE_VOCAB, D) / math.sqrt(D)
    weights["target_embedding"] = torch.randn(TARGET_VOCAB, D) / math.sqrt(D)
    for i in range(LAYERS):
        block(weights, f"encoder.{i}.self_attention")
        feed_forward(weights, f"encoder.{i}.feed_forward")
        block(weights, f"decoder.{i}.self_attention")
        block(weights, f"decoder.{i}.cross_attention")
        feed_forward(weights, f"decoder.{i}.feed_forward")
    if pre_norm:
        norm(weights, "encoder_norm")
        norm(weights, "decoder_norm")
    return weights


def positions(padding):
    """fairseq's: the first token that is not padding is at padding_idx + 1 = 2."""
    place = (~padding).cumsum(1).clamp(min=1) + 1
    rate = torch.exp(torch.arange(D // 2, dtype=torch.float64) * -(math.log(10000) / (D // 2 - 1)))
    angle = place[..., None] * rate
    return torch.cat([angle.sin(), angle.cos()], -1).float()


class Seq2Seq:
    def __init__(self, case, weights):
        self.case, self.w = case, weights

    def affine(self, name, x):
        return x @ self.w[name + ".weight"] + self.w[name + ".bias"]

    def norm(self, name, x):
        return F.layer_norm(x, (D,), self.w[name + ".gamma"], self.w[name + ".beta"], 1e-5)

    def residual(self, name, x, f):
        if self.case["pre_norm"]:
            return x + f(self.norm(name + ".norm", x))
        return self.norm(name + ".norm", x + f(x))

    def attend(self, name, query, memory, hidden, normalizer):
        def split(x):
            return x.view(x.shape[0], x.shape[1], HEADS, D // HEADS).transpose(1, 2)

        q = split(self.affine(name + ".query", query))
        k, v = (split(self.affine(f"{name}.{which}", memory)) for which in ("key", "value"))
        scores = q @ k.transpose(2, 3) / math.sqrt(D // HEADS)
        context = normalizer(scores.masked_fill(hidden, float("-inf"))) @ v
        return self.affine(name + ".output", context.transpose(1, 2).flatten(2))

    def feed_forward(self, name, x):
        return self.residual(
            name, x, lambda x: self.affine(name + ".reduce", F.relu(self.affine(name + ".expand", x)))
        )

    def embed(self, table, tokens, padding):
        return F.embedding(tokens, self.w[table]) * math.sqrt(D) + positions(padding)

    def forward(self, source, source_padding, target):
        case, masks = self.case, self.case["masks"]
        table = "target_embedding" if case["share_all"] else "source_embedding"
        x = self.embed(table, source, source_padding)
        keys = source_padding[:, None, None, :]
        for i in range(LAYERS):
            name = f"encoder.{i}.self_attention"
            hidden = keys | masks["encoder_self"][i]
            x = self.residual(
                name, x, lambda x: self.attend(name + ".attention", x, x, hidden, case["encoder_self"])
            )
            x = self.feed_forward(f"encoder.{i}.feed_forward", x)
        memory = self.norm("encoder_norm", x) if case["pre_norm"] else x

        n = target.shape[1]
        x = self.embed("target_embedding", target, torch.zeros_like(target, dtype=torch.bool))
        causal = torch.ones(n, n, dtype=torch.bool).triu(1)
        for i in range(LAYERS):
            name = f"decoder.{i}.self_attention"
            hidden = causal | masks["decoder_self"][i]
            x = self.residual(
                name, x, lambda x: self.attend(name + ".attention", x, x, hidden, case["decoder_self"])
            )
            name = f"decoder.{i}.cross_attention"
            hidden = keys | masks["cross"][i]
            x = self.residual(
                name, x, lambda x: self.attend(name + ".attention", x, memory, hidden, case["cross"])
            )
            x = self.feed_forward(f"decoder.{i}.feed_forward", x)
        x = self.norm("decoder_norm", x) if case["pre_norm"] else x
        return x @ self.w["target_embedding"].T


def loss(logits, targets):
    """fairseq's label_smoothed_nll_loss, averaged over the targets that are not ignored."""
    log_p = F.log_softmax(logits, -1)
    counted = targets >= 0
    nll = -log_p.gather(-1, targets.clamp(min=0)[..., None])[..., 0][counted]
    smooth = -log_p.sum(-1)[counted]
    each = SMOOTHING / (log_p.shape[-1] - 1)
    return ((1 - SMOOTHING - each) * nll + each * smooth).mean()


def make_data(left):
    source = torch.randint(3, SOURCE_VOCAB, (BATCHES, BATCH, SOURCE_LEN))
    targets = torch.randint(3, TARGET_VOCAB, (BATCHES, BATCH, TARGET_LEN))
    gap = torch.randint(0, 4, (BATCHES, BATCH, 1))
    place = torch.arange(SOURCE_LEN)
    padding = place < gap if left else place >= SOURCE_LEN - gap
    source[padding] = PAD
    target = torch.cat([torch.full((BATCHES, BATCH, 1), 2), targets[..., :-1]], -1)
    targets[torch.arange(TARGET_LEN) >= TARGET_LEN - gap] = -1
    return source, padding, target, targets


def make_masks(some):
    """Random masks that leave the first column, so that every row sees a key."""
    shapes = {
        "encoder_self": (LAYERS, HEADS, SOURCE_LEN, SOURCE_LEN),
        "decoder_self": (LAYERS, HEADS, TARGET_LEN, TARGET_LEN),
        "cross": (LAYERS, HEADS, TARGET_LEN, SOURCE_LEN),
    }
    masks = {name: torch.rand(shape) < (0.4 if some else 0) for name, shape in shapes.items()}
    for mask in masks.values():
        mask[..., 0] = False
    return masks


def run(case, seed):
    torch.manual_seed(seed)
    case["masks"] = make_masks(case["masked"])
    weights = make_weights(case["pre_norm"], case["share_all"])
    out = {name: weight.clone() for name, weight in weights.items()}
    out |= {"masks." + name: mask.int() for name, mask in case["masks"].items()}
    source, padding, target, targets = make_data(case["left"])
    out |= {"source": source, "padding": padding, "target": target, "targets": targets}

    for weight in weights.values():
        weight.requires_grad_()
    model = Seq2Seq(case, weights)
    with torch.no_grad():
        out["logits"] = torch.stack(
            [model.forward(source[i], padding[i], target[i]) for i in range(2)]
        )
    adam = torch.optim.Adam(weights.values(), lr=LEARNING_RATE, betas=BETAS, eps=1e-8)
    losses = []
    for step in range(STEPS):
        i = step % BATCHES
        adam.zero_grad()
        value = loss(model.forward(source[i], padding[i], target[i]), targets[i])
        value.backward()
        adam.step()
        losses.append(value.item())
    out["losses"] = torch.tensor(losses)
    print(f"losses {losses[0]:.4f} ... {losses[-1]:.4f}")
    return out


def save(tensors, path):
    """The safetensors format: length of the header, header, values."""
    header, values = {}, b""
    for name, tensor in tensors.items():
        floating = tensor.is_floating_point()
        data = (tensor.float() if floating else tensor.int()).contiguous().numpy().tobytes()
        header[name] = {
            "dtype": "F32" if floating else "I32",
            "shape": list(tensor.shape),
            "data_offsets": [len(values), len(values) + len(data)],
        }
        values += data
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + values)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    assert torch.__version__.startswith("2.9.0"), torch.__version__
    torch.set_num_threads(1)
    softmax = lambda scores: F.softmax(scores, -1)
    cases = {
        "dense": dict(
            pre_norm=False, share_all=False, left=True, masked=False,
            encoder_self=softmax, decoder_self=softmax, cross=softmax,
        ),
        "sparse": dict(
            pre_norm=True, share_all=True, left=False, masked=True,
            encoder_self=entmax15, decoder_self=softmax, cross=sparsemax,
        ),
    }  # fmt: skip
    tensors = {}
    for seed, (name, case) in enumerate(cases.items(), start=1):
        tensors |= {f"{name}.{key}": tensor for key, tensor in run(case, seed).items()}
    save(tensors, pathlib.Path(__file__).with_suffix(".safetensors"))

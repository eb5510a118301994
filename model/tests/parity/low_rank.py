"""Linformer in lucidrains/linformer and Nyström attention in huggingface/transformers.

    python model/tests/parity/low_rank.py

writes model/tests/parity/low_rank.json, to which model/tests/it/mechanism/low_rank.rs holds ours. Pinned: torch 2.9.0 on
the CPU, linformer 0.2.3 (MIT), transformers 5.24.0 (Apache 2.0). The first Z of transformers is of one scale for a whole
batch; each head of each example is run alone, where that is the scale of its matrix. No position is padding, and the
segments are of equal length.
"""

import json
import pathlib

import torch
import transformers
from linformer.linformer import LinformerSelfAttention
from transformers.models.nystromformer.modeling_nystromformer import NystromformerSelfAttention

BATCH, HEADS, SEQ, WIDTH = 2, 2, 12, 4
RANK, LONGEST = 5, 15
LANDMARKS, KERNEL = 3, 5


def heads(rows):
    return rows.reshape(BATCH, SEQ, HEADS, WIDTH).transpose(1, 2)


def numbers(tensor):
    return tensor.detach().flatten().tolist()


def linformer(x, share):
    made = LinformerSelfAttention(HEADS * WIDTH, LONGEST, k=RANK, heads=HEADS, share_kv=share).double().eval()
    with torch.no_grad():
        # The package's start is too small to tell slots apart.
        for projection in [made.proj_k] if share else [made.proj_k, made.proj_v]:
            projection.mul_(3.0)
        made.to_q.weight.mul_(3.0)
        made.to_out.weight.copy_(torch.eye(HEADS * WIDTH))
        made.to_out.bias.zero_()
    value = made.to_k if share else made.to_v
    found = {
        "query": heads(made.to_q(x)),
        "key": heads(made.to_k(x)),
        "value": heads(value(x)),
        "key_projection": made.proj_k.T,
        "context": heads(made(x)),
    }
    if not share:
        found["value_projection"] = made.proj_v.T
    return {name: numbers(tensor) for name, tensor in found.items()}


def nystrom():
    config = transformers.NystromformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=1,
        num_landmarks=LANDMARKS,
        segment_means_seq_len=SEQ,
        conv_kernel_size=KERNEL,
        attention_probs_dropout_prob=0.0,
    )
    made = [NystromformerSelfAttention(config).double().eval() for _ in range(HEADS)]
    x = torch.randn(BATCH, SEQ, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        for head in made:
            head.query.weight.mul_(4.0)
            head.key.weight.mul_(4.0)

    def each(of):
        rows = [torch.stack([of(head, x[i : i + 1])[0] for head in made]) for i in range(BATCH)]
        return numbers(torch.stack(rows))

    return {
        "query": each(lambda head, x: head.query(x)),
        "key": each(lambda head, x: head.key(x)),
        "value": each(lambda head, x: head.value(x)),
        "convolution": numbers(torch.stack([head.conv.weight.flatten() for head in made])),
        "context": each(lambda head, x: head(x)[0]),
    }


def main():
    torch.manual_seed(14)
    x = torch.randn(BATCH, SEQ, HEADS * WIDTH, dtype=torch.float64)
    found = {
        "source": "linformer 0.2.3 (MIT), transformers 5.24.0 (Apache 2.0), torch 2.9.0, seed 14, f64",
        "shape": [BATCH, HEADS, SEQ, WIDTH],
        "rank": RANK,
        "longest": LONGEST,
        "landmarks": LANDMARKS,
        "kernel": KERNEL,
        "linformer": linformer(x, False),
        "linformer_key_value": linformer(x, True),
        "nystrom": nystrom(),
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

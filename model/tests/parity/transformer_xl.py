"""The authors' Transformer-XL: log-likelihoods of five segments with memory, and the losses of 25 Adam steps.

    git clone https://github.com/kimiyoung/transformer-xl && git -C transformer-xl checkout 44781ed
    python model/tests/parity/transformer_xl.py transformer-xl/pytorch

writes model/tests/parity/transformer_xl.safetensors, to which model/tests/it/transformer_xl/parity.rs holds ours.
Pinned: torch 2.9.0 on the CPU (pip install torch==2.9.0 numpy). The authors' code was written for PyTorch 0.4; `ADAPTED` is all
that is changed of it. It computes in f64, from weights that are f32.
"""

import json
import math
import pathlib
import struct
import sys
import types

import torch

VOCAB, D_MODEL, HEADS, D_HEAD, D_FF, LAYERS = 30, 16, 2, 6, 24, 2
SEGMENTS, BATCH, TGT_LEN, MEM_LEN = 5, 3, 4, 6
EVAL_TGT_LEN, EVAL_MEM_LEN = 3, 9
STEPS, LEARNING_RATE = 25, 5e-3

# Masks are booleans now, and torch for CPUs has no version of CUDA.
ADAPTED = {
    "mem_transformer.py": [(".byte()[:, :, None]", ".bool()[:, :, None]"), (".byte()[:,:,None]", ".bool()[:,:,None]")],
    "utils/proj_adaptive_softmax.py": [
        ("CUDA_MAJOR = int(torch.version.cuda.split('.')[0])\n", ""),
        ("CUDA_MINOR = int(torch.version.cuda.split('.')[1])\n", ""),
    ],
    "utils/log_uniform_sampler.py": [],
}

CASES = {
    # As published for WikiText-103 large: smaller vectors for rarer words, shared weights.
    "divided": dict(cutoffs=[10, 18], div_val=2),
    # d_embed differs from d_model, layers normalise first, far distances look alike, every query sees mem_len keys.
    "projected": dict(cutoffs=[8, 20], d_embed=10, pre_lnorm=True, clamp_len=4, same_length=True),
    # Nothing is shared between embedding and softmax; a short reach.
    "untied": dict(cutoffs=[12], div_val=2, d_embed=12, tied=False, clamp_len=2),
    # A plain softmax.
    "plain": dict(cutoffs=[], pre_lnorm=True),
}


def authors(folder):
    """Their modules by name."""
    for path, changes in ADAPTED.items():
        source = (folder / path).read_text()
        for old, new in changes:
            assert source.count(old) == 1, (path, old)
            source = source.replace(old, new)
        module = types.ModuleType(pathlib.Path(path).stem)
        sys.modules[module.__name__] = module
        source = source.replace("sys.path.append('utils')\n", "")
        if path != "mem_transformer.py":
            exec(compile(source, path, "exec"), module.__dict__)
        else:
            main = module, compile(source, path, "exec")
    exec(main[1], main[0].__dict__)
    return main[0].MemTransformerLM


def make(language_model, case):
    tied = case.get("tied", True)
    model = language_model(
        VOCAB, LAYERS, HEADS, D_MODEL, D_HEAD, D_FF, 0.0, 0.0,
        tie_weight=tied, d_embed=case.get("d_embed"), div_val=case.get("div_val", 1),
        tie_projs=[False] + [tied] * len(case["cutoffs"]), pre_lnorm=case.get("pre_lnorm", False),
        tgt_len=TGT_LEN, ext_len=0, mem_len=MEM_LEN, cutoffs=list(case["cutoffs"]),
        same_length=case.get("same_length", False), clamp_len=case.get("clamp_len", -1),
    )  # fmt: skip
    # Likelihoods in the order of the words, not of the clusters.
    model.crit.keep_order = True
    for name, parameter in model.named_parameters():
        if "layer_norm.weight" in name:
            values = 1 + 0.1 * torch.randn(parameter.shape)
        elif "emb_layers" in name or "crit.out_layers" in name and name.endswith(".weight"):
            values = torch.randn(parameter.shape) / math.sqrt(parameter.shape[-1])
        else:
            values = 0.3 * torch.randn(parameter.shape)
        parameter.data = values
    return model.double()


def weights(model, tied):
    """Under the names and in the layout of ours: maps are [in, out]."""
    out = {}
    d_heads = HEADS * D_HEAD
    for i, layer in enumerate(model.layers):
        attention, network = layer.dec_attn, layer.pos_ff
        maps = attention.qkv_net.weight.split(d_heads)
        for name, weight in zip(("query", "key", "value"), maps):
            out[f"layers.{i}.attention.{name}"] = weight.T
        out[f"layers.{i}.attention.position"] = attention.r_net.weight.T
        out[f"layers.{i}.attention.output"] = attention.o_net.weight.T
        for name, linear in (("expand", network.CoreNet[0]), ("reduce", network.CoreNet[3])):
            out[f"layers.{i}.feed_forward.{name}.weight"] = linear.weight.T
            out[f"layers.{i}.feed_forward.{name}.bias"] = linear.bias
        for name, norm in (("attention", attention.layer_norm), ("feed_forward", network.layer_norm)):
            out[f"layers.{i}.{name}.norm.gamma"] = norm.weight
            out[f"layers.{i}.{name}.norm.beta"] = norm.bias
    out |= {"content_bias": model.r_w_bias, "position_bias": model.r_r_bias}
    softmax = model.crit
    for i, table in enumerate(model.word_emb.emb_layers):
        out[f"embedding.tables.{i}"] = table.weight
        out[f"softmax.biases.{i}"] = softmax.out_layers[i].bias
        if not tied:
            out[f"softmax.weights.{i}"] = softmax.out_layers[i].weight
    for i, projection in enumerate(model.word_emb.emb_projs):
        out[f"embedding.projections.{i}"] = projection
    if softmax.n_clusters > 0:
        out |= {"softmax.cluster_weight": softmax.cluster_weight, "softmax.cluster_bias": softmax.cluster_bias}
    own = [p for i, p in enumerate(softmax.out_projs) if p is not None and (i == 0 or not tied)]
    out |= {f"softmax.projections.{i}": projection for i, projection in enumerate(own)}
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert n_parameters == sum(weight.numel() for weight in out.values())
    return {name: weight.detach().clone() for name, weight in out.items()}


def read(model, tokens, targets):
    """Hidden states and likelihoods of segments in a row, [segments, batch, seq, ...], and the last memory."""
    mems, hidden, nll = model.init_mems(), [], []
    for segment, words in zip(tokens, targets):
        states, mems_after = model._forward(segment.T.contiguous(), mems=mems)
        (loss, *again) = model(segment.T.contiguous(), words.T.contiguous(), *mems)
        assert all(torch.equal(a, b) for a, b in zip(mems_after, again))
        hidden.append(states.transpose(0, 1))
        nll.append(loss.T)
        mems = again
    # The authors keep the output of the last layer too, and never read it.
    memory = torch.stack([memory.transpose(0, 1) for memory in mems[:-1]])
    return torch.stack(hidden), torch.stack(nll), memory


def run(language_model, case, seed):
    torch.manual_seed(seed)
    model = make(language_model, case)
    out = weights(model, case.get("tied", True))
    text = torch.randint(0, VOCAB, (BATCH, SEGMENTS * TGT_LEN + 1))
    cut = lambda words, n: words.reshape(BATCH, -1, n).transpose(0, 1).contiguous()
    tokens, targets = cut(text[:, :-1], TGT_LEN), cut(text[:, 1:], TGT_LEN)
    out |= {"tokens": tokens, "targets": targets}

    model.eval()
    with torch.no_grad():
        out["hidden"], out["nll"], out["memory"] = read(model, tokens, targets)
        # Evaluation with a longer memory and shorter segments, as the authors' eval.py does.
        model.reset_length(EVAL_TGT_LEN, 0, EVAL_MEM_LEN)
        same_length, model.same_length = model.same_length, True
        whole = SEGMENTS * TGT_LEN // EVAL_TGT_LEN * EVAL_TGT_LEN
        evaluated = [cut(words, EVAL_TGT_LEN) for words in (text[:, :whole], text[:, 1 : whole + 1])]
        out["eval_tokens"], out["eval_targets"] = evaluated
        _, out["eval_nll"], _ = read(model, *evaluated)
        model.reset_length(TGT_LEN, 0, MEM_LEN)
        model.same_length = same_length

    model.train()
    adam = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)
    losses, mems = [], tuple()
    for step in range(STEPS):
        i = step % SEGMENTS
        adam.zero_grad()
        (loss, *mems) = model(tokens[i].T.contiguous(), targets[i].T.contiguous(), *mems)
        loss = loss.mean()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    out["losses"] = torch.tensor(losses)
    print(f"losses {losses[0]:.4f} ... {losses[-1]:.4f}, likelihoods {out['nll'].min():.3f} to {out['nll'].max():.3f}")
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
    language_model = authors(pathlib.Path(sys.argv[1]))
    tensors = {}
    for seed, (name, case) in enumerate(CASES.items(), start=1):
        tensors |= {f"{name}.{key}": tensor for key, tensor in run(language_model, case, seed).items()}
    save(tensors, pathlib.Path(__file__).with_suffix(".safetensors"))

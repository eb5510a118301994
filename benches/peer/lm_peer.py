"""Transformer-XL in PyTorch, for the case train/lm of experiments/benches/training.

The network of kimiyoung/transformer-xl (Dai et al. 2019), `MemTransformerLM` with attention type 0, written anew from its
structure: [length, batch] tensors, one product for queries, keys and values of memory and segment, the position term by
`rel_shift`, memory of every layer's input, a tied softmax without clusters. Trained as its train.py does: Adam, the
gradient clipped by its norm.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from training_peer import Training, serve


def rel_shift(x):
    """[queries, keys, batch, heads] by distance → by key (appendix B of the paper)."""
    padding = x.new_zeros(x.size(0), 1, *x.shape[2:])
    padded = torch.cat([padding, x], 1).view(x.size(1) + 1, x.size(0), *x.shape[2:])
    return padded[1:].view_as(x)


class RelativeAttention(nn.Module):
    """`RelPartialLearnableMultiHeadAttn`."""

    def __init__(self, c):
        super().__init__()
        d_model, self.n_heads, self.d_head = c["d_model"], c["n_heads"], c["d_head"]
        width = self.n_heads * self.d_head
        self.qkv_net = nn.Linear(d_model, 3 * width, bias=False)
        self.r_net = nn.Linear(d_model, width, bias=False)
        self.o_net = nn.Linear(width, d_model, bias=False)
        self.layer_norm = nn.LayerNorm(d_model)
        self.drop, self.dropatt = nn.Dropout(c["dropout"]), nn.Dropout(c["dropatt"])
        self.pre_norm, self.scale = c["pre_norm"], self.d_head**-0.5

    def forward(self, w, r, r_w_bias, r_r_bias, hidden, memory):
        queries, batch = w.shape[:2]
        both = w if memory is None else torch.cat([memory, w], 0)
        q, k, v = self.qkv_net(self.layer_norm(both) if self.pre_norm else both).chunk(3, -1)
        q = q[-queries:].reshape(queries, batch, self.n_heads, self.d_head)
        k, v = (x.reshape(-1, batch, self.n_heads, self.d_head) for x in (k, v))
        r = self.r_net(r).view(-1, self.n_heads, self.d_head)
        content = torch.einsum("ibnd,jbnd->ijbn", q + r_w_bias, k)
        position = rel_shift(torch.einsum("ibnd,jnd->ijbn", q + r_r_bias, r))
        score = (content + position).mul(self.scale)
        score = score.masked_fill(hidden[:, :, None, None], -float("inf"))
        weights = self.dropatt(score.softmax(1))
        context = torch.einsum("ijbn,jbnd->ibnd", weights, v)
        out = self.drop(self.o_net(context.reshape(queries, batch, -1)))
        return w + out if self.pre_norm else self.layer_norm(w + out)


class PositionwiseFF(nn.Module):
    def __init__(self, c):
        super().__init__()
        d_model, d_ff, drop = c["d_model"], c["d_ff"], nn.Dropout(c["dropout"])
        self.CoreNet = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), drop, nn.Linear(d_ff, d_model), drop)
        self.layer_norm, self.pre_norm = nn.LayerNorm(d_model), c["pre_norm"]

    def forward(self, x):
        if self.pre_norm:
            return x + self.CoreNet(self.layer_norm(x))
        return self.layer_norm(x + self.CoreNet(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dec_attn, self.pos_ff = RelativeAttention(c), PositionwiseFF(c)

    def forward(self, x, *rest):
        return self.pos_ff(self.dec_attn(x, *rest))


class MemTransformerLM(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, d_model = c, c["d_model"]
        self.word_emb = nn.Embedding(c["vocab_size"], d_model)
        self.out_bias = nn.Parameter(torch.zeros(c["vocab_size"]))
        self.r_w_bias, self.r_r_bias = (nn.Parameter(torch.zeros(c["n_heads"], c["d_head"])) for _ in range(2))
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["n_layers"]))
        self.drop = nn.Dropout(c["dropout"])
        self.register_buffer("frequencies", 1 / 10000 ** (torch.arange(0.0, d_model, 2.0) / d_model))
        self.mems = None

    def load(self, weights):
        weights = dict(weights)
        names = {"word_emb.weight": "word_emb.emb_layers.0.weight", "out_bias": "crit.out_layers.0.bias"}
        state = {own: weights.pop(name) for own, name in names.items()}
        for i in range(len(self.layers)):
            name = f"layers.{i}.dec_attn"
            parts = [weights.pop(f"{name}.{part}_net.weight") for part in "qkv"]
            state[f"{name}.qkv_net.weight"] = torch.cat(parts)
        state |= weights | {"frequencies": self.frequencies}
        self.load_state_dict(state)

    def batch(self, tensors):
        starts = bool(tensors["starts"].item())
        return starts, tensors["input"].t().contiguous(), tensors["target"].t().contiguous()

    def start(self):
        self.mems = None

    def groups(self, settings):
        return [(list(self.parameters()), 1.0, settings["weight_decay"])]

    def update(self, hidden):
        """The last `mem_len` inputs of each layer, without gradient."""
        with torch.no_grad():
            before = self.mems or [None] * len(hidden)
            both = [x if old is None else torch.cat([old, x], 0) for old, x in zip(before, hidden)]
            return [x[-self.c["mem_len"] :].detach() for x in both]

    def forward(self, batch):
        starts, words, target = batch
        if starts:
            self.mems = None
        mems = self.mems or [None] * len(self.layers)
        queries, past = words.size(0), 0 if self.mems is None else self.mems[0].size(0)
        x = self.drop(self.word_emb(words) * math.sqrt(self.c["d_model"]))
        hidden = torch.ones(queries, past + queries, dtype=torch.bool).triu(1 + past)
        distances = torch.arange(past + queries - 1, -1, -1.0)
        angles = torch.outer(distances, self.frequencies)
        r = self.drop(torch.cat([angles.sin(), angles.cos()], -1))
        inputs = []
        for layer, memory in zip(self.layers, mems):
            inputs.append(x)
            x = layer(x, r, self.r_w_bias, self.r_r_bias, hidden, memory)
        self.mems = self.update(inputs)
        logits = F.linear(self.drop(x).flatten(0, 1), self.word_emb.weight, self.out_bias)
        return -F.log_softmax(logits, -1).gather(1, target.reshape(-1, 1)).mean()


if __name__ == "__main__":
    serve(lambda request: Training(request, MemTransformerLM(request["sizes"])))

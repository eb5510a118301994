"""An encoder-decoder in PyTorch with the names of fairseq, for the cases train/iwslt-… and decode/… of
experiments/benches/training.

Attention is softmax (scaled_dot_product_attention) or entmax15 (of entmax 1.3). Beam search keeps keys and values from step
to step, those of the source once a sentence.
"""

import math
import time
from pathlib import Path

import entmax
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from training_peer import Training, serve

END = 2


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.n_heads, self.normalizer = c["n_heads"], c["normalizer"]
        maps = (nn.Linear(c["d_model"], c["d_model"]) for _ in range(4))
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = maps

    def split(self, x):
        return x.view(x.shape[0], -1, self.n_heads, x.shape[-1] // self.n_heads).transpose(1, 2)

    def keys(self, x):
        return self.split(self.k_proj(x)), self.split(self.v_proj(x))

    def forward(self, x, keys, hidden=None):
        query, (key, value) = self.split(self.q_proj(x)), keys
        if self.normalizer == "softmax":
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=hidden)
        else:
            scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
            context = entmax.entmax15(scores if hidden is None else scores + hidden, dim=-1) @ value
        return self.out_proj(context.transpose(1, 2).reshape(x.shape))


class Layer(nn.Module):
    """Pre-norm."""

    def __init__(self, c, with_cross):
        super().__init__()
        d_model, d_ff, self.dropout = c["d_model"], c["d_ff"], c["dropout"]
        self.self_attn, self.self_attn_layer_norm = Attention(c), nn.LayerNorm(d_model)
        if with_cross:
            self.encoder_attn, self.encoder_attn_layer_norm = Attention(c), nn.LayerNorm(d_model)
        self.fc1, self.fc2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.final_layer_norm = nn.LayerNorm(d_model)

    def forward(self, x, hidden, memory=None, cache=None):
        drop = lambda y: F.dropout(y, self.dropout, self.training)
        y = self.self_attn_layer_norm(x)
        keys = self.self_attn.keys(y)
        if cache:
            keys = tuple(torch.cat([old, new], 2) for old, new in zip(cache, keys))
        x = x + drop(self.self_attn(y, keys, hidden))
        if memory is not None:
            x = x + drop(self.encoder_attn(self.encoder_attn_layer_norm(x), *memory))
        return x + drop(self.fc2(F.relu(self.fc1(self.final_layer_norm(x))))), keys


class Stack(nn.Module):
    def __init__(self, c, n_layers, with_cross):
        super().__init__()
        self.layers = nn.ModuleList(Layer(c, with_cross) for _ in range(n_layers))
        self.layer_norm = nn.LayerNorm(c["d_model"])


def places(c):
    """fairseq's sinusoids; the first position is the number of the padding token and one."""
    half = c["d_model"] // 2
    rates = torch.exp(torch.arange(half).double() * -(math.log(1e4) / (half - 1)))
    angles = (2 + torch.arange(512).double())[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1).float()


class Model(nn.Module):
    """One table of word vectors for source, target and output."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.encoder = Stack(c, c["n_encoder_layers"], False)
        self.decoder = Stack(c, c["n_decoder_layers"], True)
        self.decoder.embed_tokens = nn.Embedding(c["vocab_size"], c["d_model"])
        self.register_buffer("positions", places(c), persistent=False)

    def load(self, weights):
        self.load_state_dict(weights)

    def start(self):
        pass

    def groups(self, settings):
        return [(list(self.parameters()), 1.0, settings["weight_decay"])]

    def batch(self, tensors):
        names = ("source", "padding", "input", "target")
        source, padding, target, output = (tensors[name] for name in names)
        return source, padding, target, output

    def embed(self, tokens, start=0):
        x = self.decoder.embed_tokens(tokens) * math.sqrt(self.c["d_model"])
        x = x + self.positions[start : start + tokens.shape[1]]
        return F.dropout(x, self.c["dropout"], self.training)

    def encode(self, source, padding):
        """Keys of the source for each layer of the decoder, and what is hidden of them."""
        hidden = None
        if padding is not None and padding.any():
            hidden = torch.zeros(padding.shape).masked_fill(padding, -1e9)[:, None, None]
        x = self.embed(source)
        for layer in self.encoder.layers:
            x, _ = layer(x, hidden)
        x = self.encoder.layer_norm(x)
        return [(layer.encoder_attn.keys(x), hidden) for layer in self.decoder.layers]

    def scores(self, x):
        return F.linear(self.decoder.layer_norm(x), self.decoder.embed_tokens.weight)

    def forward(self, batch):
        """The loss of label-smoothed cross-entropy, the mean over the target's tokens."""
        source, padding, target, output = batch
        memory = self.encode(source, padding)
        x = self.embed(target)
        later = torch.full((target.shape[1],) * 2, -1e9).triu(1)
        for layer, keys in zip(self.decoder.layers, memory):
            x, _ = layer(x, later, keys)
        log_p = F.log_softmax(self.scores(x).flatten(0, 1), -1)
        output = output.flatten()
        ignored = output < 0
        nll = -log_p.gather(-1, output.clamp(min=0)[:, None])[:, 0]
        smoothing, rest = self.c["label_smoothing"], self.c["label_smoothing"] / (log_p.shape[1] - 1)
        loss = (1 - smoothing - rest) * nll - rest * log_p.sum(-1)
        return loss.masked_fill(ignored, 0).sum() / (~ignored).sum()

    def step(self, tokens, position, memory, caches):
        x = self.embed(tokens, position)
        for i, (layer, keys) in enumerate(zip(self.decoder.layers, memory)):
            x, caches[i] = layer(x, None, keys, caches[i])
        return F.log_softmax(self.scores(x)[:, -1], -1)


class Decoding:
    """Beam search for translations of a given length."""

    def __init__(self, request):
        self.sizes, self.search = request["sizes"], request["search"]
        directory = Path(request["dir"])
        self.model = Model(self.sizes).eval()
        self.model.load(load_file(directory / "weights.safetensors"))
        source = load_file(directory / "batches.safetensors")["source"]
        self.parts = source.split(self.search["batch"])

    @torch.no_grad()
    def translate(self, source):
        """The best translation of each sentence, and its log-probability, the end included."""
        beam, length, vocab, n = self.search["beam"], self.search["length"], self.sizes["vocab_size"], len(source)
        repeat = lambda x: x.repeat_interleave(beam, 0)
        memory = [(tuple(map(repeat, keys)), hidden) for keys, hidden in self.model.encode(source, None)]
        caches = [()] * len(memory)
        tokens = torch.full((n * beam, 1), END)
        scores = torch.full((n, beam), -math.inf)
        scores[:, 0] = 0
        first = torch.arange(n)[:, None] * beam
        for position in range(length):
            log_p = self.model.step(tokens[:, -1:], position, memory, caches)
            log_p[:, self.search["never"]] = -math.inf
            scores, best = (scores[:, :, None] + log_p.view(n, beam, vocab)).view(n, -1).topk(beam)
            parent = (first + best // vocab).view(-1)
            tokens = torch.cat([tokens[parent], (best % vocab).view(-1, 1)], 1)
            if beam > 1:
                caches = [tuple(x[parent] for x in cache) for cache in caches]
        log_p = self.model.step(tokens[:, -1:], length, memory, caches)
        scores, best = (scores + log_p[:, END].view(n, beam)).max(1)
        return scores, tokens.view(n, beam, -1)[torch.arange(n), best, 1:]

    def outputs(self):
        found = [self.translate(source) for source in self.parts]
        return [torch.cat([part[i] for part in found]) for i in (0, 1)]

    def times(self):
        started = time.perf_counter()
        for source in self.parts:
            self.translate(source)
        return [(time.perf_counter() - started) * 1e3]


def open_case(request):
    return Decoding(request) if "search" in request else Training(request, Model(request["sizes"]))


if __name__ == "__main__":
    serve(open_case, [entmax])

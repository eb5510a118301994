"""Speed of an encoder-decoder in PyTorch eager, for experiments/benches/translation.rs.

    python seq2seq_peer.py train|decode NORMALIZER VOCAB D_MODEL D_FF N_LAYERS BATCH LENGTH STEPS

NORMALIZER is softmax (scaled_dot_product_attention) or entmax15 (of entmax 1.3). Prints target tokens a
second: of forward, backward and Adam with dropout and label smoothing; or of beam search with 5 hypotheses,
keys and values kept from step to step. torch 2.9.0, entmax 1.3.
"""

import math
import sys
import time

import torch
import torch.nn.functional as F
from entmax import entmax15
from torch import nn

mode, normalizer = sys.argv[1:3]
vocab, d_model, d_ff, n_layers, batch, length, steps = map(int, sys.argv[3:10])
N_HEADS, BEAM, DROPOUT = 4, 5, 0.1


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(d_model, d_model) for _ in range(4))

    def split(self, x):
        return x.view(x.shape[0], -1, N_HEADS, d_model // N_HEADS).transpose(1, 2)

    def keys(self, x):
        return self.split(self.key(x)), self.split(self.value(x))

    def forward(self, x, keys, hidden=None):
        query, (key, value) = self.split(self.query(x)), keys
        if normalizer == "softmax":
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=hidden)
        else:
            scores = query @ key.transpose(-1, -2) / math.sqrt(d_model // N_HEADS)
            context = entmax15(scores if hidden is None else scores + hidden, dim=-1) @ value
        return self.out(context.transpose(1, 2).reshape(x.shape))


class Layer(nn.Module):
    """Pre-norm."""

    def __init__(self, with_cross):
        super().__init__()
        self.own, self.norm = Attention(), nn.LayerNorm(d_model)
        self.cross = Attention() if with_cross else None
        self.cross_norm = nn.LayerNorm(d_model)
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.ff_norm = nn.LayerNorm(d_model)

    def forward(self, x, hidden, memory_keys=None, cache=None):
        drop = lambda y: F.dropout(y, DROPOUT, self.training)
        y = self.norm(x)
        keys = self.own.keys(y)
        if cache is not None:
            keys = tuple(torch.cat([old, new], 2) for old, new in zip(cache, keys)) if cache else keys
        x = x + drop(self.own(y, keys, hidden))
        if self.cross:
            x = x + drop(self.cross(self.cross_norm(x), memory_keys))
        return x + drop(self.down(F.relu(self.up(self.ff_norm(x))))), keys


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(vocab, d_model)
        nn.init.normal_(self.words.weight, 0, d_model**-0.5)
        self.encoder = nn.ModuleList(Layer(False) for _ in range(n_layers))
        self.decoder = nn.ModuleList(Layer(True) for _ in range(n_layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        rates = torch.exp(torch.arange(d_model // 2) * -(math.log(1e4) / (d_model // 2 - 1)))
        angles = torch.arange(512)[:, None] * rates
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], 1))

    def embed(self, tokens, start=0):
        x = self.words(tokens) * math.sqrt(d_model) + self.positions[start : start + tokens.shape[1]]
        return F.dropout(x, DROPOUT, self.training)

    def encode(self, source):
        x = self.embed(source)
        for layer in self.encoder:
            x, _ = layer(x, None)
        x = self.encoder_norm(x)
        return [layer.cross.keys(x) for layer in self.decoder]

    def forward(self, source, target):
        memory = self.encode(source)
        x = self.embed(target)
        hidden = torch.full((target.shape[1],) * 2, -1e9).triu(1)
        for layer, keys in zip(self.decoder, memory):
            x, _ = layer(x, hidden, keys)
        return F.linear(self.decoder_norm(x), self.words.weight)

    def step(self, tokens, position, memory, caches):
        x = self.embed(tokens, position)
        for i, (layer, keys) in enumerate(zip(self.decoder, memory)):
            x, caches[i] = layer(x, None, keys, caches[i])
        return F.log_softmax(F.linear(self.decoder_norm(x), self.words.weight)[:, -1], -1)


@torch.no_grad()
def beam_search(model, source):
    repeat = lambda x: x.repeat_interleave(BEAM, 0)
    memory = [tuple(map(repeat, keys)) for keys in model.encode(source)]
    caches = [() for _ in range(n_layers)]
    tokens = torch.full((batch * BEAM, 1), 2)
    scores = torch.full((batch, BEAM), -math.inf)
    scores[:, 0] = 0
    first = torch.arange(batch)[:, None] * BEAM
    for position in range(length):
        log_p = model.step(tokens[:, -1:], position, memory, caches).view(batch, BEAM, vocab)
        scores, best = (scores[:, :, None] + log_p).view(batch, -1).topk(BEAM)
        parent = (first + best // vocab).view(-1)
        tokens = torch.cat([tokens[parent], (best % vocab).view(-1, 1)], 1)
        caches = [tuple(x[parent] for x in cache) for cache in caches]
    return tokens


def label_smoothed(logits, target, smoothing=0.1):
    log_p = F.log_softmax(logits.view(-1, vocab), -1)
    nll = -log_p.gather(-1, target.view(-1, 1))
    rest = smoothing / (vocab - 1)
    return ((1 - smoothing - rest) * nll - rest * log_p.sum(-1, keepdim=True)).mean()


def words(salt):
    place = torch.arange(batch * length)
    return (4 + (place * 7919 + salt) % (vocab - 4)).view(batch, length)


model = Model()
source, target, output = words(0), words(1), words(2)
if mode == "train":
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    for step in range(steps + 1):
        if step == 1:
            started = time.perf_counter()
        loss = label_smoothed(model(source, target), output)
        loss.item()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
else:
    model.eval()
    for step in range(steps + 1):
        if step == 1:
            started = time.perf_counter()
        beam_search(model, source)
print(steps * batch * length / (time.perf_counter() - started))

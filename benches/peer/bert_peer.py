"""Training speed of BERT in PyTorch eager, for experiments/benches/bert.rs.

    python bert_peer.py N_LAYERS BATCH SEQ STEPS

prints examples a second of forward, backward and AdamW, dropout on, attention as transformers chooses it
(scaled_dot_product_attention). torch 2.9.0, transformers 4.57.6.
"""

import sys
import time

import torch
from transformers import BertConfig, BertForSequenceClassification

layers, batch, seq, steps = map(int, sys.argv[1:5])
model = BertForSequenceClassification(
    BertConfig(
        hidden_size=384,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=2,
    )
).train()
matrices = [p for p in model.parameters() if p.dim() > 1]
vectors = [p for p in model.parameters() if p.dim() <= 1]
groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=2e-5)
place = torch.arange(batch * seq)
tokens = (1000 + place * 7919 % 29_000).view(batch, seq)
attended = (torch.arange(seq) < seq * 2 // 3).long().expand(batch, seq)
labels = torch.arange(batch) % 2
for step in range(steps + 1):
    if step == 1:
        started = time.perf_counter()
    loss = model(input_ids=tokens, attention_mask=attended, labels=labels).loss
    loss.item()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
print(steps * batch / (time.perf_counter() - started))

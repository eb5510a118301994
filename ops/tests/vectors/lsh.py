"""LSH attention in huggingface/transformers and lucidrains/reformer-pytorch: contexts for the same vectors.

    python ops/tests/vectors/lsh.py

writes ops/tests/vectors/lsh_vectors.json, to which ops/tests/it/attention/lsh.rs holds ours. Pinned: torch 2.9.0 on the CPU,
transformers 5.24.0 (Apache 2.0), reformer-pytorch 1.4.4 (MIT; pip install --no-deps reformer-pytorch==1.4.4
axial-positional-embedding==0.3.12 product-key-memory==0.3.0 local-attention==1.11.2 einops==0.8.2
colt5-attention==0.11.2 hyper-connections==0.4.11). Both wrap around from a round's first chunk to the chunk before it in the list of
all rounds. The second one divides scores by √d and can count a pair once, or hide other buckets. Its counts miss pairs that it
finds by wrapping around from another round: it takes log(1e-9) for log 0, which gives them 10⁹ times the weight, so that
counting once is taken from it with one round, or with other buckets hidden, where nothing wraps.
"""

import json
import pathlib

import torch
from reformer_pytorch.reformer_pytorch import LSHAttention
from transformers import ReformerConfig
from transformers.models.reformer.modeling_reformer import LSHSelfAttention

BATCH, HEADS, N, WIDTH = 2, 2, 24, 4
CHUNK, BUCKETS, SEED = 4, 8, 5
UNPADDED = [24, 17]


def rounded(tensor, digits=6):
    return [round(x, digits) for x in tensor.detach().double().flatten().tolist()]


def identity(linear):
    with torch.no_grad():
        linear.weight.copy_(torch.eye(linear.weight.shape[0]))


def merged(heads):
    return heads.transpose(1, 2).reshape(BATCH, N, HEADS * WIDTH)


def transformers_case(query, value, rounds, causal, padded):
    config = ReformerConfig(
        attention_head_size=WIDTH, num_attention_heads=HEADS, hidden_size=HEADS * WIDTH, attn_layers=["lsh"],
        lsh_attn_chunk_length=CHUNK, num_buckets=BUCKETS, num_hashes=rounds, hash_seed=SEED, is_decoder=causal,
        lsh_attention_probs_dropout_prob=0.0,
    )
    layer = LSHSelfAttention(config, layer_idx=0).double().eval()
    identity(layer.query_key)
    # Queries and values are of different numbers: the value map reads what the query map leaves out.
    layer.value = torch.nn.Identity()
    hidden = merged(query)
    layer.value.forward = lambda _: merged(value)
    mask = torch.tensor([[j < n for j in range(N)] for n in UNPADDED]) if padded else None
    found = layer(hidden, attention_mask=mask)
    torch.manual_seed(SEED)
    rotations = torch.randn(HEADS, WIDTH, rounds, BUCKETS // 2, dtype=torch.float64)
    context = found.hidden_states.reshape(BATCH, N, HEADS, WIDTH).transpose(1, 2)
    # Buckets of the rounds are counted on; padding has a bucket of its own.
    per_round = BUCKETS + int(padded)
    buckets = found.buckets - per_round * torch.arange(rounds).reshape(1, 1, rounds, 1)
    return {
        "rounds": rounds, "causal": causal, "padded": padded, "duplicates": True, "same_bucket": False, "scaled": False,
        "rotations": rounded(rotations.permute(0, 2, 1, 3)), "buckets": buckets.flatten().tolist(), "context": rounded(context),
    }


def reformer_case(query, value, rounds, causal, duplicates, same_bucket):
    torch.manual_seed(SEED)
    layer = LSHAttention(
        bucket_size=CHUNK, n_hashes=rounds, causal=causal, allow_duplicate_attention=duplicates,
        attend_across_buckets=not same_bucket,
    ).double().eval()
    rows = lambda heads: heads.reshape(BATCH * HEADS, N, WIDTH)
    context, _, buckets = layer(rows(query), rows(value))
    n_buckets = N // CHUNK
    buckets = buckets.reshape(BATCH, HEADS, rounds, N) - n_buckets * torch.arange(rounds).reshape(1, 1, rounds, 1)
    return {
        "rounds": rounds, "causal": causal, "padded": False, "duplicates": duplicates, "same_bucket": same_bucket,
        "scaled": True, "rotations": None, "buckets": buckets.flatten().tolist(), "context": rounded(context),
    }


def main():
    torch.manual_seed(14)
    query = 1.5 * torch.randn(BATCH, HEADS, N, WIDTH, dtype=torch.float64)
    value = torch.randn(BATCH, HEADS, N, WIDTH, dtype=torch.float64)
    query, value = (torch.round(x, decimals=4) for x in (query, value))
    cases = [
        transformers_case(query, value, rounds, causal, padded)
        for rounds in (1, 2, 4) for causal, padded in ((False, False), (True, False), (False, True))
    ]
    cases += [
        reformer_case(query, value, rounds, causal, duplicates, same_bucket)
        for rounds in (1, 3) for causal in (False, True)
        for duplicates, same_bucket in ((True, False), (False, False), (True, True), (False, True))
        if rounds == 1 or duplicates or same_bucket
    ]
    file = {
        "by": "transformers 5.24.0 (the first nine), reformer-pytorch 1.4.4", "shape": [BATCH, HEADS, N, WIDTH], "chunk": CHUNK,
        "unpadded": UNPADDED, "query": rounded(query), "value": rounded(value), "cases": cases,
    }
    path = pathlib.Path(__file__).with_name("lsh_vectors.json")
    path.write_text(json.dumps(file, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

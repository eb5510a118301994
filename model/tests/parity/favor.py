"""FAVOR+ in lucidrains/performer-pytorch: contexts of both kernels, with and without a causal mask.

    python model/tests/parity/favor.py

writes model/tests/parity/favor.json, to which model/tests/it/mechanism/favor.rs holds ours. Pinned: torch 2.9.0 on
the CPU, performer-pytorch 1.1.4 (MIT; pip install --no-deps performer-pytorch==1.1.4 einops==0.8.2
local-attention==1.11.2 axial-positional-embedding==0.3.12 hyper-connections==0.4.11). The constants that the package adds
to features and sums are 0: with them, later keys change earlier rows.
"""

import json
import pathlib

import torch
from performer_pytorch.performer_pytorch import (
    causal_linear_attention_noncuda,
    gaussian_orthogonal_random_matrix,
    generalized_kernel,
    linear_attention,
    softmax_kernel,
)

SHAPE = [2, 2, 9, 4]
FEATURES = 10


def main():
    torch.manual_seed(14)
    query, key, value = (torch.randn(SHAPE, dtype=torch.float64) for _ in range(3))
    query, key = 1.5 * query, 1.5 * key
    projection = gaussian_orthogonal_random_matrix(FEATURES, SHAPE[-1]).double()

    def softmax(x, is_query):
        return softmax_kernel(x, projection_matrix=projection, is_query=is_query, eps=0.0)

    def relu(x, is_query):
        return generalized_kernel(x, projection_matrix=projection)

    contexts = {}
    for name, kernel in [("favor", softmax), ("favor_relu", relu)]:
        phi = kernel(query, True), kernel(key, False)
        contexts[name] = linear_attention(*phi, value)
        contexts[name + " causal"] = causal_linear_attention_noncuda(*phi, value, chunk_size=4, eps=0.0)
    found = {
        "source": "performer-pytorch 1.1.4 (MIT), torch 2.9.0, seed 14, f64",
        "shape": SHAPE,
        "features": FEATURES,
        "query": query.flatten().tolist(),
        "key": key.flatten().tolist(),
        "value": value.flatten().tolist(),
        "projection": projection.flatten().tolist(),
        "contexts": {name: context.flatten().tolist() for name, context in contexts.items()},
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

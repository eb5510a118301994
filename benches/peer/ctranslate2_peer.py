"""Beam search by CTranslate2 (float32), for the cases decode/… of experiments/benches/training.

Our weights, by the names of fairseq, go into its specification of a Transformer; the length of translations is given, as for
the others. Their end has no step of its own here.
"""

import os
import tempfile
import time
from pathlib import Path

import ctranslate2
import numpy
import torch
from ctranslate2.converters.utils import fuse_linear
from ctranslate2.specs import TransformerSpec
from ctranslate2.specs.common_spec import LinearSpec
from safetensors.numpy import load_file
from seq2seq_peer import places
from training_peer import serve

END = 2


def converted(c, weights, folder):
    """Writes a model folder."""

    def linear(spec, name):
        spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]

    def norm(spec, name):
        spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]

    def fused(spec, name, parts):
        maps = [LinearSpec() for _ in parts]
        for own, part in zip(maps, parts):
            linear(own, f"{name}.{part}_proj")
        fuse_linear(spec, maps)

    spec = TransformerSpec.from_config((c["n_encoder_layers"], c["n_decoder_layers"]), c["n_heads"], pre_norm=True)
    table = weights["decoder.embed_tokens.weight"]
    for stack, own in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        embeddings = own.embeddings[0] if isinstance(own.embeddings, list) else own.embeddings
        embeddings.weight = table
        own.scale_embeddings = c["d_model"] ** 0.5
        own.position_encodings.encodings = places(c).numpy()
        norm(own.layer_norm, f"{stack}.layer_norm")
        for i, layer in enumerate(own.layer):
            name = f"{stack}.layers.{i}"
            fused(layer.self_attention.linear[0], f"{name}.self_attn", "qkv")
            linear(layer.self_attention.linear[1], f"{name}.self_attn.out_proj")
            norm(layer.self_attention.layer_norm, f"{name}.self_attn_layer_norm")
            if stack == "decoder":
                linear(layer.attention.linear[0], f"{name}.encoder_attn.q_proj")
                fused(layer.attention.linear[1], f"{name}.encoder_attn", "kv")
                linear(layer.attention.linear[2], f"{name}.encoder_attn.out_proj")
                norm(layer.attention.layer_norm, f"{name}.encoder_attn_layer_norm")
            linear(layer.ffn.linear_0, f"{name}.fc1")
            linear(layer.ffn.linear_1, f"{name}.fc2")
            norm(layer.ffn.layer_norm, f"{name}.final_layer_norm")
    spec.decoder.projection.weight = table
    words = [f"w{i}" for i in range(c["vocab_size"])]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.bos_token = spec.config.eos_token = spec.config.decoder_start_token = f"w{END}"
    spec.config.unk_token = "w3"
    spec.validate()
    spec.optimize()
    spec.save(folder)


class Decoding:
    def __init__(self, request):
        self.search, directory = request["search"], Path(request["dir"])
        weights = load_file(directory / "weights.safetensors")
        source = load_file(directory / "batches.safetensors")["source"]
        with tempfile.TemporaryDirectory() as folder:
            converted(request["sizes"], weights, folder)
            self.translator = ctranslate2.Translator(
                folder,
                device="cpu",
                compute_type="float32",
                inter_threads=1,
                intra_threads=torch.get_num_threads(),
            )
        sentences, batch = [[f"w{i}" for i in row] for row in source], self.search["batch"]
        self.parts = [sentences[i : i + batch] for i in range(0, len(sentences), batch)]
        self.never = [[f"w{i}"] for i in self.search["never"] if i != END]

    def translate(self):
        results = []
        for sentences in self.parts:
            results += self.translator.translate_batch(
                sentences,
                beam_size=self.search["beam"],
                length_penalty=1,
                min_decoding_length=self.search["length"],
                max_decoding_length=self.search["length"],
                max_input_length=0,
                suppress_sequences=self.never,
                return_scores=True,
            )
        return results

    def outputs(self):
        results = self.translate()
        scores = [result.scores[0] * len(result.hypotheses[0]) for result in results]
        tokens = [[int(word[1:]) for word in result.hypotheses[0]] for result in results]
        return [torch.tensor(scores), torch.tensor(tokens)]

    def times(self):
        started = time.perf_counter()
        self.translate()
        return [(time.perf_counter() - started) * 1e3]


if __name__ == "__main__":
    os.environ.setdefault("CT2_VERBOSE", "-1")
    serve(Decoding, [ctranslate2])

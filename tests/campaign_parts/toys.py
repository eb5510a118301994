"""The tables that are disturbed: every program at toy size."""
import json
import pathlib
import random
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]

EVERY = ["train.log_every=1", "train.checkpoint_every=3", "train.valid_every=4"]
LM = [*EVERY, "train.steps=10", "train.warmup_steps=2", "retrain.steps=4", "retrain.warmup_steps=1", "model.n_layers=1",
      "model.d_model=32", "model.n_heads=2", "model.d_head=16", "model.d_ff=64", "model.tgt_len=16", "model.mem_len=16",
      "train.batch_size=4", "data.vocab_size=200", "data.train_tokens=4000", "data.valid_tokens=200",
      "data.test_tokens=200", "prune.p=[0,50]", "prune.random_masks=[0,1]"]
IWSLT = [*EVERY, "train.steps=10", "train.warmup_steps=2", "retrain.steps=4", "retrain.warmup_steps=1",
         "model.n_encoder_layers=1", "model.n_decoder_layers=1", "model.d_model=32", "model.n_heads=2", "model.d_ff=64",
         "train.max_tokens=300", "train.grad_accum=2", "data.bpe_merges=200", "data.train_pairs=300",
         "data.valid_pairs=20", "data.test_pairs=20", "eval.beam_size=2", "prune.p=[0,50]", "prune.random_masks=[0,1]",
         'prune.softmax=["cross"]', "prune.entmax15=[]", 'model.normalizers=["softmax", "alpha_entmax"]']
BERT = ["model.network=\"bert\""]
TEXTS = [*EVERY, *BERT, "train.steps=5", "data.max_len=24", "train.batch_size=4", "observe.examples=16", "prune.p=[0,80]",
         "prune.random_masks=[0,0]"]
MASKED = [*EVERY, *BERT, "train.steps=5", "train.warmup_steps=2", "retrain.steps=4", "retrain.warmup_steps=1", "data.max_len=24",
          "data.train_windows=40", "data.valid_windows=8", "data.test_windows=12", "train.batch_size=4",
          "observe.windows=16", "prune.p=[0,50]", "prune.random_masks=[0,1]"]

# Name of a table → program and recipe.
TABLES = {
    "lm": ("lm", LM),
    "iwslt": ("iwslt", [*IWSLT, 'train.keep="best_loss"']),
    "iwslt-average": ("iwslt", [*IWSLT, 'train.keep="average"', "train.average=3", "train.average_every=2"]),
    "glue": ("glue", [*TEXTS, "data.train_examples=40", "data.valid_examples=8", "data.test_examples=12"]),
    "squad": ("squad", [*TEXTS, "data.max_question=12", "data.stride=8", "data.train_windows=24",
                        "data.test_questions=8", "cost.batches=1"]),
    "mlm": ("mlm", MASKED),
}
PROGRAMS = ["lm", "iwslt", "glue", "squad", "mlm"]


def write_bert(folder):
    """A toy BERT as published files: the weights that ship are large enough to make every step slow."""
    d, d_ff, n_layers, n_places = 8, 16, 2, 32
    tokenizer = (ROOT / "experiments/data/minilm-l3/tokenizer.json").read_bytes()
    n_words = len(json.loads(tokenizer)["model"]["vocab"])
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(tokenizer)
    config = {"model_type": "bert", "hidden_size": d, "hidden_act": "gelu", "vocab_size": n_words, "num_attention_heads": 2,
              "type_vocab_size": 2, "max_position_embeddings": n_places, "num_hidden_layers": n_layers,
              "intermediate_size": d_ff, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {"embeddings.word_embeddings.weight": [n_words, d], "embeddings.position_embeddings.weight": [n_places, d],
              "embeddings.token_type_embeddings.weight": [2, d]}

    def linear(name, outputs, inputs):
        shapes[f"{name}.bias"] = [outputs]
        shapes[f"{name}.weight"] = [outputs, inputs] if inputs else [outputs]

    linear("embeddings.LayerNorm", d, 0)
    for layer in range(n_layers):
        for name, outputs, inputs in [("attention.self.query", d, d), ("attention.self.key", d, d),
                                      ("attention.self.value", d, d), ("attention.output.dense", d, d),
                                      ("attention.output.LayerNorm", d, 0), ("intermediate.dense", d_ff, d),
                                      ("output.dense", d, d_ff), ("output.LayerNorm", d, 0)]:
            linear(f"encoder.layer.{layer}.{name}", outputs, inputs)
    header, data, numbers = {}, b"", random.Random(1)
    for name, shape in sorted(shapes.items()):
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        part = struct.pack(f"<{n}f", *(numbers.uniform(-0.4, 0.4) for _ in range(n)))
        header[f"bert.{name}"] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)

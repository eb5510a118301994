#!/usr/bin/env python3
"""What `tokenizers` makes of text by small tokenizers of the published kinds, for the tests of `tokenize::pretrained` to be
held to.

    pip install tokenizers==0.23.3
    pretrained.py
        learns them on the shipped paragraphs and writes tests/parity/pretrained.json: each `tokenizer.json` with ids, token
        types and byte offsets of some texts and pairs, some of them cut
"""
import json
import lzma
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
TEXTS = [
    ("The <mask> of Warsaw, naïve café – 日本 e\u0301!", None, None),
    ("  Two  spaces\tand a tab ", "\u00a0\u2028 x\u200d", None),
    ("antidisestablishmentarianism is a COOL-Token of cool-tokens, cool-token.", "Is it?", None),
    ("Where did Super Bowl 50 take place, and who won?", "It was played on February 7, 2016, at Levi's Stadium.", 24),
    ("a b c d e f g h", None, 8),
    ("", "", None),
    ("😀 \ud55c\uae00 ½ ﬁ", "[MASK] </s> <s>", 20),
]


def contexts():
    with lzma.open(HERE / "../../data/new_wiki_v1.0.json.xz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    return [paragraph["context"] for article in articles for paragraph in article["paragraphs"]][:100]


def roberta():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(contexts(), trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def albert():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(contexts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


def distilbert():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(contexts(), trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_tokens(["COOL-Token", AddedToken("won", single_word=True)])
    return tokenizer


def byte_offsets(text, offsets):
    starts = [0]
    for char in text or "":
        starts.append(starts[-1] + len(char.encode()))
    return [[starts[start], starts[end]] for start, end in offsets]


def case(tokenizer, first, second, max_len):
    if max_len is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_len)
    encoding = tokenizer.encode(first, second)
    texts = [first, second]
    offsets = [byte_offsets(None if at is None else texts[at], [offset])[0] if at is not None else [0, 0]
               for at, offset in zip(encoding.sequence_ids, encoding.offsets)]
    return {"first": first, "second": second, "max_len": max_len or 512, "ids": encoding.ids, "types": encoding.type_ids, "offsets": offsets}


def main():
    out = {}
    for make in [roberta, albert, distilbert]:
        tokenizer = make()
        file = json.loads(tokenizer.to_str())
        out[make.__name__] = {"file": file, "cases": [case(tokenizer, *texts) for texts in TEXTS]}
    path = HERE / "pretrained.json"
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path.stat().st_size, "bytes")


main()

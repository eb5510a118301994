//! Masks, patterns, checkpoints and published weights.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use burn::tensor::TensorData;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sparta_experiments::train::{Checkpoint, Identity, SavedMoments};
use sparta_model::import::{Weights, read_bert_config};
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, CellRule, GlobalMask, Grid, IndexSets, PatternHeader,
    Placement, Scope, Semantics, StaticPattern,
};

use super::super::{Corpus, Target};

/// A pattern of two types of attention, of which the first `static` ones see a pattern of cells.
fn pattern(kept: Option<IndexSets>) -> AttentionPattern {
    let grid = |n_rows, rule| Grid {
        n_heads: 2,
        n_rows,
        n_cols: 6,
        rule,
    };
    let grids = [
        (
            AttentionType::DecoderSelf,
            grid(4, CellRule::Causal { memory: 2 }),
        ),
        (AttentionType::EncoderSelf, grid(6, CellRule::Full)),
    ];
    let mut header = PatternHeader::new("corpus", "model");
    for (kind, grid) in grids {
        header = header.with(kind, 0, grid);
    }
    if let Some(kept) = kept {
        header = header.with_static(AttentionType::EncoderSelf, 1, kept.into());
    }
    let mut pattern = AttentionPattern::new(header);
    for (kind, grid) in grids {
        let hidden = kept.filter(|_| kind == AttentionType::EncoderSelf);
        let hidden = hidden.map(|kept| {
            StaticPattern::from(kept).cells(grid.rule, [grid.n_heads, grid.n_rows, grid.n_cols])
        });
        let is_seen = |at: usize| {
            let (row, col) = (at / grid.n_cols % grid.n_rows, at % grid.n_cols);
            grid.rule.is_legal(row, col) && hidden.as_ref().is_none_or(|hidden| !hidden[at])
        };
        let sum = |at: usize| if is_seen(at) { at as f64 / 60.0 } else { 0.0 };
        let sums: Vec<f64> = (0..2 * grid.n_rows * 6).map(sum).collect();
        pattern
            .observe_sum(kind, 0, &sums, [2, grid.n_rows, 6], 2, &Placement::at(0, 0))
            .expect("it fits");
    }
    pattern
}

/// The bytes that `save` writes.
fn saved(save: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    save(&path);
    fs::read(&path).expect("it was written")
}

/// A safetensors file with this header and no data.
fn header_alone(header: &str) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes
}

/// A file of masks or patterns as earlier versions wrote it, without a checksum of its header that ends all alterations there.
fn of_earlier_version(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes"));
    let (header, data) = rest.split_at(usize::try_from(length).expect("a header"));
    let mut header: serde_json::Value = serde_json::from_slice(header).expect("a header");
    let metadata = header["__metadata__"].as_object_mut().expect("metadata");
    metadata.remove("metadata_checksum").expect("a checksum");
    [header_alone(&header.to_string()), data.to_vec()].concat()
}

const GRID_WORDS: &[&str] = &[
    "heads=",
    "rows=",
    "cols=",
    "rule=full",
    "rule=causal:0",
    "local(w=2)",
    "strided(l=2,form=merged)",
    "encoder-self.0",
    "cross.1",
    "\"shape\":[0,0,0]",
    "\"data_offsets\":[0,0]",
    "\"dtype\":\"U64\"",
    "__metadata__",
    "paper",
    "head",
    "block_size",
    "weigh",
    "uses",
];

/// Masks.
pub const MASK: Target = Target {
    name: "mask",
    corpus: || {
        let mask = |kept, p, scope, semantics| {
            let mask =
                GlobalMask::from_pattern(&pattern(kept), p, scope, semantics).expect("a mask");
            saved(|path| mask.save(path).expect("saved"))
        };
        let blocks = GlobalMask::from_pattern_in_blocks(&pattern(None), 0.5, Scope::Head, 2)
            .expect("a mask");
        let by_uses =
            GlobalMask::from_pattern_by_uses(&pattern(None), 0.5, Scope::Layer).expect("a mask");
        let today = [
            mask(None, 0.5, Scope::Head, Semantics::Corrected),
            mask(
                Some(IndexSets::Local { w: 2 }),
                0.3,
                Scope::Head,
                Semantics::Corrected,
            ),
            saved(|path| by_uses.save(path).expect("saved")),
            saved(|path| blocks.save(path).expect("saved")),
        ];
        let earlier = today.each_ref().map(|file| of_earlier_version(file));
        Corpus::of(today.into_iter().chain(earlier))
        .and([
            // Heads without cells: as many as one likes, in a file of no bytes.
            header_alone(
                r#"{"__metadata__":{"format":"sparta-global-mask","version":"1","checksum":"cbf29ce484222325","kind":"ap","p":"0.5","scope":"head","semantics":"corrected","corpus":"c","model":"m","grid.cross.0":"heads=1099511627776 rows=0 cols=0 rule=full"},"cross.0.hidden":{"dtype":"U64","shape":[1099511627776,0,0],"data_offsets":[0,0]},"cross.0.observed":{"dtype":"U64","shape":[0,0],"data_offsets":[0,0]}}"#,
            ),
            header_alone(
                r#"{"__metadata__":{"format":"sparta-global-mask","version":"1","checksum":"cbf29ce484222325","kind":"ap","p":"0.5","scope":"head","semantics":"corrected","corpus":"c","model":"m","grid.cross.0":"heads=0 rows=1099511627776 cols=64 rule=full","static.cross.0":"local(w=2)"},"cross.0.hidden":{"dtype":"U64","shape":[0,1099511627776,1],"data_offsets":[0,0]},"cross.0.observed":{"dtype":"U64","shape":[1099511627776,0],"data_offsets":[0,0]}}"#,
            ),
        ])
        .with_words(GRID_WORDS)
    },
    open: |folder| {
        let path = folder.join("mask.safetensors");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(mask) = GlobalMask::load(&path) else {
                return false;
            };
            for (kind, layer) in mask.layers().collect::<Vec<_>>() {
                let grid = *mask.grid(kind, layer).expect("its own layer");
                let _ = mask.cells(kind, layer, 7, 7).expect("its own layer");
                let _ = mask.block_layout(kind, layer, 8, 8, 2);
                let _ = (mask.bounds(kind, layer), grid.legal_per_head());
            }
            let _ = GlobalMask::random_like(&mask, 1);
            true
        })
    },
};

/// Patterns.
pub const PATTERN: Target = Target {
    name: "pattern",
    corpus: || {
        let file = |kept| saved(|path| pattern(kept).save(path).expect("saved"));
        let today = [file(None), file(Some(IndexSets::Local { w: 2 }))];
        let earlier = today.each_ref().map(|file| of_earlier_version(file));
        Corpus::of(today.into_iter().chain(earlier))
            .and([header_alone(
                r#"{"__metadata__":{"format":"sparta-attention-pattern","version":"1","checksum":"cbf29ce484222325","corpus":"c","model":"m","padding":"left-out","padding_seen":"false","grid.cross.0":"heads=0 rows=1099511627776 cols=1 rule=full"},"cross.0.sum":{"dtype":"F64","shape":[0,1099511627776,1],"data_offsets":[0,0]},"cross.0.count":{"dtype":"U64","shape":[1099511627776,0],"data_offsets":[0,0]}}"#,
            )])
            .with_words(GRID_WORDS)
    },
    open: |folder| {
        let path = folder.join("pattern.safetensors");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(pattern) = AttentionPattern::load(&path) else {
                return false;
            };
            for semantics in [Semantics::Corrected, Semantics::Paper] {
                let _ = GlobalMask::from_pattern(&pattern, 0.5, Scope::Head, semantics);
            }
            let _ = GlobalMask::from_pattern_in_blocks(&pattern, 0.5, Scope::Head, 2);
            if let Ok(mask) = GlobalMask::from_pattern_by_uses(&pattern, 0.5, Scope::Model) {
                let _ =
                    GlobalMask::random_like_by_uses(&mask, &pattern, 1).expect("its own pattern");
            }
            true
        })
    },
};

fn identity() -> Identity {
    Identity {
        recipe_hash: "0123456789abcdef".to_owned(),
        seed: 1,
        run: "dense".to_owned(),
    }
}

/// Checkpoints and models.
pub const CHECKPOINT: Target = Target {
    name: "checkpoint",
    corpus: || {
        let tensor =
            |n: usize| TensorData::new((0..n).map(|i| i as f32).collect::<Vec<_>>(), [n / 2, 2]);
        let moments = SavedMoments {
            time: 3,
            first: tensor(4),
            second: tensor(4),
        };
        let checkpoint = Checkpoint {
            owes_validation: false,
            patience: None,
            loss_scale: None,
            identity: identity(),
            step: 3,
            seconds: 1.5,
            window: (2.5, 3),
            model: BTreeMap::from([
                ("a.weight".to_owned(), tensor(4)),
                ("b".to_owned(), tensor(6)),
            ]),
            optimizer: BTreeMap::from([("a.weight".to_owned(), moments)]),
            by: Vec::new(),
            attention: None,
            state: BTreeMap::from([("memory.0".to_owned(), tensor(2))]),
        };
        let today = saved(|path| checkpoint.save(path).expect("saved"));
        // As earlier versions wrote them, without a checksum that ends all alterations.
        let header = r#"{"format":"sparta-checkpoint-1","identity":{"recipe_hash":"0123456789abcdef","seed":1,"run":"dense"},"step":3,"seconds":1.5,"window_bits":4611686018427387904,"window_len":3,"times":{"a.weight":3}}"#;
        let bytes = [0_u8; 16];
        let view = || TensorView::new(Dtype::F32, vec![2, 2], &bytes).expect("a view");
        let names = [
            "model.a.weight",
            "adam.first.a.weight",
            "adam.second.a.weight",
            "carried.m",
        ];
        let metadata = HashMap::from([("sparta".to_owned(), header.to_owned())]);
        let earlier = safetensors::serialize(names.map(|name| (name, view())), Some(metadata))
            .expect("a file");
        let other = String::from_utf8_lossy(&earlier).replace("0123456789abcdef", "1234567é9abcde");
        Corpus::of([today, earlier])
            .and([other.into_bytes()])
            .with_words(&[
                "model.",
                "adam.first.",
                "adam.second.",
                "carried.",
                "__metadata__",
                "\\\"sha256\\\":\\\"",
                "\"F16\"",
                "\"shape\":[0]",
                "\\\"attention\\\":{}",
                "\\\"loss_scale\\\":{\\\"exponent\\\":16,\\\"good_steps\\\":0,\\\"skipped\\\":0},",
                "\\\"times\\\"",
                "é",
            ])
    },
    open: |folder| {
        let path = folder.join("checkpoint.safetensors");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let read = Checkpoint::load(&path, &identity());
            read.map_err(|error| format!("{error:#}")).is_ok()
        })
    },
};

/// Published weights as safetensors.
pub const SAFETENSORS: Target = Target {
    name: "weights-safetensors",
    corpus: || {
        let bytes: Vec<u8> = (0..32).collect();
        let view = |dtype, shape: &[usize], n: usize| {
            TensorView::new(dtype, shape.to_vec(), &bytes[..n]).expect("a view")
        };
        let tensors = [
            (
                "embeddings.word_embeddings.weight",
                view(Dtype::F32, &[4, 2], 32),
            ),
            ("bert.pooler.dense.bias", view(Dtype::F16, &[4], 8)),
            (
                "encoder.layer.0.output.LayerNorm.gamma",
                view(Dtype::BF16, &[4], 8),
            ),
            ("packed.q4", view(Dtype::U8, &[16], 16)),
            ("packed.scales", view(Dtype::F16, &[1], 2)),
        ];
        Corpus::of([safetensors::serialize(tensors, None).expect("a file")]).with_words(&[
            ".q4",
            ".scales",
            "\"F32\"",
            "\"BF16\"",
            "\"U8\"",
            "\"shape\":[0,9223372036854775807]",
            "\"data_offsets\":[0,0]",
        ])
    },
    open: |folder| {
        let path = folder.join("model.safetensors");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(weights) = Weights::read(&path) else {
                return false;
            };
            let _ = weights.renamed(|name| name.trim_start_matches("bert.").to_owned());
            true
        })
    },
};

/// Published weights as PyTorch writes them.
pub const PYTORCH: Target = Target {
    name: "weights-pytorch",
    corpus: || Corpus::of([include_bytes!("../../../../../model/tests/parity/bert.bin").to_vec()]),
    open: |folder| {
        let path = folder.join("pytorch_model.bin");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            Weights::read(&path)
                .map_err(|error| error.to_string())
                .is_ok()
        })
    },
};

/// The `config.json` of a BERT.
pub const BERT_CONFIG: Target = Target {
    name: "bert-config",
    corpus: || {
        Corpus::of([
            r#"{"model_type": "bert", "vocab_size": 12, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 2, "max_position_embeddings": 10, "type_vocab_size": 2, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "layer_norm_eps": 1e-12, "initializer_range": 0.02, "position_embedding_type": "absolute", "is_decoder": false}"#,
            r#"{"hidden_size": 8, "hidden_act": "gelu", "initializer_range": 0.02, "vocab_size": 12, "hidden_dropout_prob": 0.1, "num_attention_heads": 2, "type_vocab_size": 2, "max_position_embeddings": 10, "num_hidden_layers": 2, "intermediate_size": 16, "attention_probs_dropout_prob": 0.1}"#,
        ])
        .with_words(&["\"roberta\"", "\"gelu_new\"", "\"relative_key\"", "1e400", "0.9999999999999999"])
    },
    open: |_| {
        Box::new(|bytes| {
            let published = read_bert_config(&String::from_utf8_lossy(bytes));
            published
                .map_err(|error| error.to_string())
                .is_ok_and(|published| {
                    // A network that can be built is one whose size can be said.
                    published.config.vocab_size > 0
                })
        })
    },
};

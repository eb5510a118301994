//! Every attention mechanism, held to each ability that it claims.
//!
//! A new mechanism does not compile here until it has a place in the catalogue, and stays red until
//! what it claims is so.

mod abilities;
mod empty;
mod favor;
mod gradients;
mod low_rank;
mod lsh;
mod observe;
mod parts;
mod pattern;
mod scale;

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_model::bert::BertConfig;
use sparta_model::layer::mechanism::{
    Abilities, DotProductConfig, FavorConfig, FavorKernel, HeadShape, LinformerConfig, LshConfig,
    Mechanism, MechanismConfig, NormalizerConfig, NystromConfig, RfaConfig,
};
use sparta_model::seq2seq::Seq2SeqConfig;
use sparta_model::transformer_xl::TransformerXlConfig;
use sparta_ops::attention::AttentionOptions;
use sparta_ops::pruning::AttentionType;

use crate::values;

/// One of each kind of mechanism, in the order of [`MechanismConfig::WORDS`].
const CATALOGUE: [MechanismConfig; MechanismConfig::WORDS.len()] = [
    dot_product(NormalizerConfig::Softmax),
    dot_product(NormalizerConfig::Sparsemax),
    dot_product(NormalizerConfig::Entmax15),
    dot_product(NormalizerConfig::Entmax { alpha: 1.3 }),
    dot_product(NormalizerConfig::AlphaEntmax { alpha_min: None }),
    dot_product(NormalizerConfig::Fusedmax { lambda: 0.1 }),
    dot_product(NormalizerConfig::Oscarmax { lambda: 0.01 }),
    MechanismConfig::Favor(FavorConfig::new(FavorKernel::Softmax).with_features(64)),
    MechanismConfig::Favor(FavorConfig::new(FavorKernel::Relu).with_features(64)),
    MechanismConfig::Rfa(RfaConfig::new(false).with_frequencies(64)),
    MechanismConfig::Rfa(RfaConfig::new(true).with_frequencies(64)),
    MechanismConfig::Linformer(LinformerConfig::new(false).with_rank(5)),
    MechanismConfig::Linformer(LinformerConfig::new(true).with_rank(5)),
    // Fewer landmarks than keys.
    MechanismConfig::Nystrom(NystromConfig {
        landmarks: 3,
        convolution: 3,
        iterations: 6,
    }),
    // One chunk; several are in `lsh`.
    MechanismConfig::Lsh(LshConfig::new().with_chunk(32)),
];

const fn dot_product(normalizer: NormalizerConfig) -> MechanismConfig {
    MechanismConfig::DotProduct(DotProductConfig::new(normalizer))
}

/// The place of each kind in the catalogue.
fn place(config: &MechanismConfig) -> usize {
    match config {
        MechanismConfig::DotProduct(settings) => match settings.normalizer {
            NormalizerConfig::Softmax => 0,
            NormalizerConfig::Sparsemax => 1,
            NormalizerConfig::Entmax15 => 2,
            NormalizerConfig::Entmax { .. } => 3,
            NormalizerConfig::AlphaEntmax { .. } => 4,
            NormalizerConfig::Fusedmax { .. } => 5,
            NormalizerConfig::Oscarmax { .. } => 6,
        },
        MechanismConfig::Favor(favor) => match favor.kernel {
            FavorKernel::Softmax => 7,
            FavorKernel::Relu => 8,
        },
        MechanismConfig::Rfa(RfaConfig { gate: false, .. }) => 9,
        MechanismConfig::Rfa(RfaConfig { gate: true, .. }) => 10,
        MechanismConfig::Linformer(LinformerConfig { slots: false, .. }) => 11,
        MechanismConfig::Linformer(LinformerConfig { slots: true, .. }) => 12,
        MechanismConfig::Nystrom(_) => 13,
        MechanismConfig::Lsh(_) => 14,
    }
}

/// The mechanism of a kind that something is.
macro_rules! of_kind {
    ($kind:ident, $mechanism:expr) => {
        match $mechanism {
            Mechanism::$kind(made) => made,
            other => panic!("not {}: {other:?}", stringify!($kind)),
        }
    };
}
use of_kind;

const BATCH: usize = 3;
const SEQ: usize = 7;
const SHAPE: HeadShape = HeadShape {
    d_model: 16,
    n_heads: 2,
    d_head: 8,
    max_len: Some(2 * SEQ),
};

/// Numbers in (−1, 1) that look random but are the same in every run.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    next();
    (0..n).map(|_| next()).collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let data = TensorData::new(numbers(shape.iter().product(), seed), shape);
    Tensor::from_data(data, device)
}

fn heads(batch: usize, seq: usize, seed: u64, device: &Device) -> Tensor<4> {
    // Scores far enough apart for the sparse maps to give zeros.
    tensor([batch, SHAPE.n_heads, seq, SHAPE.d_head], seed, device).mul_scalar(2.0)
}

fn cells<const D: usize>(
    shape: [usize; D],
    device: &Device,
    hidden: impl Fn(usize) -> bool,
) -> Tensor<D, Bool> {
    let cells: Vec<bool> = (0..shape.iter().product()).map(hidden).collect();
    Tensor::from_data(TensorData::new(cells, shape), device)
}

/// Dot-product attention with each of its parts, and with several.
const WITH_PARTS: [&str; 5] = [
    "softmax+span(r=2.5,s=14,start=1.3)",
    "entmax15+span(r=2.5,s=14,start=2)",
    "softmax+gate(start=1)",
    "alpha_entmax+gate(lambda=0.01)",
    "softmax+span(r=3.5,s=14,start=full)+gate",
];

/// Every mechanism, with parts and without.
fn every() -> Vec<MechanismConfig> {
    let with_parts = WITH_PARTS.map(|words| words.parse().unwrap());
    CATALOGUE.into_iter().chain(with_parts).collect()
}

/// How a key counts by its place among the keys.
#[derive(PartialEq)]
enum Places {
    /// Not at all.
    None,
    /// By its distance: before and after are alike.
    Distances,
    /// Each place has a part of its own.
    Each,
}

fn places(config: &MechanismConfig) -> Places {
    match config {
        MechanismConfig::DotProduct(settings) => match (settings.pattern, settings.span) {
            (Some(_), _) => Places::Each,
            (None, Some(_)) => Places::Distances,
            (None, None) => Places::None,
        },
        MechanismConfig::Favor(_) | MechanismConfig::Rfa(_) => Places::None,
        MechanismConfig::Linformer(_) | MechanismConfig::Nystrom(_) => Places::Each,
        // One chunk holds every key.
        MechanismConfig::Lsh(_) => Places::None,
    }
}

/// Every mechanism with an ability; there must be one, or the test says nothing.
fn able(has: impl Fn(Abilities) -> bool) -> Vec<MechanismConfig> {
    let able: Vec<_> = (every().into_iter())
        .filter(|config| has(config.abilities()))
        .collect();
    assert!(!able.is_empty(), "no mechanism has this ability");
    able
}

fn inputs(batch: usize, seq: usize, device: &Device) -> [Tensor<4>; 3] {
    [1, 2, 3].map(|seed| heads(batch, seq, seed, device))
}

#[test]
fn every_mechanism_is_in_the_catalogue_and_has_its_words() {
    for (i, (config, words)) in CATALOGUE.iter().zip(MechanismConfig::WORDS).enumerate() {
        assert_eq!(place(config), i, "{config}");
        let read: MechanismConfig = words.parse().unwrap();
        assert_eq!((place(&read), read.to_string()), (i, words.to_owned()));
        let json = serde_json::to_string(config).unwrap();
        assert_eq!(json, format!("\"{config}\""));
        assert_eq!(
            serde_json::from_str::<MechanismConfig>(&json).unwrap(),
            *config
        );
    }
    let labels = CATALOGUE.map(|config| config.label());
    assert_eq!(
        labels[..7],
        [
            "softmax",
            "sparsemax",
            "1.5-entmax",
            "1.3-entmax",
            "alpha-entmax",
            "fusedmax(0.1)",
            "oscarmax(0.01)"
        ]
    );
    let bounded = NormalizerConfig::AlphaEntmax {
        alpha_min: Some(1.01),
    };
    let bounded = MechanismConfig::from(bounded);
    assert_eq!(bounded.to_string(), "alpha_entmax(alpha_min=1.01)");
    assert_eq!(
        bounded.to_string().parse::<MechanismConfig>().unwrap(),
        bounded
    );
}

#[test]
fn words_that_say_nothing_are_refused_with_those_that_do() {
    for words in [
        "entmax2",
        "entmax",
        "entmax(",
        "entmax()",
        "entmax(x)",
        "softmax(1)",
        "",
        "alpha_entmax(1.01)",
        "fusedmax",
        "fusedmax(x)",
        "oscarmax()",
        "favor(64)",
        "favor(m=x)",
        "favor(m=64,m=32)",
        "favor(m=64,tau=1)",
        "favor()",
        "linformer(64)",
        "linformer(k=64,sharing=heads)",
        "linformer_slots(k=x)",
        "nystrom(m=32,slots=1)",
        "nystrom(m=-1)",
        "lsh(32)",
        "lsh(m=-1)",
        "lsh(m=32,wrap=yes)",
        "lsh(m=32,tau=1)",
    ] {
        let error = words.parse::<MechanismConfig>().unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{words}`"))
                && error.contains(match words {
                    "entmax2" | "" => "known are softmax, sparsemax, entmax15",
                    _ => "it is written as ",
                }),
            "{error}"
        );
    }
    let none = "favor(m=0)".parse::<MechanismConfig>().unwrap();
    let error = none.check("model.normalizers", Abilities::NONE);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("model.normalizers.m")
    );
    for (words, field) in [
        ("lsh(m=0)", "model.normalizers.m"),
        ("lsh(rounds=0)", "model.normalizers.rounds"),
    ] {
        let none: MechanismConfig = words.parse().unwrap();
        let error = none.check("model.normalizers", Abilities::NONE);
        assert!(error.unwrap_err().to_string().contains(field), "{words}");
    }
    let error = MechanismConfig::from(NormalizerConfig::Entmax { alpha: 0.5 });
    let error = error
        .check("model.normalizer", Abilities::NONE)
        .unwrap_err();
    assert!(
        error.to_string().contains("model.normalizer.alpha"),
        "{error}"
    );
    for words in ["fusedmax(-0.1)", "oscarmax(inf)", "fusedmax(NaN)"] {
        let config: MechanismConfig = words.parse().unwrap();
        let error = config.check("model.normalizer", Abilities::NONE);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("model.normalizer.lambda"), "{error}");
    }
}

/// Each network asks for what it does with a mechanism.
#[test]
fn networks_say_what_they_need() {
    let xl = TransformerXlConfig::new(10, 1, 8, 2, 4, 8, 4, 4);
    let translator = Seq2SeqConfig::new(9, 9, 8, 2, 8, 1, 1);
    let decoder = translator.needed_abilities(AttentionType::DecoderSelf);
    let cross = translator.needed_abilities(AttentionType::Cross);
    let encoder = translator.needed_abilities(AttentionType::EncoderSelf);
    // What an encoder's mechanism may be: Nyström.
    let encoders_only = Abilities {
        bidirectional: true,
        key_padding: true,
        pretrained: true,
        ..Abilities::NONE
    };
    let refused = |needed, field| {
        let error = encoders_only.check(needed, &"linformer", field);
        error.unwrap_err().to_string()
    };
    assert_eq!(
        refused(decoder, "decoder_self"),
        "linformer cannot be causal: give `decoder_self` another attention mechanism"
    );
    assert!(refused(cross, "cross").contains("attend to another sequence"));
    assert!(refused(xl.needed_abilities(), "mechanism").contains("causal"));
    assert!(
        encoders_only
            .check(encoder, &"linformer", "encoder_self")
            .is_ok()
    );
    let bert = BertConfig::new(9, 8, 2, 8, 1).with_attention_dropout(0.0);
    let needed = bert.needed_abilities();
    assert!(
        encoders_only
            .check(needed, &"linformer", "mechanism")
            .is_ok()
    );
    let gated = MechanismConfig::Rfa(RfaConfig::new(true));
    let error = gated.check("mechanism", needed).unwrap_err().to_string();
    assert!(
        error.contains("rfa_gate cannot let queries see later keys"),
        "{error}"
    );
    let dropping = bert.with_attention_dropout(0.1).needed_abilities();
    assert!(
        refused(dropping, "mechanism").contains("drop attention weights (set their dropout to 0)")
    );
    let absolute = Abilities {
        relative: false,
        ..Abilities::ALL
    };
    let error = absolute.check(xl.needed_abilities(), &"rfa", "mechanism");
    assert!(error.unwrap_err().to_string().contains("relative"));
    // Without distances, but with a state, it is given no distances.
    let favor = MechanismConfig::Favor(FavorConfig::new(FavorKernel::Softmax));
    let stateful = xl.with_mechanism(favor);
    assert!(stateful.validate().is_ok());
    let error = stateful.clone().with_clamp_len(Some(3)).validate();
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("favor knows no distances")
    );
    let error = stateful.clone().with_same_length(true).validate();
    assert!(error.unwrap_err().to_string().contains("global mask"));
    let error = stateful.with_dropatt(0.1).validate();
    assert!(error.unwrap_err().to_string().contains("dropout"));
    // Without either it reads the memory by positions.
    let lsh = MechanismConfig::Lsh(LshConfig::new());
    let hashed = TransformerXlConfig::new(10, 1, 8, 2, 4, 8, 4, 4).with_mechanism(lsh);
    let with_everything = hashed.clone().with_same_length(true).with_dropatt(0.1);
    assert!(with_everything.validate().is_ok());
    let error = hashed.with_clamp_len(Some(3)).validate().unwrap_err();
    assert!(error.to_string().contains("lsh knows no distances"));
    let error = lsh.check("cross", cross).unwrap_err().to_string();
    assert!(
        error.contains("lsh cannot attend to another sequence"),
        "{error}"
    );
    let pretrained = Abilities {
        pretrained: true,
        ..Abilities::NONE
    };
    let error = lsh.check("mechanism", pretrained).unwrap_err().to_string();
    assert!(
        error.contains("lsh cannot start from pretrained weights"),
        "{error}"
    );
}

#[test]
fn parameters_are_counted_without_making_them() {
    for config in every() {
        let made = config.init(SHAPE, &Device::flex()).num_params();
        assert_eq!(config.n_params(SHAPE), made, "{config}");
    }
}

/// [`Mechanism::attend`] for the context alone.
trait AttendAll {
    fn attend_all(&self, inputs: [Tensor<4>; 3], options: AttentionOptions) -> Tensor<4>;
}

impl AttendAll for Mechanism {
    fn attend_all(
        &self,
        [query, key, value]: [Tensor<4>; 3],
        options: AttentionOptions,
    ) -> Tensor<4> {
        self.attend(query, key, value, options).context
    }
}

/// Numbers that memory or time grows with have a limit, which is said.
#[test]
fn requests_that_cannot_be_met_are_refused() {
    for (words, limit) in [
        ("favor(m=1000000000)", "at most 65536"),
        ("rfa(m=1000000000)", "at most 65536"),
        ("linformer(k=100000000)", "at most 65536"),
        ("linformer_slots(k=100000000)", "at most 65536"),
        ("nystrom(m=100000000)", "at most 65536"),
        ("nystrom(m=4,iterations=10000000)", "at most 100"),
        ("lsh(m=100000000)", "at most 65536"),
        ("lsh(m=4,rounds=1000000)", "at most 256"),
    ] {
        let config: MechanismConfig = words.parse().unwrap();
        let error = config.check("cross", Abilities::NONE).unwrap_err();
        assert!(error.to_string().contains(limit), "{words}: {error}");
        assert!(error.to_string().contains("cross."), "{words}: {error}");
    }
}

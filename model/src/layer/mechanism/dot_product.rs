//! Scaled dot-product attention: every query scores every key.

use std::fmt;

use burn::prelude::*;
use sparta_ops::attention::{AttentionOptions, AttentionOutput, sparse_attention};
use sparta_ops::pruning::{PruningError, StaticPattern};

use super::observe::{Observable, ObservedCall};
use super::parts::{AdaptiveSpan, GateConfig, HeadGate, SpanConfig, SpanStart};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use super::{Nape, NormalizerConfig, RowNormalizer, RowScale, ScaleConfig};
use super::{StaticMasks, split_argument};
use crate::error::ModelError;
use crate::layer::placed::LearnedName;

/// π(query·keyᵀ/√d_head)·value with a row normaliser π: softmax, one of the α-entmax family, fusedmax or
/// oscarmax.
///
/// It can do everything that may be asked of a mechanism but go on without the keys, and but for fusedmax and
/// oscarmax by fused attention. With a span it cannot attend to another sequence, start from pretrained weights unless
/// the span is full, nor be computed by fused attention unless π is softmax. A span that a call gives is obeyed where
/// there is none here, and refused where there is one.
///
/// # Source
/// Vaswani et al. 2017, section 3.2; Correia, Niculae, Martins 2019 and Niculae, Blondel 2017 for π.
#[derive(Module, Debug)]
pub struct DotProduct {
    /// From a row of scores to a row of weights.
    pub normalizer: RowNormalizer,
    /// Which cells there are.
    #[module(skip)]
    pub(super) pattern: Option<StaticMasks>,
    /// What scores are multiplied by.
    pub scale: Option<RowScale>,
    /// What is added to scores by distance.
    #[module(skip)]
    pub(super) nape: Option<Nape>,
    /// How far each head reads, where that is learned.
    pub span: Option<AdaptiveSpan>,
    /// Which heads are open, where that is learned.
    pub gate: Option<HeadGate>,
}

/// Everything but a state of fixed size: it keeps the keys.
const ABILITIES: Abilities = Abilities {
    state: false,
    ..Abilities::ALL
};

impl Attend for DotProduct {
    fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        mut options: AttentionOptions,
    ) -> AttentionOutput {
        options.normalizer = self.normalizer.normalizer(&query.device());
        if let Some(nape) = self.nape {
            assert!(
                options.packing.is_none(),
                "a bias by distance counts the positions of one sequence: leave `packing` out"
            );
            let [_, n_heads, seq_q, _] = query.dims();
            let bias = nape.bias([n_heads, seq_q, key.dims()[2]], &query.device());
            let bias = bias.cast(query.dtype());
            options.bias = Some(match options.bias {
                Some(given) => given + bias,
                None => bias,
            });
        }
        if let Some(span) = &self.span {
            assert!(
                options.span.is_none(),
                "this attention mechanism has a span of its own (`+span`): leave `span` out of the options, or take the \
                 mechanism without it"
            );
            options.span = Some(span.span());
        }
        let output = sparse_attention(query, key, value, options);
        match &self.gate {
            Some(gate) => gated(output, &gate.gates_now()),
            None => output,
        }
    }

    fn abilities(&self) -> Abilities {
        let span = self.span.as_ref();
        Abilities {
            fused: self.normalizer.is_fused() && (span.is_none() || self.normalizer.is_softmax()),
            cross: self.pattern.is_none() && self.nape.is_none() && span.is_none(),
            relative: self.nape.is_none(),
            pretrained: self.nape.is_none() && span.is_none_or(AdaptiveSpan::starts_full),
            ..ABILITIES
        }
    }

    /// How many keys have weight, and what the normaliser says of the weights.
    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable> {
        let Some(weights) = call.weights(self) else {
            return Vec::new();
        };
        let mut found = call.support(&weights);
        found.extend(self.normalizer.observe(&weights, || call.visible(true)));
        if let (Some(scale), Some(factor)) = (&self.scale, call.factor) {
            found.push(Observable::of_tensor("scale", scale.scaled(factor)));
        }
        if let Some(span) = &self.span {
            found.push(Observable::of_tensor("span", span.reach()));
        }
        if let Some(gate) = &self.gate {
            let is_open = gate.gates().greater_elem(0.0).float();
            found.push(Observable::of_tensor("open heads %", is_open * 100.0));
        }
        found
    }
}

impl DotProduct {
    /// What training adds to the loss for its parts.
    pub(super) fn penalty(&self) -> Option<Tensor<1>> {
        let span = self.span.as_ref().map(AdaptiveSpan::penalty);
        let gate = self.gate.as_ref().map(HeadGate::penalty);
        match (span, gate) {
            (Some(span), Some(gate)) => Some(span + gate),
            (span, gate) => span.or(gate),
        }
    }

    /// What each head has learned.
    pub(super) fn learned(&self) -> Vec<(LearnedName, Tensor<1>)> {
        let alpha = self.normalizer.learned_alpha();
        let span = self.span.as_ref().map(AdaptiveSpan::reach);
        let gate = self.gate.as_ref().map(HeadGate::gates);
        [
            (LearnedName::Alpha, alpha),
            (LearnedName::Span, span),
            (LearnedName::Gate, gate),
        ]
        .into_iter()
        .filter_map(|(name, values)| Some((name, values?)))
        .collect()
    }
}

/// Contexts and weights of each head times its gate.
fn gated(output: AttentionOutput, gates: &Tensor<1>) -> AttentionOutput {
    let times = |tensor: Tensor<4>| {
        let gates = gates.clone().cast(tensor.dtype());
        tensor * gates.reshape([1, -1, 1, 1])
    };
    AttentionOutput {
        context: times(output.context),
        weights: output.weights.map(times),
        implementation: output.implementation,
    }
}

/// Settings of [`DotProduct`], in the words of recipes: a row normaliser, then its parts, each after a `+`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DotProductConfig {
    /// From a row of scores to a row of weights.
    pub normalizer: NormalizerConfig,
    /// Which cells there are: `+fixed(l=16,c=2)`, `+strided(l=16)`, `+local(w=16)`, `+random(keep=0.25,seed=1)`.
    pub pattern: Option<StaticPattern>,
    /// `+scale`: scores are multiplied by what grows with the number of keys.
    pub scale: Option<ScaleConfig>,
    /// `+nape`: half of the heads have a bias by distance, half no positions and the scale.
    pub nape: Option<Nape>,
    /// `+span(…)`: each head learns how far it reads.
    pub span: Option<SpanConfig>,
    /// `+gate(…)`: training closes heads.
    pub gate: Option<GateConfig>,
}

impl From<NormalizerConfig> for DotProductConfig {
    fn from(normalizer: NormalizerConfig) -> Self {
        Self::new(normalizer)
    }
}

impl DotProductConfig {
    /// Examples of the words of parts.
    pub(super) const PARTS: [&'static str; 8] = [
        "+fixed(l=16,c=2)",
        "+strided(l=16)",
        "+local(w=16)",
        "+random(keep=0.25)",
        "+span(s=128)",
        "+gate",
        "+scale",
        "+nape",
    ];

    /// A row normaliser without parts.
    pub const fn new(normalizer: NormalizerConfig) -> Self {
        Self {
            normalizer,
            pattern: None,
            scale: None,
            nape: None,
            span: None,
            gate: None,
        }
    }

    /// The settings that words stand for.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut words = text.split('+').map(split_argument);
        let config = match words.next()?? {
            ("asentmax", argument) => Self {
                scale: Some(ScaleConfig::of(argument)?),
                ..Self::new(NormalizerConfig::Entmax15)
            },
            ("asentmax_nape", argument) => Self {
                scale: Some(ScaleConfig::of(argument)?),
                nape: Some(Nape::of(None)?),
                ..Self::new(NormalizerConfig::Entmax15)
            },
            (word, argument) => NormalizerConfig::of(word, argument)?.into(),
        };
        words.try_fold(config, |config, part| {
            let (word, argument) = part?;
            config.with_part(word, argument)
        })
    }

    /// The same with one more part, of which each is taken once.
    fn with_part(mut self, word: &str, argument: Option<&str>) -> Option<Self> {
        let is_new = match word {
            "fixed" | "strided" | "local" | "random" => {
                let pattern = format!("{word}({})", argument?).parse().ok()?;
                self.pattern.replace(pattern).is_none()
            }
            "scale" => self.scale.replace(ScaleConfig::of(argument)?).is_none(),
            "nape" => self.nape.replace(Nape::of(argument)?).is_none(),
            "span" => self.span.replace(SpanConfig::of(argument)?).is_none(),
            "gate" => self.gate.replace(GateConfig::of(argument)?).is_none(),
            _ => false,
        };
        is_new.then_some(self)
    }

    /// Heads whose scores are scaled: all, or those without a bias by distance.
    const fn n_scaled(&self, n_heads: usize) -> usize {
        match self.nape {
            Some(_) => n_heads - Nape::n_biased(n_heads),
            None => n_heads,
        }
    }

    /// Its parts in words, each after a `+`.
    fn parts(&self) -> String {
        let pattern = self.pattern.map(|pattern| format!("+{pattern}"));
        let span = self.span.map(|span| format!("+{span}"));
        let gate = self.gate.map(|gate| format!("+{gate}"));
        let scale = self.scale.map(|scale| format!("+{scale}"));
        let nape = self.nape.map(|nape| format!("+{nape}"));
        [pattern, scale, nape, span, gate]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl fmt::Display for DotProductConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.normalizer, self.parts())
    }
}

fn of_pattern(error: PruningError, field: &str) -> ModelError {
    match error {
        PruningError::StaticPattern {
            field: name,
            found,
            expected,
        } => ModelError::Config {
            field: format!("{field}.{name}"),
            found,
            expected,
        },
        other => ModelError::Config {
            field: field.to_owned(),
            found: other.to_string(),
            expected: "a static pattern in range".to_owned(),
        },
    }
}

impl MechanismSettings for DotProductConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        Mechanism::DotProduct(DotProduct {
            normalizer: self.normalizer.init(shape.n_heads, device),
            pattern: self.pattern.map(StaticMasks::from),
            scale: (self.scale)
                .map(|scale| scale.init(shape.d_model, self.n_scaled(shape.n_heads), device)),
            nape: self.nape,
            span: self.span.map(|span| span.init(shape, device)),
            gate: self.gate.map(|gate| gate.init(shape, device)),
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        let n_parts = usize::from(self.span.is_some()) + usize::from(self.gate.is_some());
        let scale = match self.scale {
            Some(_) => 2 * shape.d_model * self.n_scaled(shape.n_heads),
            None => 0,
        };
        self.normalizer.n_params(shape.n_heads) + n_parts * shape.n_heads + scale
    }

    fn abilities(&self) -> Abilities {
        let (span, is_softmax) = (self.span, self.normalizer.is_softmax());
        Abilities {
            fused: self.normalizer.is_fused() && (span.is_none() || is_softmax),
            cross: self.pattern.is_none() && self.nape.is_none() && span.is_none(),
            relative: self.nape.is_none(),
            pretrained: self.nape.is_none()
                && span.is_none_or(|span| span.start == SpanStart::Full),
            ..ABILITIES
        }
    }

    fn label(&self) -> String {
        let normalizer = match self.normalizer {
            NormalizerConfig::Softmax
            | NormalizerConfig::Sparsemax
            | NormalizerConfig::Fusedmax { .. }
            | NormalizerConfig::Oscarmax { .. } => self.normalizer.to_string(),
            NormalizerConfig::Entmax15 => "1.5-entmax".to_owned(),
            NormalizerConfig::Entmax { alpha } => format!("{alpha}-entmax"),
            NormalizerConfig::AlphaEntmax { .. } => "alpha-entmax".to_owned(),
        };
        normalizer + &self.parts()
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        self.normalizer.check(field)?;
        if let Some(scale) = &self.scale {
            scale.check(field)?;
        }
        if let Some(Err(error)) = self.pattern.map(|pattern| pattern.check()) {
            return Err(of_pattern(error, field));
        }
        self.span.map_or(Ok(()), |span| span.check(field))?;
        self.gate.map_or(Ok(()), |gate| gate.check(field))
    }
}

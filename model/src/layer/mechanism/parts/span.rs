//! Adaptive span: each head learns how far it reads.

use std::fmt;
use std::str::FromStr;

use burn::module::Param;
use burn::prelude::*;
use sparta_ops::attention::Span;

use super::super::HeadShape;
use super::super::arguments::Arguments;
use crate::check::check;
use crate::error::ModelError;

/// Keys over which weights fall to 0, unless given.
const RAMP: f64 = 32.0;
/// Weight of the penalty, unless given: the small models of the released code.
const LAMBDA: f64 = 2e-6;

/// A weight at distance x is multiplied by `clamp((R + z − x)/R, 0, 1)` and the row divided by its sum, with a z in [0, S] that each head learns:
/// [`Span`]. Training adds λ·S·mean_h(z_h/S) of every layer to the loss.
///
/// Distances are i − j in a decoder and |i − j| in an encoder. Of attention to another sequence there are none.
///
/// # Source
/// Sukhbaatar et al. 2019, "Adaptive Attention Span in Transformers"; facebookresearch/adaptive-span, whose
/// parameter, penalty and bounds these are.
#[derive(Module, Debug)]
pub struct AdaptiveSpan {
    /// z/S of each head, `[n_heads]`, in [0, 1]: [`super::super::bound`] keeps it there between steps.
    pub fraction: Param<Tensor<1>>,
    limit: f64,
    ramp: f64,
    lambda: f64,
    max_len: Option<usize>,
    starts_full: bool,
}

impl AdaptiveSpan {
    /// Whether it started at S, so that pretrained weights could be put around it.
    pub(in super::super) fn starts_full(&self) -> bool {
        self.starts_full
    }

    /// z and R, in keys.
    pub fn span(&self) -> Span {
        Span {
            length: self.fraction.val().mul_scalar(self.limit),
            ramp: self.ramp,
        }
    }

    /// The keys that each head can read, min(z + R, N) where there are at most N.
    ///
    /// # Shapes
    /// - output: `[n_heads]`
    pub fn reach(&self) -> Tensor<1> {
        let reach = self.span().length.add_scalar(self.ramp);
        match self.max_len {
            Some(max_len) => reach.clamp_max(max_len as f64),
            None => reach,
        }
    }

    /// λ·S·mean_h(z_h/S), `[1]`.
    ///
    /// # Shapes
    /// - output: `[1]`
    pub fn penalty(&self) -> Tensor<1> {
        let mean = self.fraction.val().mean();
        mean.mul_scalar(self.lambda * self.limit)
    }
}

/// The z that heads start with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SpanStart {
    /// So many keys, the same for each head.
    Keys(f64),
    /// S: what pretrained weights start with.
    Full,
}

impl fmt::Display for SpanStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(keys) => keys.fmt(f),
            Self::Full => f.write_str("full"),
        }
    }
}

impl FromStr for SpanStart {
    type Err = std::num::ParseFloatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "full" => Ok(Self::Full),
            keys => keys.parse().map(Self::Keys),
        }
    }
}

/// Settings of [`AdaptiveSpan`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpanConfig {
    /// R, the keys over which weights fall to 0.
    pub ramp: f64,
    /// S, the largest z; the most keys of a query unless given.
    pub limit: Option<usize>,
    /// z at the start.
    pub start: SpanStart,
    /// λ, the weight of the penalty.
    pub lambda: f64,
}

impl Default for SpanConfig {
    fn default() -> Self {
        Self {
            ramp: RAMP,
            limit: None,
            start: SpanStart::Keys(0.0),
            lambda: LAMBDA,
        }
    }
}

impl SpanConfig {
    /// The settings that the argument of `span` stands for.
    pub(in super::super) fn of(argument: Option<&str>) -> Option<Self> {
        let mut config = Self::default();
        let mut arguments = Arguments::of(argument)?;
        if let Some(ramp) = arguments.take("r")? {
            config.ramp = ramp;
        }
        config.limit = arguments.take("s")?;
        if let Some(start) = arguments.take("start")? {
            config.start = start;
        }
        if let Some(lambda) = arguments.take("lambda")? {
            config.lambda = lambda;
        }
        arguments.are_all_taken().then_some(config)
    }

    /// Makes the spans of one attention layer.
    ///
    /// # Panics
    /// Without a limit where the layer does not know its most keys.
    pub(in super::super) fn init(&self, shape: HeadShape, device: &Device) -> AdaptiveSpan {
        let limit = (self.limit.or(shape.max_len)).unwrap_or_else(|| {
            panic!("`{self}` needs the largest span in a layer without max_len: write span(s=…)")
        });
        let limit = limit as f64;
        let fraction = match self.start {
            SpanStart::Keys(keys) => (keys / limit).min(1.0),
            SpanStart::Full => 1.0,
        };
        AdaptiveSpan {
            fraction: Param::from_tensor(Tensor::full([shape.n_heads], fraction, device)),
            limit,
            ramp: self.ramp,
            lambda: self.lambda,
            max_len: shape.max_len,
            starts_full: self.start == SpanStart::Full,
        }
    }

    /// That the settings are in range, `field` being where they are from.
    pub(in super::super) fn check(&self, field: &str) -> Result<(), ModelError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        check(
            positive(self.ramp),
            &format!("{field}.span.r"),
            &self.ramp,
            "above 0 and finite",
        )?;
        if let Some(limit) = self.limit {
            check(limit > 0, &format!("{field}.span.s"), &limit, "at least 1")?;
        }
        if let SpanStart::Keys(keys) = self.start {
            let most = self.limit.map_or(f64::MAX, |limit| limit as f64);
            let expected = "between 0 and the largest span s";
            let ok = (0.0..=most).contains(&keys);
            check(ok, &format!("{field}.span.start"), &keys, expected)?;
        }
        check(
            self.lambda == 0.0 || positive(self.lambda),
            &format!("{field}.span.lambda"),
            &self.lambda,
            "at least 0 and finite",
        )
    }
}

impl SpanConfig {
    /// That weights which were trained to see every key do so at the start.
    pub(in super::super) fn check_pretrained(&self, field: &str) -> Result<(), ModelError> {
        let SpanStart::Keys(keys) = self.start else {
            return Ok(());
        };
        let expected = "full where weights are pretrained: `span(start=full)`";
        check(false, &format!("{field}.span.start"), &keys, expected)
    }
}

impl fmt::Display for SpanConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::default();
        let given = [
            (self.ramp != usual.ramp).then(|| format!("r={}", self.ramp)),
            self.limit.map(|limit| format!("s={limit}")),
            (self.start != usual.start).then(|| format!("start={}", self.start)),
            (self.lambda != usual.lambda).then(|| format!("lambda={}", self.lambda)),
        ];
        Arguments::write(f, "span", given)
    }
}

//! What can be asked of an attention mechanism, and what a network needs of one.

use std::fmt::Display;

use sparta_ops::attention::{AttentionOptions, Implementation};

use crate::error::ModelError;

/// What can be asked of a mechanism, or what somebody needs of one: networks say what they need in
/// `validate`, and a layer's call is refused where it asks for more.
///
/// Needs are written from none: `Abilities { causal: true, ..Abilities::NONE }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// It has weights `[batch, n_heads, seq_q, seq_kv]`, none of them negative: attention can be
    /// observed, and a global mask made of what was seen.
    pub weights: bool,
    /// Single cells can be hidden, head by head: a global mask can prune it.
    pub global_mask: bool,
    /// A query can see keys on both sides of it: what an encoder does.
    pub bidirectional: bool,
    /// No query sees a later key, exactly.
    pub causal: bool,
    /// A decoder can write with it: the last query alone, attending to the keys so far, gets the
    /// last row of what causal attention gives all of them.
    pub incremental: bool,
    /// Padding keys can be left out, exactly: a sequence gets the same however far its batch is padded.
    pub key_padding: bool,
    /// It takes Transformer-XL's relative term, which depends on the distance of a key.
    pub relative: bool,
    /// Queries and keys can be of different sequences, and a query gets the same alone as among
    /// others: a decoder's attention to its encoder.
    pub cross: bool,
    /// It can start from weights that were pretrained with softmax attention.
    pub pretrained: bool,
    /// Single weights can be dropped while training.
    pub dropout: bool,
    /// It can go on from a state of fixed size, in place of the keys that were read before.
    pub state: bool,
    /// The kernels of fused attention compute it: a call that insists on them can be served.
    pub fused: bool,
}

impl Abilities {
    /// Everything.
    pub const ALL: Self = Self {
        weights: true,
        global_mask: true,
        bidirectional: true,
        causal: true,
        incremental: true,
        key_padding: true,
        relative: true,
        cross: true,
        pretrained: true,
        dropout: true,
        state: true,
        fused: true,
    };

    /// Nothing.
    pub const NONE: Self = Self {
        weights: false,
        global_mask: false,
        bidirectional: false,
        causal: false,
        incremental: false,
        key_padding: false,
        relative: false,
        cross: false,
        pretrained: false,
        dropout: false,
        state: false,
        fused: false,
    };

    /// The first of the needed abilities that is not here, as what "cannot" is followed by.
    pub fn lacks(self, needed: Self) -> Option<&'static str> {
        [
            (needed.weights, self.weights, "return its weights"),
            (needed.global_mask, self.global_mask, "have a global mask"),
            (
                needed.bidirectional,
                self.bidirectional,
                "let queries see later keys",
            ),
            (needed.causal, self.causal, "be causal"),
            (
                needed.incremental,
                self.incremental,
                "write one token after the other",
            ),
            (
                needed.key_padding,
                self.key_padding,
                "leave padding keys out",
            ),
            (needed.relative, self.relative, "have a relative term"),
            (needed.cross, self.cross, "attend to another sequence"),
            (
                needed.pretrained,
                self.pretrained,
                "start from pretrained weights",
            ),
            (
                needed.dropout,
                self.dropout,
                "drop attention weights (set their dropout to 0)",
            ),
            (
                needed.state,
                self.state,
                "go on from a state in place of earlier keys",
            ),
            (
                needed.fused,
                self.fused,
                "be computed by fused attention (`auto` can)",
            ),
        ]
        .into_iter()
        .find_map(|(needed, has, what)| (needed && !has).then_some(what))
    }

    /// Whether earlier keys are kept as a state: where there are no scores that distances could be added to.
    pub(super) fn carries_state(self) -> bool {
        self.state && !self.relative
    }

    /// Checks that a mechanism with these abilities has those that the setting `field` needs.
    ///
    /// # Errors
    /// [`ModelError::Mechanism`] for the first that it lacks.
    ///
    /// ```
    /// use sparta_model::layer::Abilities;
    /// let encoders_only = Abilities { causal: false, ..Abilities::ALL };
    /// let needed = Abilities { causal: true, ..Abilities::NONE };
    /// let error = encoders_only.check(needed, &"linformer", "decoder_self").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "linformer cannot be causal: give `decoder_self` another attention mechanism"
    /// );
    /// ```
    pub fn check(
        self,
        needed: Self,
        mechanism: &dyn Display,
        field: &str,
    ) -> Result<(), ModelError> {
        match self.lacks(needed) {
            None => Ok(()),
            Some(lacks) => Err(ModelError::Mechanism {
                mechanism: mechanism.to_string(),
                lacks,
                field: field.to_owned(),
            }),
        }
    }

    /// What a call needs.
    pub(super) fn needed_by(options: &AttentionOptions) -> Self {
        Self {
            weights: options.return_weights,
            global_mask: options.global_mask.is_some()
                || options.block_mask.is_some()
                || options.extra_mask.is_some(),
            causal: options.causal,
            key_padding: options.key_padding.is_some() || options.key_lengths.is_some(),
            relative: options.relative.is_some(),
            dropout: options.dropout > 0.0,
            fused: options.implementation == Implementation::Fused,
            ..Self::NONE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::prelude::*;

    #[test]
    fn each_ability_that_is_lacking_is_named() {
        let none = Abilities::NONE;
        assert_eq!(Abilities::ALL.lacks(Abilities::ALL), None);
        assert_eq!(none.lacks(none), None);
        let needing = |need: fn(&mut Abilities)| {
            let mut needed = none;
            need(&mut needed);
            none.lacks(needed).unwrap_or_default()
        };
        let lacks = [
            needing(|a| a.weights = true),
            needing(|a| a.global_mask = true),
            needing(|a| a.bidirectional = true),
            needing(|a| a.causal = true),
            needing(|a| a.incremental = true),
            needing(|a| a.key_padding = true),
            needing(|a| a.relative = true),
            needing(|a| a.cross = true),
            needing(|a| a.pretrained = true),
            needing(|a| a.dropout = true),
            needing(|a| a.state = true),
            needing(|a| a.fused = true),
        ];
        let words = [
            "weights",
            "global mask",
            "later keys",
            "causal",
            "one token after the other",
            "padding",
            "relative",
            "another sequence",
            "pretrained",
            "drop attention weights",
            "from a state",
            "fused",
        ];
        for (lacks, word) in lacks.into_iter().zip(words) {
            assert!(lacks.contains(word), "{lacks}: {word}");
        }
    }

    #[test]
    fn a_call_needs_what_it_asks_for() {
        let device = Device::flex();
        let mask = Tensor::<3, Bool>::tril_mask([1, 2, 2], 0, &device);
        let options = AttentionOptions::default();
        assert_eq!(Abilities::needed_by(&options), Abilities::NONE);
        let options = options
            .causal()
            .dropout(0.1)
            .return_weights()
            .implementation(Implementation::Fused)
            .global_mask(mask)
            .key_padding(Tensor::<2, Bool>::tril_mask([2, 2], 0, &device));
        let needed = Abilities {
            weights: true,
            global_mask: true,
            causal: true,
            key_padding: true,
            dropout: true,
            fused: true,
            ..Abilities::NONE
        };
        assert_eq!(Abilities::needed_by(&options), needed);
    }
}

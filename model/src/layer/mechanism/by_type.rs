//! Which mechanism each type of attention of a network has, and which output layer it has.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sparta_ops::pruning::AttentionType;

use super::{Abilities, MechanismConfig, NormalizerConfig};
use crate::error::ModelError;
use crate::layer::OutputMap;

/// A mechanism for each type of attention, in the words of recipes: one mechanism for all (`softmax`,
/// `rfa(m=32)`), or those of some types with the names of these, the others being softmax:
/// `encoder=entmax15`, `decoder=rfa(m=32) cross=rfa(m=32)`. Before or after them may stand another output layer
/// than that of the other networks: `output=entmax15`, `entmax15 output=sparsemax`.
///
/// ```
/// use sparta_model::layer::{MechanismConfig, MechanismsByType};
/// use sparta_ops::pruning::AttentionType;
/// let words = "decoder=rfa(m=32) cross=rfa(m=32)";
/// let mechanisms: MechanismsByType = words.parse().unwrap();
/// assert_eq!(mechanisms.of(AttentionType::EncoderSelf), MechanismConfig::SOFTMAX);
/// assert_eq!(mechanisms.of(AttentionType::Cross).to_string(), "rfa(m=32)");
/// assert_eq!(mechanisms.to_string(), words);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MechanismsByType {
    /// Of the self-attention of an encoder.
    pub encoder_self: MechanismConfig,
    /// Of the self-attention of a decoder or of a language model.
    pub decoder_self: MechanismConfig,
    /// Of the attention of a decoder to its encoder.
    pub cross: MechanismConfig,
    /// From scores to probabilities of the next token; none for that of the whole table.
    pub output: Option<OutputMap>,
}

/// The name of an output layer before its `=`.
const OUTPUT: &str = "output";

/// The name of a type before the `=` of its mechanism.
const fn name(kind: AttentionType) -> &'static str {
    match kind {
        AttentionType::EncoderSelf => "encoder",
        AttentionType::DecoderSelf => "decoder",
        AttentionType::Cross => "cross",
    }
}

/// The field of a configuration that says the mechanism of a type.
const fn field(kind: AttentionType) -> &'static str {
    match kind {
        AttentionType::EncoderSelf => "encoder_self",
        AttentionType::DecoderSelf => "decoder_self",
        AttentionType::Cross => "cross",
    }
}

impl MechanismsByType {
    /// Softmax attention of every type.
    pub const SOFTMAX: Self = Self::all(MechanismConfig::SOFTMAX);

    /// The same mechanism for every type.
    pub const fn all(mechanism: MechanismConfig) -> Self {
        Self {
            encoder_self: mechanism,
            decoder_self: mechanism,
            cross: mechanism,
            output: None,
        }
    }

    /// The mechanism of a type.
    pub const fn of(&self, kind: AttentionType) -> MechanismConfig {
        match kind {
            AttentionType::EncoderSelf => self.encoder_self,
            AttentionType::DecoderSelf => self.decoder_self,
            AttentionType::Cross => self.cross,
        }
    }

    /// The same with another mechanism for a type.
    pub const fn with(mut self, kind: AttentionType, mechanism: MechanismConfig) -> Self {
        match kind {
            AttentionType::EncoderSelf => self.encoder_self = mechanism,
            AttentionType::DecoderSelf => self.decoder_self = mechanism,
            AttentionType::Cross => self.cross = mechanism,
        }
        self
    }

    /// The mechanism of every type, if it is one.
    pub fn only(&self) -> Option<MechanismConfig> {
        let same = AttentionType::ALL
            .iter()
            .all(|&kind| self.of(kind) == self.encoder_self);
        same.then_some(self.encoder_self)
    }

    /// The mechanisms that are not softmax, each once with its types; softmax alone where there is no other.
    pub fn distinct(&self) -> Vec<(MechanismConfig, Vec<AttentionType>)> {
        let mut found: Vec<(MechanismConfig, Vec<AttentionType>)> = Vec::new();
        for kind in AttentionType::ALL {
            let mechanism = self.of(kind);
            match found.iter_mut().find(|(known, _)| *known == mechanism) {
                Some((_, kinds)) => kinds.push(kind),
                None => found.push((mechanism, vec![kind])),
            }
        }
        if found.len() > 1 {
            found.retain(|(mechanism, _)| *mechanism != MechanismConfig::SOFTMAX);
        }
        found
    }

    /// The name in tables: as [`MechanismConfig::label`] has each mechanism, with the output layer where it has its own.
    pub fn label(&self) -> String {
        self.in_words(|mechanism| mechanism.label())
    }

    /// Whether each head of a type learns an α.
    pub fn learns_alpha(&self) -> bool {
        (AttentionType::ALL.iter()).any(|&kind| self.of(kind).learns_alpha())
    }

    /// [`MechanismConfig::redraw_every`] of the types that are drawn anew, which have one interval.
    pub fn redraw_every(&self) -> u64 {
        let intervals = AttentionType::ALL.map(|kind| self.of(kind).redraw_every());
        intervals.into_iter().max().unwrap_or(0)
    }

    /// Checks the mechanism of each type as [`MechanismConfig::check`] does, for a network that says what it needs
    /// of a type.
    ///
    /// # Errors
    /// As there, the field being that of the type: `encoder_self`, `decoder_self`, `cross`. Random features that are
    /// drawn anew at different intervals.
    pub fn check(&self, needed: impl Fn(AttentionType) -> Abilities) -> Result<(), ModelError> {
        for kind in AttentionType::ALL {
            self.of(kind).check(field(kind), needed(kind))?;
        }
        self.check_redraws()
    }

    /// Checks that layers of `n_heads` heads can have them.
    pub(crate) fn check_layers(&self, n_heads: usize) -> Result<(), ModelError> {
        (AttentionType::ALL.into_iter())
            .try_for_each(|kind| self.of(kind).check_layer(field(kind), n_heads, None))
    }

    /// [`Self::check`] of what a list `key` of a recipe names.
    ///
    /// # Errors
    /// The same, saying how to name the mechanism for the types that it can serve.
    pub fn check_named(
        &self,
        key: &str,
        needed: impl Fn(AttentionType) -> Abilities,
    ) -> Result<(), ModelError> {
        for kind in AttentionType::ALL {
            let mechanism = self.of(kind);
            // Settings out of range are named by the key.
            mechanism.check(key, Abilities::NONE)?;
            let Some(lacks) = mechanism.abilities().lacks(needed(kind)) else {
                continue;
            };
            let can = |kind: &AttentionType| mechanism.abilities().lacks(needed(*kind)).is_none();
            let served = AttentionType::ALL.into_iter().filter(can);
            let served: Vec<_> = served
                .map(|kind| format!("{}={mechanism}", name(kind)))
                .collect();
            return Err(ModelError::MechanismOfType {
                mechanism: mechanism.to_string(),
                lacks,
                attention_type: kind,
                instead: match served.is_empty() {
                    true => format!("another mechanism with `{}=…`", name(kind)),
                    false => format!(
                        "`{}` there (types that are not named are softmax)",
                        served.join(" ")
                    ),
                },
                field: key.to_owned(),
            });
        }
        self.check_redraws()
    }

    /// Training draws the features of a whole network at once.
    fn check_redraws(&self) -> Result<(), ModelError> {
        let mut found = Vec::new();
        for kind in AttentionType::ALL {
            let redraw = match self.of(kind) {
                MechanismConfig::Favor(settings) => settings.redraw,
                MechanismConfig::Lsh(settings) => settings.redraw,
                MechanismConfig::DotProduct(_)
                | MechanismConfig::Rfa(_)
                | MechanismConfig::Linformer(_)
                | MechanismConfig::Nystrom(_) => continue,
            };
            if !found.contains(&redraw) {
                found.push(redraw);
            }
        }
        match found.len() {
            0 | 1 => Ok(()),
            _ => Err(ModelError::Config {
                field: "redraw".to_owned(),
                found: format!("{found:?} in `{self}`"),
                expected: "the same of every type: features are drawn anew in all layers at once"
                    .to_owned(),
            }),
        }
    }

    fn in_words(&self, word: impl Fn(MechanismConfig) -> String) -> String {
        let mut words = match (self.only(), self.output) {
            (Some(MechanismConfig::SOFTMAX), Some(_)) => Vec::new(),
            (Some(mechanism), _) => vec![word(mechanism)],
            (None, _) => {
                let named = AttentionType::ALL.into_iter();
                let named = named.filter(|&kind| self.of(kind) != MechanismConfig::SOFTMAX);
                let named = named.map(|kind| format!("{}={}", name(kind), word(self.of(kind))));
                named.collect()
            }
        };
        words.extend(self.output.map(|output| format!("{OUTPUT}={output}")));
        words.join(" ")
    }
}

impl From<MechanismConfig> for MechanismsByType {
    fn from(mechanism: MechanismConfig) -> Self {
        Self::all(mechanism)
    }
}

impl From<NormalizerConfig> for MechanismsByType {
    fn from(normalizer: NormalizerConfig) -> Self {
        Self::all(normalizer.into())
    }
}

impl fmt::Display for MechanismsByType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(|mechanism| mechanism.to_string()))
    }
}

impl FromStr for MechanismsByType {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let is_output = |part: &&str| output_of(part).is_some();
        let (outputs, parts): (Vec<&str>, Vec<&str>) =
            outside_parentheses(text).into_iter().partition(is_output);
        let wrong = |problem: String| ModelError::MechanismTypes {
            found: text.to_owned(),
            problem,
        };
        let output = match outputs.as_slice() {
            [] => None,
            [one] => output_of(one).map(str::parse).transpose()?,
            _ => return Err(wrong(format!("`{OUTPUT}` is there twice"))),
        };
        if !parts.iter().any(|part| type_of(part).is_some()) {
            let all = match parts.is_empty() && output.is_some() {
                true => Self::SOFTMAX,
                false => Self::all(parts.join(" ").parse()?),
            };
            return Ok(Self { output, ..all });
        }
        let mut named: Vec<AttentionType> = Vec::new();
        let mut mechanisms = Self {
            output,
            ..Self::SOFTMAX
        };
        for part in parts {
            let Some((kind, word)) = type_of(part) else {
                return Err(wrong(format!("`{part}` has no type")));
            };
            if named.contains(&kind) {
                return Err(wrong(format!("`{}` is there twice", name(kind))));
            }
            named.push(kind);
            mechanisms = mechanisms.with(kind, word.parse()?);
        }
        Ok(mechanisms)
    }
}

impl TryFrom<String> for MechanismsByType {
    type Error = ModelError;

    fn try_from(text: String) -> Result<Self, ModelError> {
        text.parse()
    }
}

impl From<MechanismsByType> for String {
    fn from(mechanisms: MechanismsByType) -> Self {
        mechanisms.to_string()
    }
}

/// `encoder=word`, taken apart; none for a word without one of the types.
fn type_of(part: &str) -> Option<(AttentionType, &str)> {
    let (before, word) = part.split_once('=')?;
    let kinds = AttentionType::ALL.into_iter();
    kinds
        .filter(|&kind| name(kind) == before)
        .map(|kind| (kind, word))
        .next()
}

/// The word of `output=word`; none for another part.
fn output_of(part: &str) -> Option<&str> {
    let (before, word) = part.split_once('=')?;
    (before == OUTPUT).then_some(word)
}

/// What is between spaces that stand in no parentheses.
fn outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0usize;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c.is_whitespace()
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::RfaConfig;

    fn of(words: &str) -> MechanismsByType {
        words.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_is_not_named_is_softmax() {
        let rfa = MechanismConfig::Rfa(RfaConfig::new(false).with_frequencies(32));
        let entmax = NormalizerConfig::Entmax15.into();
        for (words, expected) in [
            ("softmax", [MechanismConfig::SOFTMAX; 3]),
            ("rfa( m = 32 )", [rfa; 3]),
            (
                "encoder=entmax15",
                [entmax, MechanismConfig::SOFTMAX, MechanismConfig::SOFTMAX],
            ),
            (
                "  cross=rfa(m = 32)   decoder=entmax15",
                [MechanismConfig::SOFTMAX, entmax, rfa],
            ),
            (
                "encoder=entmax15 decoder=entmax15 cross=entmax15",
                [entmax; 3],
            ),
        ] {
            assert_eq!(
                AttentionType::ALL.map(|kind| of(words).of(kind)),
                expected,
                "{words}"
            );
        }
    }

    #[test]
    fn words_are_written_as_they_are_read() {
        for words in [
            "softmax",
            "alpha_entmax",
            "encoder=entmax(1.3)",
            "decoder=rfa_gate(m=32) cross=rfa(m=32)",
            "encoder=favor(m=8,redraw=0) decoder=sparsemax cross=entmax15",
        ] {
            assert_eq!(of(words).to_string(), words);
            assert_eq!(of(&of(words).to_string()), of(words));
        }
        assert_eq!(of("cross=softmax").to_string(), "softmax");
        assert_eq!(of("encoder=entmax15").label(), "encoder=1.5-entmax");
    }

    #[test]
    fn an_output_layer_stands_beside_any_mechanisms() {
        let entmax = Some(OutputMap::Entmax15);
        for (words, written) in [
            ("output=entmax15", "output=entmax15"),
            ("softmax output=entmax15", "output=entmax15"),
            (
                "output=entmax15  rfa( m = 32 )",
                "rfa(m=32) output=entmax15",
            ),
            (
                "cross=sparsemax output=entmax15 encoder=entmax15",
                "encoder=entmax15 cross=sparsemax output=entmax15",
            ),
        ] {
            assert_eq!(of(words).output, entmax, "{words}");
            assert_eq!(of(words).to_string(), written);
            assert_eq!(of(written), of(words));
        }
        assert_eq!(
            of("entmax15 output=sparsemax").label(),
            "1.5-entmax output=sparsemax"
        );
        assert_ne!(of("output=entmax15"), of("softmax"));
        assert_eq!(
            of("output=entmax( 1.3 )").output,
            Some(OutputMap::Entmax { alpha: 1.3 })
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (words, said) in [
            ("output=entmax15 output=softmax", "`output` is there twice"),
            ("output=favor", "`favor` is no output map"),
            ("output=", "`` is no output map"),
            ("", "`` is no attention mechanism"),
            ("decoder=rfa(m=32) softmax", "`softmax` has no type"),
            ("cross=rfa cross=softmax", "`cross` is there twice"),
            ("decoder=nonsense", "`nonsense` is no attention mechanism"),
            ("decodr=rfa", "`decodr=rfa` is no attention mechanism"),
            ("encoder=", "`` is no attention mechanism"),
        ] {
            let error = words.parse::<MechanismsByType>().unwrap_err().to_string();
            assert!(error.contains(said), "{words}: {error}");
        }
    }

    #[test]
    fn each_mechanism_stands_once_with_its_types() {
        let [encoder, decoder, cross] = AttentionType::ALL;
        let kinds = |words: &str| -> Vec<Vec<AttentionType>> {
            of(words)
                .distinct()
                .into_iter()
                .map(|(_, kinds)| kinds)
                .collect()
        };
        assert_eq!(kinds("softmax"), [vec![encoder, decoder, cross]]);
        assert_eq!(kinds("decoder=rfa cross=rfa"), [vec![decoder, cross]]);
        assert_eq!(
            kinds("encoder=entmax15 decoder=rfa"),
            [vec![encoder], vec![decoder]]
        );
    }

    #[test]
    fn features_of_all_types_are_drawn_anew_together() {
        let any = |_| Abilities::NONE;
        let refused = of("encoder=favor(m=8,redraw=10) decoder=favor(m=8)").check(any);
        assert!(refused.unwrap_err().to_string().contains("[10, 1000]"));
        assert!(
            of("encoder=favor(m=8) decoder=favor(m=4)")
                .check(any)
                .is_ok()
        );
        assert_eq!(of("decoder=favor(m=8)").redraw_every(), 1000);
        let mixed = of("encoder=lsh(m=4) decoder=favor(m=8)").check(any);
        assert!(mixed.unwrap_err().to_string().contains("[0, 1000]"));
    }

    #[test]
    fn a_mechanism_is_offered_for_the_types_that_it_can_serve() {
        let needed = |kind| match kind {
            AttentionType::EncoderSelf => Abilities {
                bidirectional: true,
                ..Abilities::NONE
            },
            AttentionType::DecoderSelf | AttentionType::Cross => Abilities::NONE,
        };
        let error = of("rfa_gate(m=4)")
            .check_named("model.normalizers", needed)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "rfa_gate(m=4) cannot let queries see later keys, as encoder-self attention needs: give `model.normalizers` \
             `decoder=rfa_gate(m=4) cross=rfa_gate(m=4)` there (types that are not named are softmax)"
        );
    }
}

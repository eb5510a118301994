//! The range of every number of every recipe, checked before anything is read.

use std::fmt;

use anyhow::{Result, bail};
use toml::{Table, Value};

/// The numbers that a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Range {
    /// Integers from one to another, both included.
    Integers(i64, i64),
    /// Numbers from one to another.
    Numbers(End, End),
}

/// An end of a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// The number itself is in the range.
    At(f64),
    /// The number itself is not.
    Beyond(f64),
}

/// A width or a length: what is larger fits in no memory.
const SIZE: Range = Range::Integers(1, MAX_SIZE);
const SIZE_OR_NONE: Range = Range::Integers(0, MAX_SIZE);
const MAX_SIZE: i64 = 1 << 20;
const LAYERS: Range = Range::Integers(1, 1000);
const HEADS: Range = Range::Integers(1, 1024);
/// How many of something there are; 0 = all of them, or none.
const AMOUNT: Range = Range::Integers(0, MAX_AMOUNT);
const AT_LEAST_ONE: Range = Range::Integers(1, MAX_AMOUNT);
const MAX_AMOUNT: i64 = 1_000_000_000_000;
/// Hypotheses of a sentence.
pub(crate) const MAX_BEAM: usize = 10_000;
/// What is a share, where the whole leaves nothing.
const SHARE: Range = Range::Numbers(End::At(0.0), End::Beyond(1.0));
const SHARE_OR_WHOLE: Range = Range::Numbers(End::At(0.0), End::At(1.0));
const POSITIVE: Range = Range::Numbers(End::Beyond(0.0), End::At(LARGEST));
const NOT_NEGATIVE: Range = Range::Numbers(End::At(0.0), End::At(LARGEST));
/// What single precision holds.
const LARGEST: f64 = 1e38;
/// A denominator that is not 0 in single precision.
const SMALL: Range = Range::Numbers(End::At(1e-30), End::At(1.0));

/// The range of each key with a number, or a list of them.
const RANGES: &[(&str, Range)] = &[
    ("seeds", Range::Integers(0, i64::MAX)),
    ("data.vocab_size", AMOUNT),
    ("data.train_tokens", AMOUNT),
    ("data.valid_tokens", AMOUNT),
    ("data.test_tokens", AMOUNT),
    ("data.bpe_merges", Range::Integers(0, 10_000_000)),
    ("data.min_target_words", AMOUNT),
    ("data.max_target_words", AMOUNT),
    ("data.train_pairs", AMOUNT),
    ("data.valid_pairs", AMOUNT),
    ("data.test_pairs", AMOUNT),
    ("data.max_len", SIZE),
    ("data.train_examples", AMOUNT),
    ("data.valid_examples", AMOUNT),
    ("data.test_examples", AMOUNT),
    ("data.stride", SIZE),
    ("data.max_question", SIZE),
    ("data.train_windows", AMOUNT),
    ("data.valid_windows", AMOUNT),
    ("data.test_windows", AMOUNT),
    ("data.test_questions", AMOUNT),
    ("data.files.valid_fraction", SHARE),
    ("data.files.test_fraction", SHARE),
    ("data.files.split_seed", Range::Integers(0, i64::MAX)),
    ("model.d_model", SIZE),
    ("model.n_layers", LAYERS),
    ("model.n_encoder_layers", LAYERS),
    ("model.n_decoder_layers", LAYERS),
    ("model.n_heads", HEADS),
    ("model.d_head", Range::Integers(1, 1 << 16)),
    ("model.d_ff", SIZE),
    ("model.tgt_len", SIZE),
    ("model.mem_len", SIZE_OR_NONE),
    ("model.clamp_len", SIZE_OR_NONE),
    ("model.cutoffs", AT_LEAST_ONE),
    ("model.div_val", SIZE),
    ("model.max_len", SIZE),
    ("model.dropout", SHARE),
    ("model.dropatt", SHARE),
    ("model.attention_dropout", SHARE),
    ("model.activation_dropout", SHARE),
    ("model.init_std", POSITIVE),
    ("model.projection_std", POSITIVE),
    ("head.lr_factor", POSITIVE),
    (
        "masking.fraction",
        Range::Numbers(End::Beyond(0.0), End::At(1.0)),
    ),
    ("masking.mask", SHARE_OR_WHOLE),
    ("masking.random", SHARE_OR_WHOLE),
    ("train.steps", AMOUNT),
    ("train.epochs", AT_LEAST_ONE),
    ("train.batch_size", SIZE),
    ("train.max_tokens", SIZE),
    ("train.grad_accum", SIZE),
    ("train.lr", POSITIVE),
    ("train.warmup_steps", AMOUNT),
    ("train.warmup", SHARE),
    ("train.beta_1", SHARE),
    ("train.beta_2", SHARE),
    ("train.epsilon", SMALL),
    ("train.clip", NOT_NEGATIVE),
    ("train.weight_decay", NOT_NEGATIVE),
    ("train.label_smoothing", SHARE),
    ("train.average", Range::Integers(1, 10_000)),
    ("train.average_every", AT_LEAST_ONE),
    ("train.log_every", AT_LEAST_ONE),
    ("train.valid_every", AMOUNT),
    ("train.patience", AMOUNT),
    ("train.checkpoint_every", AT_LEAST_ONE),
    ("observe.batch_size", SIZE),
    ("observe.max_tokens", SIZE),
    ("observe.train_tokens", AMOUNT),
    ("observe.train_pairs", AMOUNT),
    ("observe.examples", AMOUNT),
    ("observe.windows", AMOUNT),
    ("prune.p", Range::Integers(0, 99)),
    ("prune.random_masks", Range::Integers(0, 10_000)),
    ("prune.block_sizes", Range::Integers(16, 128)),
    ("retrain.steps", AMOUNT),
    ("retrain.lr", POSITIVE),
    ("retrain.warmup_steps", AMOUNT),
    ("eval.batch_size", SIZE),
    ("eval.beam_size", Range::Integers(1, MAX_BEAM as i64)),
    ("eval.length_penalty", NOT_NEGATIVE),
    ("eval.max_len_a", NOT_NEGATIVE),
    ("eval.max_len_b", SIZE_OR_NONE),
    ("eval.n_best", SIZE),
    ("eval.max_answer_len", SIZE),
    (
        "eval.null_threshold",
        Range::Numbers(End::At(-LARGEST), End::At(LARGEST)),
    ),
    ("eval.passes", SIZE_OR_NONE),
    ("cost.batches", SIZE_OR_NONE),
];

/// Checks every number of a recipe.
///
/// # Errors
/// The first that is outside its range, with its key, its range and itself.
pub(super) fn check(recipe: &Table) -> Result<()> {
    walk(recipe, "")
}

fn walk(table: &Table, prefix: &str) -> Result<()> {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        if let Value::Table(inner) = value {
            walk(inner, &format!("{path}."))?;
        } else if let Some((_, range)) = RANGES.iter().find(|(of, _)| *of == path) {
            check_value(&path, value, *range)?;
        }
    }
    Ok(())
}

fn check_value(path: &str, value: &Value, range: Range) -> Result<()> {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                check_value(&format!("{path}[{i}]"), item, range)?;
            }
        }
        Value::Integer(_) | Value::Float(_) if !range.has(value) => {
            bail!("`{path}` must be {range}; found {value}")
        }
        _ => {}
    }
    Ok(())
}

impl Range {
    fn has(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Integers(low, high), Value::Integer(n)) => (low..=high).contains(n),
            (Self::Numbers(low, high), Value::Integer(n)) => {
                low.is_below(*n as f64) && high.is_above(*n as f64)
            }
            (Self::Numbers(low, high), Value::Float(x)) => low.is_below(*x) && high.is_above(*x),
            // Of the wrong type, which is told with an example before.
            _ => false,
        }
    }
}

impl End {
    /// NaN is above nothing.
    fn is_below(self, x: f64) -> bool {
        match self {
            Self::At(end) => end <= x,
            Self::Beyond(end) => end < x,
        }
    }

    fn is_above(self, x: f64) -> bool {
        match self {
            Self::At(end) => x <= end,
            Self::Beyond(end) => x < end,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integers(low, i64::MAX) => write!(f, "{low} or more"),
            Self::Integers(low, high) => write!(f, "from {low} to {high}"),
            Self::Numbers(low, high) => {
                match low {
                    End::At(end) => write!(f, "a number from {end:?}")?,
                    End::Beyond(end) => write!(f, "a number above {end:?}")?,
                }
                match high {
                    End::At(end) => write!(f, " to {end:?}"),
                    End::Beyond(end) => write!(f, " and below {end:?}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::recipe::files::with_section;
    use crate::recipe::{GlueRecipe, LmRecipe, MlmRecipe, Recipe, SquadRecipe, TranslationRecipe};

    /// The reference of a program with the section of own files.
    fn reference<R: Recipe>() -> Table {
        let section = R::FILES.parse().unwrap();
        with_section(R::SHIPPED[0].text.parse().unwrap(), &section)
    }

    /// The keys of a reference recipe with a number, or with a list that is not of words.
    fn numbers(table: &Table, prefix: &str, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            match value {
                Value::Table(inner) => numbers(inner, &format!("{path}."), found),
                Value::Integer(_) | Value::Float(_) => {
                    found.insert(path);
                }
                Value::Array(items) if items.iter().any(Value::is_integer) => {
                    found.insert(path);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_number_has_a_range() {
        let mut found = BTreeSet::new();
        for reference in [
            reference::<LmRecipe>(),
            reference::<TranslationRecipe>(),
            reference::<GlueRecipe>(),
            reference::<SquadRecipe>(),
            reference::<MlmRecipe>(),
        ] {
            numbers(&reference, "", &mut found);
        }
        // Their lists are empty in the references.
        found.insert("model.cutoffs".to_owned());
        found.insert("prune.block_sizes".to_owned());
        let known: BTreeSet<String> = RANGES.iter().map(|(key, _)| (*key).to_owned()).collect();
        assert_eq!(known.len(), RANGES.len());
        assert_eq!(found, known);
    }

    /// Just outside both ends, as far outside as can be, and what is no number.
    fn outside(range: Range) -> Vec<String> {
        match range {
            Range::Integers(low, high) => {
                let mut values = vec![low - 1, i64::MIN];
                values.extend(high.checked_add(1));
                if high < i64::MAX {
                    values.push(i64::MAX);
                }
                values.iter().map(i64::to_string).collect()
            }
            Range::Numbers(low, high) => {
                let mut values = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
                values.extend([f64::MAX, f64::MIN]);
                values.push(match low {
                    End::At(end) => end.next_down(),
                    End::Beyond(end) => end,
                });
                values.push(match high {
                    End::At(end) => end.next_up(),
                    End::Beyond(end) => end,
                });
                values
                    .iter()
                    .map(|x| Value::Float(*x).to_string())
                    .collect()
            }
        }
    }

    fn refusals<R: Recipe + fmt::Debug>() -> usize {
        let reference = Value::Table(reference::<R>());
        let mut n_refused = 0;
        for (key, range) in RANGES {
            let mut names = key.split('.');
            let Some(here) = names.try_fold(&reference, |of, name| of.get(name)) else {
                continue;
            };
            for value in outside(*range) {
                let set = match here {
                    Value::Array(_) => format!("{key}=[{value}]"),
                    _ => format!("{key}={value}"),
                };
                let own = (key.starts_with("data.files.")).then(|| match R::PROGRAM {
                    "glue" => "tasks=[\"files\"]".to_owned(),
                    _ => "data.corpus=files".to_owned(),
                });
                let sets: Vec<String> = own.into_iter().chain([set.clone()]).collect();
                let error = R::parse(R::SHIPPED[0].text, &sets).unwrap_err();
                let said = format!("{error:#}");
                let expected = format!("must be {range}; found {value}");
                assert!(
                    said.contains(&format!("`{key}")) && said.contains(&expected),
                    "{set}: {said}"
                );
                n_refused += 1;
            }
        }
        n_refused
    }

    #[test]
    fn what_is_outside_is_refused_by_key() {
        let n_refused = refusals::<LmRecipe>()
            + refusals::<TranslationRecipe>()
            + refusals::<GlueRecipe>()
            + refusals::<SquadRecipe>()
            + refusals::<MlmRecipe>();
        println!("{n_refused} values refused");
        assert!(n_refused > 600, "{n_refused}");
    }

    #[test]
    fn the_ends_are_inside() {
        for (key, range) in RANGES {
            let inside = match *range {
                Range::Integers(low, high) => vec![Value::Integer(low), Value::Integer(high)],
                Range::Numbers(low, high) => [
                    match low {
                        End::At(end) => end,
                        End::Beyond(end) => end.next_up(),
                    },
                    match high {
                        End::At(end) => end,
                        End::Beyond(end) => end.next_down(),
                    },
                ]
                .map(Value::Float)
                .to_vec(),
            };
            for value in inside {
                check_value(key, &value, *range).unwrap();
            }
        }
    }
}

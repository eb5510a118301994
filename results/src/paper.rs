//! The published numbers, read from `results/data/paper_tables.json`.
//!
//! They are reference data, the only numbers of a table that no run made. Each table there names
//! its metric, corpus and source; a value is found by table, row and nominal p in percent (p = 0
//! where a paper prunes nothing). The published figures are in [`figures`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::record::PaperReference;

pub mod figures;

/// The table of the AP paper that the language-model runs stand beside.
pub const WIKITEXT103: &str = "wikitext103_txl_base";
/// Its only row.
pub const TRANSFORMER_XL_BASE: &str = "transformer-xl-base";
/// AP: BERT base on GLUE; a row for each [`crate::metric::glue::GlueColumn`] but WNLI, and
/// [`GLUE_AVERAGE`].
pub const GLUE: &str = "glue_bert_base";
/// The row of GLUE's average.
pub const GLUE_AVERAGE: &str = "Average";
/// AP: BERT base on SQuAD v1.1; rows `exact`, `f1`.
pub const SQUAD: &str = "squad_bert_base";
/// AP: seconds of BERT base on SQuAD; rows `cuda`, `triton`.
pub const SQUAD_TIME: &str = "squad_bert_base_time";
/// AP: gigabytes of BERT base on SQuAD; rows as in [`SQUAD_TIME`].
pub const SQUAD_MEMORY: &str = "squad_bert_base_memory";
/// AP: BLEU with one attention type pruned; rows `enc-self`, `dec-self`, `cross`.
pub const IWSLT14_BY_TYPE: &str = "iwslt14_de_en_by_type";
/// AP: BLEU with encoder and decoder self-attention pruned, IWSLT14 de-en.
pub const IWSLT14_SELF_ATTENTION: &str = "self_attention_only_iwslt14_de_en";
/// AP: BLEU with encoder and decoder self-attention pruned, WMT17 en-de.
pub const WMT17_SELF_ATTENTION: &str = "self_attention_only_wmt17_en_de";
/// The only row of the two tables before.
pub const SELF_ATTENTION: &str = "self-attention";
/// AST: tokenised BLEU by normaliser; rows `softmax`, `1.5-entmax`, `alpha-entmax`, IWSLT17 de-en.
pub const AST_IWSLT17: &str = "ast_bleu_iwslt17_de_en";
/// The same, KFTT ja-en.
pub const AST_KFTT: &str = "ast_bleu_kftt_ja_en";
/// The same, WMT16 ro-en.
pub const AST_WMT16: &str = "ast_bleu_wmt16_ro_en";
/// The same, WMT14 en-de.
pub const AST_WMT14: &str = "ast_bleu_wmt14_en_de";

/// One published table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperTable {
    /// Name of the score.
    pub metric: String,
    /// Corpus it was taken on.
    pub corpus: String,
    /// Where the numbers were published.
    pub source: String,
    /// Model and protocol, as far as published.
    pub note: String,
    /// Row → nominal p in percent → value.
    pub rows: BTreeMap<String, BTreeMap<String, f64>>,
}

static TABLES: LazyLock<BTreeMap<String, PaperTable>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/paper_tables.json"))
        .expect("results/data/paper_tables.json is part of the program and checked by its tests")
});

/// All published tables by name.
pub fn tables() -> &'static BTreeMap<String, PaperTable> {
    &TABLES
}

/// The published value of `row` at nominal `p` percent; `None` where the paper has none.
///
/// ```
/// use sparta_results::paper;
/// assert_eq!(paper::value(paper::WIKITEXT103, paper::TRANSFORMER_XL_BASE, 90.0), Some(26.011));
/// assert_eq!(paper::value("glue_bert_base", "CoLA", 80.0), Some(34.8));
/// assert_eq!(paper::value("glue_bert_base", "CoLA", 81.0), None);
/// ```
pub fn value(table: &str, row: &str, p: f64) -> Option<f64> {
    let values = TABLES.get(table)?.rows.get(row)?;
    values
        .iter()
        .find(|(key, _)| key.parse() == Ok(p))
        .map(|(_, &value)| value)
}

/// The published value together with its corpus, score and origin, ready for a run record.
pub fn reference(table: &str, row: &str, p: f64) -> Option<PaperReference> {
    let value = value(table, row, p)?;
    let PaperTable {
        metric,
        corpus,
        source,
        note,
        rows: _,
    } = TABLES.get(table)?;
    let note = match note.contains(metric) {
        true => format!("{note}; {source}"),
        false => format!("{metric}; {note}; {source}"),
    };
    Some(PaperReference {
        value,
        corpus: corpus.clone(),
        note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_and_finite() {
        let mut n_values = 0;
        for (table, content) in tables() {
            for (row, values) in &content.rows {
                for (p, &expected) in values {
                    let p: f64 = p
                        .parse()
                        .unwrap_or_else(|_| panic!("{table}/{row}: p `{p}` is not a number"));
                    assert!((0.0..100.0).contains(&p) && expected.is_finite());
                    assert_eq!(value(table, row, p), Some(expected), "{table}/{row}/{p}");
                    n_values += 1;
                }
            }
        }
        assert_eq!((tables().len(), n_values), (12, 128));
    }

    #[test]
    fn wikitext_is_named_as_such() {
        let reference = reference(WIKITEXT103, TRANSFORMER_XL_BASE, 0.0).unwrap();
        assert_eq!(
            (reference.value, reference.corpus.as_str()),
            (24.157, "WikiText-103")
        );
        assert!(reference.note.contains("Transformer-XL base"));
    }

    #[test]
    fn translation_tables_are_found_by_name() {
        let three = ["enc-self", "dec-self", "cross"];
        assert_eq!(
            three.map(|row| value(IWSLT14_BY_TYPE, row, 0.0)),
            [Some(34.94); 3]
        );
        let at_80 = |table| value(table, SELF_ATTENTION, 80.0);
        assert_eq!(
            [IWSLT14_SELF_ATTENTION, WMT17_SELF_ATTENTION].map(at_80),
            [Some(33.81), Some(21.88)]
        );
        let entmax15 = |table| value(table, "1.5-entmax", 0.0);
        let found = [AST_IWSLT17, AST_KFTT, AST_WMT16, AST_WMT14].map(entmax15);
        assert_eq!(found, [29.83, 22.13, 33.1, 25.89].map(Some));
        let note = reference(AST_KFTT, "softmax", 0.0).unwrap().note;
        assert!(
            note.starts_with("tokenised BLEU; one row per attention normaliser"),
            "{note}"
        );
    }
}

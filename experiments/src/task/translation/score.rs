//! BLEU of translations, and what needs no network.

use anyhow::Result;
use sparta_datasets::Split;
use sparta_datasets::baseline::WordTranslation;
use sparta_results::ScoreSignature;
use sparta_results::metric::ReferenceCount;
use sparta_results::metric::bleu::{Bleu, BleuScore, BleuTokenizer};

use super::corpus::detokenizer;
use super::data::PairData;
use crate::recipe::TranslationRecipe;

/// Training pairs that the translation of words is learned from, evenly spread: its memory grows with the pairs of words that
/// stand in one, and more change it little.
const BASELINE_PAIRS: usize = 200_000;

/// The BLEU of the recipe.
pub(super) fn bleu(recipe: &TranslationRecipe) -> Bleu {
    Bleu {
        tokenize: recipe.eval.tokenize,
        lowercase: recipe.data.lowercase,
        ..Bleu::default()
    }
}

impl PairData {
    /// BLEU of translations of a split, given as tokenised lines.
    ///
    /// # Errors
    /// Another number of lines than the split has.
    pub fn bleu(
        &self,
        recipe: &TranslationRecipe,
        split: Split,
        lines: &[String],
    ) -> Result<BleuScore> {
        let references = self.corpus.pairs(split).iter().map(|pair| pair.1.clone());
        let references: Vec<Vec<String>> = self
            .as_scored(recipe, references)
            .into_iter()
            .map(|line| vec![line])
            .collect();
        let hypotheses = self.as_scored(recipe, lines.iter().cloned());
        Ok(bleu(recipe).corpus(&hypotheses, &references)?)
    }

    /// Tokenised lines as the recipe's BLEU gets them.
    fn as_scored(
        &self,
        recipe: &TranslationRecipe,
        lines: impl Iterator<Item = String>,
    ) -> Vec<String> {
        self.as_scored_by(recipe.eval.tokenize, lines)
    }

    /// Tokenised lines as a score gets them: joined again where it brings its own tokeniser.
    pub(super) fn as_scored_by(
        &self,
        tokenize: BleuTokenizer,
        lines: impl Iterator<Item = String>,
    ) -> Vec<String> {
        match tokenize {
            BleuTokenizer::None => lines.collect(),
            BleuTokenizer::V13a | BleuTokenizer::Intl | BleuTokenizer::Char => {
                let detokenizer = detokenizer(self.corpus.target);
                lines.map(|line| detokenizer.detokenize(&line)).collect()
            }
        }
    }

    /// The protocol of the test score.
    ///
    /// # Errors
    /// A name with a separator in it.
    pub(super) fn signature(&self, recipe: &TranslationRecipe) -> Result<String> {
        let n = self.store(Split::Test).len() as u64;
        let signature = ScoreSignature::new(
            &bleu(recipe),
            ReferenceCount::Same(1),
            &self.corpus.name,
            Split::Test.name(),
            n,
        )?;
        Ok(signature.to_string())
    }

    /// What translation without a network gets: the source as it is, and each word replaced by its
    /// most probable translation, by at most [`BASELINE_PAIRS`] of the training pairs.
    ///
    /// # Errors
    /// An id outside the dictionary.
    pub(super) fn baselines(&self, recipe: &TranslationRecipe) -> Result<[f64; 2]> {
        let words = WordTranslation::learn(&self.train_text(BASELINE_PAIRS)?);
        let sources = self.corpus.pairs(Split::Test).iter().map(|pair| &pair.0);
        let copied: Vec<String> = sources.clone().cloned().collect();
        let translated: Vec<String> = sources.map(|line| words.translate(line)).collect();
        let score =
            |lines: &[String]| -> Result<f64> { Ok(self.bleu(recipe, Split::Test, lines)?.score) };
        Ok([score(&copied)?, score(&translated)?])
    }
}

//! Scores of translations, sentence by sentence: the recipe's BLEU, and what else the kept lines can be scored by.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use sparta_datasets::Split;
use sparta_datasets::source::sha256;
use sparta_results::metric::bleu::{Bleu, BleuTokenizer, MultiBleu};
use sparta_results::metric::chrf::Chrf;
use sparta_results::metric::{CorpusMetric, Outcomes, ReferenceCount, Statistic};
use sparta_results::{Metric, ScoreSignature};

use super::data::PairData;
use super::samples::LINES;
use super::score::bleu;
use crate::io::read_text;
use crate::protocol::UnitScores;
use crate::recipe::TranslationRecipe;

impl PairData {
    /// The scores of the translations beside a model: the recipe's BLEU first, then chrF2 of the text as it is written,
    /// and tokenised BLEU (multi-bleu.perl's) of the lines as they are; where the recipe's is of tokenised lines itself,
    /// sacreBLEU's default besides.
    ///
    /// # Errors
    /// Lines that are missing, or another number than the test set has.
    pub(super) fn unit_scores(
        &self,
        recipe: &TranslationRecipe,
        model: &Path,
    ) -> Result<Vec<UnitScores>> {
        let path = model.join(LINES);
        let text = read_text(&path).with_context(|| {
            format!(
                "no translations are kept at {}: `iwslt eval --resume` makes them",
                path.display()
            )
        })?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let references = self
            .corpus
            .pairs(Split::Test)
            .iter()
            .map(|pair| pair.1.clone());
        let references: Vec<String> = references.collect();
        ensure!(
            lines.len() == references.len(),
            "{} has {} lines and the test set {} sentences; delete it and score the model again: `iwslt eval --resume`",
            path.display(),
            lines.len(),
            references.len()
        );
        let texts = Texts {
            data: self,
            test_set: sha256(references.join("\n").as_bytes()),
            lines,
            references,
        };
        let own = bleu(recipe);
        let plain = Bleu {
            lowercase: own.lowercase,
            ..Bleu::default()
        };
        let chrf = Chrf {
            lowercase: own.lowercase,
            ..Chrf::default()
        };
        let tokenised = MultiBleu {
            lowercase: own.lowercase,
        };
        let mut scores = vec![texts.score(Metric::Bleu, own, own.tokenize)?];
        if own.tokenize == BleuTokenizer::None {
            scores.push(texts.score(Metric::Bleu, plain, plain.tokenize)?);
        }
        scores.push(texts.score(Metric::Bleu, tokenised, BleuTokenizer::None)?);
        scores.push(texts.score(Metric::Chrf, chrf, BleuTokenizer::V13a)?);
        Ok(scores)
    }
}

/// Translations and references as tokenised lines.
struct Texts<'a> {
    data: &'a PairData,
    lines: Vec<String>,
    references: Vec<String>,
    test_set: String,
}

impl Texts<'_> {
    /// One score, of lines as they are where `tokenize` is none, else of text as it is written.
    fn score<M>(&self, metric: Metric, score: M, tokenize: BleuTokenizer) -> Result<UnitScores>
    where
        M: CorpusMetric + Into<Statistic>,
    {
        let scored = |lines: &[String]| self.data.as_scored_by(tokenize, lines.iter().cloned());
        let references: Vec<Vec<String>> = scored(&self.references)
            .into_iter()
            .map(|line| vec![line])
            .collect();
        let (corpus, n) = (&self.data.corpus.name, self.lines.len() as u64);
        let one = ReferenceCount::Same(1);
        let signature = ScoreSignature::new(&score, one, corpus, Split::Test.name(), n)?;
        Ok(UnitScores {
            metric,
            signature: signature.to_string(),
            units: "sentences",
            outcomes: Outcomes::translations(score, &scored(&self.lines), &references)?,
            test_set: self.test_set.clone(),
        })
    }
}

//! The steps that a sentence goes through on its own.

use super::catalog::Steps;
use crate::Split;
use crate::pairs::to_lower;
use crate::tokenize::Language;
use crate::tokenize::moses::{MosesTokenizer, PunctuationNormalizer};

/// Running text of one language → text as a corpus has it: see
/// [`TranslationCorpus::preparer`](super::TranslationCorpus::preparer).
#[derive(Debug, Clone, Copy)]
pub struct SentencePreparer {
    steps: &'static Steps,
    normalizer: PunctuationNormalizer,
    tokenizer: Option<MosesTokenizer>,
}

impl SentencePreparer {
    pub(super) fn new(steps: &'static Steps, language: Language) -> Self {
        let tokenizer = |options| MosesTokenizer::with_options(language, options);
        Self {
            steps,
            normalizer: PunctuationNormalizer::with_release(language, steps.release),
            tokenizer: steps.tokenize.map(tokenizer),
        }
    }

    /// A line as the corpus's test set has it: tokens separated by single spaces, in lower case
    /// if the corpus is.
    pub fn prepare(&self, line: &str) -> String {
        let tokens = self.tokenized(line.to_owned(), Split::Test);
        let line = tokens.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.steps.lowercase {
            to_lower(&line)
        } else {
            line
        }
    }

    /// The steps up to the tokens; lower case comes after cleaning.
    pub(super) fn tokenized(&self, mut sentence: String, split: Split) -> String {
        if self.steps.lowercase_first {
            sentence = to_lower(&sentence);
        }
        let normalize = self.steps.normalize.contains(&split);
        if normalize {
            sentence = self.normalizer.normalize(&sentence);
        }
        if normalize && self.steps.drop_unprintable {
            let plain = |c| if is_unprintable(c) { ' ' } else { c };
            sentence = sentence.chars().map(plain).collect();
        }
        match &self.tokenizer {
            Some(tokenizer) => tokenizer.tokenize(&sentence),
            None => sentence,
        }
    }
}

/// Control and format characters and private use, as `remove-non-printing-char.perl` drops them;
/// unassigned code points, which it drops too, stay.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            u32::from(c),
            0xad | 0x600..=0x605
                | 0x61c
                | 0x6dd
                | 0x70f
                | 0x180e
                | 0x200b..=0x200f
                | 0x202a..=0x202e
                | 0x2060..=0x206f
                | 0xe000..=0xf8ff
                | 0xfeff
                | 0xfff9..=0xfffb
                | 0xe0001..=0xe007f
                | 0xf0000..=0x10ffff
        )
}

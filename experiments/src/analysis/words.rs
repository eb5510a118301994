//! What the figures of head roles need of a sequence: its words, and its questions.

use std::ops::Range;

use anyhow::Result;
use sparta_datasets::tokenize::Language;
use sparta_results::attention::{
    ENGLISH_INTERROGATIVES, GERMAN_INTERROGATIVES, Question, join_hyphenated,
};

use super::Tokens;

/// A sequence with its words and questions.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    /// Tokens as displayed.
    pub(super) pieces: Vec<String>,
    /// Words without special tokens; those around a hyphen that is a token are one.
    pub(super) clusters: Vec<Range<usize>>,
    /// Sentences that ask.
    pub(super) questions: Vec<Question>,
}

/// Tokens that end a sentence.
const ENDS: [&str; 3] = [".", "!", "?"];

impl Words {
    /// Of the tokens of a sequence, with the words that ask.
    ///
    /// # Errors
    /// Words that are not of the tokens.
    pub(super) fn of(tokens: &Tokens, interrogatives: &[String]) -> Result<Self> {
        let is_word = |word: &&Range<usize>| !tokens.specials[(*word).clone()].contains(&true);
        let words: Vec<Range<usize>> = tokens.words.iter().filter(is_word).cloned().collect();
        let clusters = join_hyphenated(&tokens.texts, &words)?;
        // A sequence may have several sentences, and each its question mark.
        let mut questions = Vec::new();
        let mut sentence: Vec<(String, Range<usize>)> = Vec::new();
        for at in words {
            let pieces = at.clone();
            sentence.push((tokens.text(at), pieces.clone()));
            // Where a mark is a piece of the word before it, as in byte-level BPE, it stands alone.
            let last = pieces.end - 1;
            let mark = &tokens.texts[last];
            if pieces.len() > 1 && ENDS.contains(&mark.as_str()) {
                sentence.pop();
                sentence.push((tokens.text(pieces.start..last), pieces.start..last));
                sentence.push((mark.clone(), last..pieces.end));
            }
            let ended = sentence.last();
            if ended.is_some_and(|(text, _)| ENDS.contains(&text.as_str())) {
                questions.extend(Question::find(&sentence, interrogatives));
                sentence.clear();
            }
        }
        Ok(Self {
            pieces: tokens.pieces.clone(),
            clusters,
            questions,
        })
    }
}

/// The words that ask, of the languages that have a list.
pub(super) fn interrogatives(language: Language) -> Option<Vec<String>> {
    let words = match language {
        Language::En => ENGLISH_INTERROGATIVES,
        Language::De => GERMAN_INTERROGATIVES,
        Language::Cs | Language::Fr | Language::Ja | Language::Ro | Language::Other(_) => {
            return None;
        }
    };
    Some(words.iter().map(|&word| word.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(pieces: &[&str]) -> Tokens {
        let mut tokens = Tokens::default();
        let mut start = 0;
        for (at, piece) in pieces.iter().enumerate() {
            let text = piece.trim_end_matches("@@");
            tokens.pieces.push((*piece).to_owned());
            tokens.texts.push(text.to_owned());
            tokens.specials.push(*piece == "</s>");
            if text == *piece {
                tokens.words.push(start..at + 1);
                start = at + 1;
            }
        }
        tokens
    }

    #[test]
    fn each_question_goes_to_its_own_mark_and_the_end_is_no_word() {
        let line = "so . wa@@ s ist das ? gut . wo ? </s>";
        let pieces: Vec<&str> = line.split(' ').collect();
        let list = interrogatives(Language::De).unwrap();
        let words = Words::of(&tokens(&pieces), &list).unwrap();
        let question = |words: &[usize], mark| Question {
            words: words.to_vec(),
            mark,
        };
        assert_eq!(words.questions, [question(&[2, 3], 6), question(&[9], 10)]);
        assert_eq!(words.clusters.len(), 10);
        assert!(words.clusters.iter().all(|word| word.end < 12));
    }

    #[test]
    fn a_mark_at_the_end_of_a_word_is_found() {
        let list = interrogatives(Language::En).unwrap();
        let words = Words::of(&tokens(&["who", "is", "it@@", "?"]), &list).unwrap();
        assert_eq!(words.questions[0].mark, 3);
        assert_eq!(words.questions[0].words, [0]);
    }
}

//! What pairs tell without a network: how many of the question's words the sentence has.

use crate::classification::{Label, TextExample};
use crate::question_sentence::words;

/// The fraction of the question's words that are words of the sentence, |Q ∩ S| / |Q|; 0 for a question
/// without words. [`STOP_WORDS`](crate::question_sentence::STOP_WORDS) are left out.
pub fn overlap(question: &str, sentence: &str) -> f64 {
    let (asked, said) = (words(question), words(sentence));
    match asked.len() {
        0 => 0.0,
        n => asked.intersection(&said).count() as f64 / n as f64,
    }
}

/// Says that a sentence answers where [`overlap`] reaches a threshold: the baseline that a network has to
/// beat before it has understood anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverlapRule {
    /// The smallest overlap of an answer.
    pub threshold: f64,
}

impl OverlapRule {
    /// The rule with the most right answers among labelled examples; of equally good ones that with the
    /// smallest threshold. Examples without a class are passed over.
    pub fn fit(examples: &[TextExample]) -> Self {
        let mut scored: Vec<(f64, bool)> = examples
            .iter()
            .filter_map(|example| match example.label? {
                Label::Class(class) => Some((overlap_of(example), class == 1)),
                Label::Score(_) => None,
            })
            .collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Below every overlap all are answers; each step up turns those that it passes into others.
        let mut right = scored.iter().filter(|(_, answers)| *answers).count();
        let (mut best, mut threshold) = (right, 0.0);
        for same in scored.chunk_by(|a, b| a.0 == b.0) {
            let answers = same.iter().filter(|(_, answers)| *answers).count();
            right = right + same.len() - 2 * answers;
            if right > best {
                // The next overlap above, or none.
                best = right;
                let above = scored.iter().find(|(overlap, _)| *overlap > same[0].0);
                threshold = above.map_or(f64::INFINITY, |(overlap, _)| *overlap);
            }
        }
        Self { threshold }
    }

    /// The class of a pair, as [`LABELS`](crate::question_sentence::LABELS) counts.
    pub fn class(self, example: &TextExample) -> usize {
        usize::from(overlap_of(example) >= self.threshold)
    }
}

fn overlap_of(example: &TextExample) -> f64 {
    overlap(&example.first, example.second.as_deref().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(first: &str, second: &str, class: usize) -> TextExample {
        TextExample {
            first: first.to_owned(),
            second: Some(second.to_owned()),
            label: Some(Label::Class(class)),
        }
    }

    #[test]
    fn stop_words_and_case_do_not_count() {
        assert_eq!(
            overlap("Who was the Red Queen?", "A queen, the first."),
            0.5
        );
        assert_eq!(overlap("What is it?", "It is."), 0.0);
    }

    #[test]
    fn the_threshold_has_the_most_right_answers() {
        // Overlaps 0, 1/4, 2/4, 3/4 and 1; the third one's label is the odd one out.
        let asked = "red green blue black";
        let examples = [
            pair(asked, "white", 0),
            pair(asked, "red", 0),
            pair(asked, "red green", 1),
            pair(asked, "red green blue", 0),
            pair(asked, asked, 1),
        ];
        // 1/2 and 1 have one mistake each: the smaller one.
        assert_eq!(OverlapRule::fit(&examples).threshold, 0.5);
        assert_eq!(OverlapRule::fit(&examples[..2]).threshold, f64::INFINITY);
        assert_eq!(OverlapRule::fit(&examples[4..]).threshold, 0.0);
        let rule = OverlapRule { threshold: 0.5 };
        assert_eq!(examples.each_ref().map(|e| rule.class(e)), [0, 0, 1, 1, 1]);
    }
}

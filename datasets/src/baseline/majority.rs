//! The most frequent class.

use crate::classification::{Label, TextExample};

/// The most frequent class and its fraction of the labelled examples that are judged, which is the best accuracy of a guess
/// that does not look; `None` for scores and without labels. Of equally frequent ones the first.
pub fn majority(judged: &[TextExample]) -> Option<(usize, f64)> {
    let mut counts: Vec<usize> = Vec::new();
    for example in judged {
        if let Some(Label::Class(class)) = example.label {
            counts.resize(counts.len().max(class + 1), 0);
            counts[class] += 1;
        }
    }
    let n: usize = counts.iter().sum();
    let first = |&(class, count): &(usize, &usize)| (*count, std::cmp::Reverse(class));
    let (class, &count) = counts.iter().enumerate().max_by_key(first)?;
    Some((class, count as f64 / n as f64))
}

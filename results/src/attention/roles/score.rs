//! Scores of all heads of a network, and which of them pass.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// The score of one head in a role.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadScore {
    /// The layer, counted from 0.
    pub layer: usize,
    /// The head, counted from 0.
    pub head: usize,
    /// Its score, 0 to 1.
    pub score: f64,
}

/// All heads from the highest score to the lowest; equal ones by layer and head. `layers` holds the scores of each
/// layer's heads, none where nothing was to be scored.
pub fn ranked_heads(layers: &[Vec<f64>]) -> Vec<HeadScore> {
    let mut heads = Vec::new();
    for (layer, scores) in layers.iter().enumerate() {
        let of = |(head, &score)| HeadScore { layer, head, score };
        heads.extend(scores.iter().enumerate().map(of));
    }
    let falling = |a: &HeadScore, b: &HeadScore| -> Ordering { b.score.total_cmp(&a.score) };
    heads.sort_by(falling);
    heads
}

/// The heads whose score is above `bar`, from the highest to the lowest.
pub fn passing_heads(layers: &[Vec<f64>], bar: f64) -> Vec<HeadScore> {
    let mut heads = ranked_heads(layers);
    heads.retain(|head| head.score > bar);
    heads
}

/// The head of the highest score; `None` where nothing was scored.
pub fn best_head(layers: &[Vec<f64>]) -> Option<HeadScore> {
    ranked_heads(layers).first().copied()
}

/// The median score of some heads, as the paper gives it for those of a role; `None` of no heads.
pub fn median_score(heads: &[HeadScore]) -> Option<f64> {
    let mut scores: Vec<f64> = heads.iter().map(|head| head.score).collect();
    scores.sort_by(f64::total_cmp);
    let (below, above) = (scores.len().checked_sub(1)? / 2, scores.len() / 2);
    Some((scores[below] + scores[above]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_ranked_over_layers() {
        let layers = [vec![0.2, 0.9], vec![], vec![0.95, 0.2]];
        let places: Vec<_> = ranked_heads(&layers)
            .iter()
            .map(|head| (head.layer, head.head))
            .collect();
        assert_eq!(places, [(2, 0), (0, 1), (0, 0), (2, 1)]);
        assert_eq!(best_head(&layers).unwrap().score, 0.95);
        assert_eq!(best_head(&[vec![], vec![]]), None);
        let passing = passing_heads(&layers, 0.9);
        assert_eq!(passing.len(), 1, "a score at the bar does not pass");
        assert_eq!(median_score(&ranked_heads(&layers)), Some(0.55));
        assert_eq!(median_score(&passing), Some(0.95));
        assert_eq!(median_score(&[]), None);
    }
}

//! The likeliest next tokens of a hypothesis.

use burn::prelude::*;
use sparta_ops::loss::cross_entropy;

use crate::layer::OutputMap;

/// Log-probabilities of all tokens of all hypotheses, on the host.
pub(super) struct NextTokens {
    /// Scores for softmax, else probabilities, `[rows, vocab_size]`.
    values: TensorData,
    /// For softmax, log Σexp of each row.
    log_partition: Option<Vec<f32>>,
    vocab_size: usize,
    is_sparse: bool,
}

impl NextTokens {
    /// From the scores `[rows, vocab_size]`.
    pub(super) fn new(map: OutputMap, scores: Tensor<2>) -> Self {
        let [rows, vocab_size] = scores.dims();
        let (values, log_partition) = match map {
            OutputMap::Softmax => {
                // The fused loss of the best token is log Σexp(z) − z_best: no [rows, vocab_size] temporary,
                // and no cancellation.
                let (best, token) = scores.clone().max_dim_with_indices(1);
                let loss = cross_entropy(scores.clone(), token.reshape([rows]));
                let log_partition = loss + best.reshape([rows]);
                (scores, Some(floats(log_partition)))
            }
            OutputMap::Sparsemax | OutputMap::Entmax15 | OutputMap::Entmax { .. } => {
                (map.probabilities(scores), None)
            }
        };
        Self {
            values: values.into_data().convert::<f32>(),
            log_partition,
            vocab_size,
            is_sparse: map.is_sparse(),
        }
    }

    /// The tokens that a sparse output map gives probability, with it, by id; none for a dense one, which
    /// gives all of them some.
    pub(super) fn support(&self, row: usize) -> Option<impl Iterator<Item = (i32, f64)> + '_> {
        self.is_sparse.then(|| {
            let given = (0i32..).zip(self.row(row)).filter(|(_, p)| **p > 0.0);
            given.map(|(token, p)| (token, f64::from(*p)))
        })
    }

    fn row(&self, row: usize) -> &[f32] {
        let values = self.values.as_slice::<f32>().expect("converted to f32");
        &values[row * self.vocab_size..(row + 1) * self.vocab_size]
    }

    /// log p of a token; −∞ where the output map gives it nothing or the score is not a number.
    pub(super) fn log_probability(&self, row: usize, token: i32) -> f64 {
        let value = self.row(row)[token as usize];
        let log_p = match &self.log_partition {
            Some(log_partition) => value - log_partition[row],
            None => value.ln(),
        };
        match log_p.is_nan() {
            true => f64::NEG_INFINITY,
            false => f64::from(log_p),
        }
    }

    /// The `n` likeliest tokens of a row of which `allowed` and the output map leave some, likeliest
    /// first; of equals, the lower id first.
    pub(super) fn best(
        &self,
        row: usize,
        n: usize,
        allowed: impl Fn(i32) -> bool,
    ) -> Vec<(f64, i32)> {
        let mut best: Vec<(f32, i32)> = Vec::with_capacity(n + 1);
        for (token, &value) in (0i32..).zip(self.row(row)) {
            let beaten = best.len() == n && best.last().is_some_and(|(last, _)| value <= *last);
            if beaten || value.is_nan() || !allowed(token) {
                continue;
            }
            let place = best.partition_point(|(other, _)| *other >= value);
            best.insert(place, (value, token));
            best.truncate(n);
        }
        best.into_iter()
            .map(|(_, token)| (self.log_probability(row, token), token))
            .filter(|(log_p, _)| *log_p > f64::NEG_INFINITY)
            .collect()
    }
}

fn floats(tensor: Tensor<1>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.as_slice::<f32>().expect("converted to f32").to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(map: OutputMap, scores: [f32; 5]) -> NextTokens {
        NextTokens::new(map, Tensor::from_floats([scores], &Device::flex()))
    }

    #[test]
    fn the_likeliest_come_first_and_of_equals_the_lower_id() {
        let next = tokens(OutputMap::Softmax, [0.0, 2.0, 1.0, 2.0, -1.0]);
        let best = next.best(0, 3, |token| token != 2);
        let ids: Vec<i32> = best.iter().map(|(_, token)| *token).collect();
        assert_eq!(ids, [1, 3, 0]);
        let sum: f64 = [0.0f64, 2.0, 1.0, 2.0, -1.0].iter().map(|z| z.exp()).sum();
        assert!((best[2].0 - (1.0 / sum).ln()).abs() < 1e-6);
    }

    #[test]
    fn a_score_of_minus_infinity_is_no_candidate() {
        let hidden = f32::NEG_INFINITY;
        let next = tokens(OutputMap::Softmax, [hidden, 1.0, hidden, 1.0, hidden]);
        let half = 0.5f64.ln();
        let found = next.best(0, 5, |_| true);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(log_p, _)| (log_p - half).abs() < 1e-6));
    }

    #[test]
    fn a_token_without_probability_is_no_candidate() {
        let next = tokens(OutputMap::Sparsemax, [0.0, 2.0, 1.5, -3.0, 0.0]);
        assert_eq!(
            next.best(0, 5, |_| true),
            [(0.75f64.ln(), 1), (0.25f64.ln(), 2)]
                .map(|(log_p, token): (f64, i32)| (f64::from(log_p as f32), token))
        );
        assert_eq!(next.log_probability(0, 3), f64::NEG_INFINITY);
        let nan = tokens(OutputMap::Softmax, [f32::NAN; 5]);
        assert!(nan.best(0, 5, |_| true).is_empty());
    }

    #[test]
    fn the_support_is_what_a_sparse_map_leaves() {
        let next = tokens(
            OutputMap::Sparsemax,
            [0.0, 2.0, 1.5, f32::NEG_INFINITY, 0.0],
        );
        let found: Vec<(i32, f64)> = next.support(0).expect("sparse").collect();
        assert_eq!(found, [(1, 0.75), (2, 0.25)]);
        assert!(tokens(OutputMap::Softmax, [0.0; 5]).support(0).is_none());
    }
}

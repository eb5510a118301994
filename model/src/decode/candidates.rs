//! The likeliest next tokens of a hypothesis.

use burn::prelude::*;
use sparta_ops::loss::log_partition;

use crate::layer::OutputMap;

/// Values of a row that are compared together.
const PART: usize = 64;

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
        let [_, vocab_size] = scores.dims();
        let (values, log_partition) = match map {
            OutputMap::Softmax => {
                let log_partition = floats(log_partition(scores.clone()));
                (scores, Some(log_partition))
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
    /// first; of equals, the lower id first. Those with a log-probability up to the floor may be missing.
    pub(super) fn best(
        &self,
        row: usize,
        n: usize,
        floor: f64,
        allowed: impl Fn(i32) -> bool,
    ) -> Vec<(f64, i32)> {
        let mut best: Vec<(f32, i32)> = Vec::with_capacity(n + 1);
        // What a value must exceed, which NaN does not.
        let mut bar = self.value_below(row, floor);
        for (i, part) in self.row(row).chunks(PART).enumerate() {
            // Counted without a branch a value: nearly all parts have none.
            let above = part.iter().map(|value| u32::from(*value > bar));
            if above.sum::<u32>() == 0 {
                continue;
            }
            for (token, &value) in ((i * PART) as i32..).zip(part) {
                if value > bar && allowed(token) {
                    let place = best.partition_point(|(other, _)| *other >= value);
                    best.insert(place, (value, token));
                    if best.len() >= n {
                        best.truncate(n);
                        bar = best[n - 1].0.max(bar);
                    }
                }
            }
        }
        best.into_iter()
            .map(|(_, token)| (self.log_probability(row, token), token))
            .filter(|(log_p, _)| *log_p > f64::NEG_INFINITY)
            .collect()
    }

    /// A value whose log-probability is at most `floor`, whatever is rounded.
    fn value_below(&self, row: usize, floor: f64) -> f32 {
        let value = match &self.log_partition {
            Some(log_partition) => {
                let log_partition = f64::from(log_partition[row]);
                let slack = 1e-6 * (floor.abs() + log_partition.abs());
                floor + log_partition - slack
            }
            None => floor.exp() * (1.0 - 1e-6),
        };
        match value.is_nan() {
            true => f32::NEG_INFINITY,
            false => value as f32,
        }
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
        let best = next.best(0, 3, f64::NEG_INFINITY, |token| token != 2);
        let ids: Vec<i32> = best.iter().map(|(_, token)| *token).collect();
        assert_eq!(ids, [1, 3, 0]);
        let sum: f64 = [0.0f64, 2.0, 1.0, 2.0, -1.0].iter().map(|z| z.exp()).sum();
        assert!((best[2].0 - (1.0 / sum).ln()).abs() < 1e-6);
    }

    /// Whole parts are passed over: the ends of parts, equals before and behind, and a floor.
    #[test]
    fn of_many_the_likeliest_are_those_of_a_sort() {
        let n = 5 * PART + 7;
        let mut scores: Vec<f32> = (0..n).map(|i| (i * 7919 % 1000) as f32 / 100.0).collect();
        for (at, value) in [
            (0, 9.5),
            (PART - 1, 9.5),
            (PART, 9.5),
            (n - 1, 11.0),
            (2 * PART, f32::NAN),
        ] {
            scores[at] = value;
        }
        let mut sorted: Vec<i32> = (0..n as i32)
            .filter(|i| !scores[*i as usize].is_nan())
            .collect();
        sorted.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        // The sum of a row with a NaN is none: the scores alone are compared.
        let data = TensorData::new(scores.clone(), [1, n]);
        let next = NextTokens {
            values: data,
            log_partition: Some(vec![0.0]),
            vocab_size: n,
            is_sparse: false,
        };
        let ids = |floor| -> Vec<i32> {
            let best = next.best(0, 12, floor, |token| token % 3 != 0);
            best.into_iter().map(|(_, token)| token).collect()
        };
        let expected: Vec<i32> = sorted
            .into_iter()
            .filter(|id| id % 3 != 0)
            .take(12)
            .collect();
        assert_eq!(ids(f64::NEG_INFINITY), expected);
        let above = |id: &&i32| scores[**id as usize] > 9.94;
        let n_above = expected.iter().filter(above).count();
        assert!((1..12).contains(&n_above));
        assert_eq!(ids(9.94), expected[..n_above]);
    }

    #[test]
    fn a_score_of_minus_infinity_is_no_candidate() {
        let hidden = f32::NEG_INFINITY;
        let next = tokens(OutputMap::Softmax, [hidden, 1.0, hidden, 1.0, hidden]);
        let half = 0.5f64.ln();
        let found = next.best(0, 5, f64::NEG_INFINITY, |_| true);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(log_p, _)| (log_p - half).abs() < 1e-6));
    }

    #[test]
    fn a_token_without_probability_is_no_candidate() {
        let next = tokens(OutputMap::Sparsemax, [0.0, 2.0, 1.5, -3.0, 0.0]);
        assert_eq!(
            next.best(0, 5, f64::NEG_INFINITY, |_| true),
            [(0.75f64.ln(), 1), (0.25f64.ln(), 2)]
                .map(|(log_p, token): (f64, i32)| (f64::from(log_p as f32), token))
        );
        assert_eq!(next.log_probability(0, 3), f64::NEG_INFINITY);
        let nan = tokens(OutputMap::Softmax, [f32::NAN; 5]);
        assert!(nan.best(0, 5, f64::NEG_INFINITY, |_| true).is_empty());
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

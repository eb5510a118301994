//! Attention of a decoder to some pages of its keys, which are kept on the host.
//!
//! It gives what a selection loses and how little can be read; it is slower than attention to all keys on the device.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use burn::prelude::*;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use sparta_ops::attention::pages::{PageMode, PageQuery, PageSelector, PageWeights, PagedKeys};
use sparta_ops::attention::{AttentionOutput, Implementation};

use super::key_value::KeyValue;
use crate::error::ModelError;
use crate::masks::LayerMask;

/// Which pages of keys a decoder with α-entmax attention reads, and how their threshold is found, in the words of
/// programs: `exact`, `gaussian`, `top_k=64`, the last two also with `+fixed` or `+corrected`.
///
/// ```
/// use sparta_model::layer::Paging;
/// let paging: Paging = "top_k=64+corrected".parse().unwrap();
/// assert_eq!(paging.to_string(), "top_k=64+corrected");
/// assert_eq!("exact".parse(), Ok(Paging::EXACT));
/// assert!("exact+fixed".parse::<Paging>().is_err());
/// ```
///
/// # Source
/// EntmaxKV (arXiv 2605.21649); `exact` is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Paging {
    selector: PageSelector,
    mode: PageMode,
}

/// Halley's steps of `corrected`.
const N_STEPS: usize = 2;

impl Paging {
    /// Every page that can hold a key of weight above 0: attention is that to all keys.
    pub const EXACT: Self = Self {
        selector: PageSelector::Exact,
        mode: PageMode::Exact,
    };
}

impl fmt::Display for Paging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.selector {
            PageSelector::Exact => f.write_str("exact"),
            PageSelector::Gaussian => f.write_str("gaussian"),
            PageSelector::TopK { budget } => write!(f, "top_k={budget}"),
        }?;
        match self.mode {
            PageMode::Exact => Ok(()),
            PageMode::Fixed => f.write_str("+fixed"),
            PageMode::Corrected { .. } => f.write_str("+corrected"),
        }
    }
}

impl FromStr for Paging {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let unknown = || ModelError::UnknownPaging {
            found: text.to_owned(),
        };
        let (selector, mode) = match text.trim().split_once('+') {
            Some((selector, mode)) => (selector, Some(mode)),
            None => (text.trim(), None),
        };
        let selector = match selector.split_once('=') {
            None if selector == "exact" => PageSelector::Exact,
            None if selector == "gaussian" => PageSelector::Gaussian,
            Some(("top_k", budget)) => {
                let budget = budget.parse().ok().filter(|budget| *budget > 0);
                PageSelector::TopK {
                    budget: budget.ok_or_else(unknown)?,
                }
            }
            None | Some(_) => return Err(unknown()),
        };
        let mode = match (mode, selector) {
            (None, _) => PageMode::Exact,
            // What exact selection reads has its threshold already.
            (Some(_), PageSelector::Exact) => return Err(unknown()),
            (Some("fixed"), _) => PageMode::Fixed,
            (Some("corrected"), _) => PageMode::Corrected { n_steps: N_STEPS },
            (Some(_), _) => return Err(unknown()),
        };
        Ok(Self { selector, mode })
    }
}

impl TryFrom<String> for Paging {
    type Error = ModelError;

    fn try_from(text: String) -> Result<Self, ModelError> {
        text.parse()
    }
}

impl From<Paging> for String {
    fn from(paging: Paging) -> Self {
        paging.to_string()
    }
}

/// What a decoder read of its pages, summed over rows of weights: queries of every head and layer by pages.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PageReport {
    /// Rows of weights.
    pub n_rows: usize,
    /// Pages with a visible key. Of each, least and largest coordinates are read: as much as two keys.
    pub n_pages: usize,
    /// Pages of which keys were read.
    pub n_pages_read: usize,
    /// Visible keys.
    pub n_keys: usize,
    /// Visible keys that were read.
    pub n_keys_read: usize,
    /// δ, the weight that attention to all keys gives to those that were not read.
    pub dropped: f64,
    /// The largest δ of a row.
    pub most_dropped: f64,
}

impl PageReport {
    /// With what was read elsewhere.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            n_rows: self.n_rows + other.n_rows,
            n_pages: self.n_pages + other.n_pages,
            n_pages_read: self.n_pages_read + other.n_pages_read,
            n_keys: self.n_keys + other.n_keys,
            n_keys_read: self.n_keys_read + other.n_keys_read,
            dropped: self.dropped + other.dropped,
            most_dropped: self.most_dropped.max(other.most_dropped),
        }
    }

    /// Of one row of weights.
    fn of(found: &PageWeights, dropped: f64) -> Self {
        Self {
            n_rows: 1,
            n_pages: found.n_pages,
            n_pages_read: found.read.len(),
            n_keys: found.n_keys,
            n_keys_read: found.weights.len(),
            dropped,
            most_dropped: dropped,
        }
    }
}

/// Keys and values of each row of a batch, by head. Hypotheses share what they have in common until one is
/// written on.
#[derive(Debug, Clone)]
pub(crate) struct PagedCache {
    rows: Vec<Arc<Vec<Head>>>,
}

/// Keys and values of one head.
#[derive(Debug, Clone)]
struct Head {
    keys: PagedKeys,
    /// `[n_keys, d_head]`.
    values: Vec<f32>,
}

/// What queries by pages need besides the keys.
pub(crate) struct PagedInput<'a> {
    /// `[batch, n_heads, seq_q, d_head]`.
    pub(crate) query: Tensor<4>,
    /// `[n_heads, seq_q, seq_kv]`.
    pub(crate) global_mask: Option<LayerMask>,
    /// α of each head.
    pub(crate) alpha: &'a [f64],
    pub(crate) paging: Paging,
    pub(crate) return_weights: bool,
}

impl PagedCache {
    /// No key yet.
    pub(crate) fn new(n_rows: usize, n_heads: usize, d_head: usize) -> Self {
        let head = Head {
            keys: PagedKeys::new(d_head),
            values: Vec::new(),
        };
        let row = Arc::new(vec![head; n_heads]);
        Self {
            rows: vec![row; n_rows],
        }
    }

    /// Adds keys and values, `[batch, n_heads, seq, d_head]`, of which padding, `[batch, seq]`, keeps its place unseen.
    pub(crate) fn append(&mut self, new: KeyValue, padding: Option<&Tensor<2, Bool>>) {
        let [_, n_heads, seq, d_head] = new.key.dims();
        let (keys, values) = (floats(new.key), floats(new.value));
        let padding = padding.map(|padding| bools(padding.clone()));
        for (b, row) in self.rows.iter_mut().enumerate() {
            for (h, head) in Arc::make_mut(row).iter_mut().enumerate() {
                for i in 0..seq {
                    let first = ((b * n_heads + h) * seq + i) * d_head;
                    let is_padding = padding.as_ref().is_some_and(|p| p[b * seq + i]);
                    head.keys.append(&keys[first..first + d_head], !is_padding);
                    head.values
                        .extend_from_slice(&values[first..first + d_head]);
                }
            }
        }
    }

    /// The rows of the batch at `index`, in that order.
    pub(crate) fn select(self, index: Tensor<1, Int>) -> Self {
        let index = index.into_data();
        let rows = index
            .iter::<i64>()
            .map(|i| Arc::clone(&self.rows[i as usize]));
        Self {
            rows: rows.collect(),
        }
    }

    /// The context of queries, `[batch, n_heads, seq_q, d_head]`, with their weights if asked for, and what was read for
    /// each row of the batch.
    pub(crate) fn attend(&self, input: PagedInput<'_>) -> (AttentionOutput, Vec<PageReport>) {
        let [batch, n_heads, seq_q, d_head] = input.query.dims();
        let (device, dtype) = (input.query.device(), input.query.dtype());
        let queries = floats(input.query);
        let hidden = input.global_mask.map(|mask| bools(mask.cells()));
        let mut context = Vec::with_capacity(queries.len());
        let mut weights = Vec::new();
        let mut reports = vec![PageReport::default(); batch];
        for (i, query) in queries.chunks(d_head).enumerate() {
            let (b, h, q) = (i / seq_q / n_heads, i / seq_q % n_heads, i % seq_q);
            let Head { keys, values } = &self.rows[b][h];
            let first = (h * seq_q + q) * keys.len();
            let query = PageQuery {
                query,
                scale: (d_head as f64).powf(-0.5),
                alpha: input.alpha[h],
                hidden: (hidden.as_ref()).map(|cells| &cells[first..first + keys.len()]),
            };
            let found = query.attend(keys, input.paging.selector, input.paging.mode);
            let mut sums = vec![0f64; d_head];
            for &(key, weight) in &found.weights {
                let value = &values[key * d_head..(key + 1) * d_head];
                for (sum, v) in sums.iter_mut().zip(value) {
                    *sum += weight * f64::from(*v);
                }
            }
            context.extend(sums.into_iter().map(|sum| sum as f32));
            if input.return_weights {
                let row = weights.len();
                weights.resize(row + keys.len(), 0f32);
                for &(key, weight) in &found.weights {
                    weights[row + key] = weight as f32;
                }
            }
            let dropped = query.dropped(keys, &found);
            reports[b] = reports[b].and(PageReport::of(&found, dropped));
        }
        let tensor = |values: Vec<f32>, d_last| {
            let data = TensorData::new(values, [batch, n_heads, seq_q, d_last]);
            Tensor::<4>::from_data(data, &device).cast(dtype)
        };
        let first = self.rows.first().and_then(|row| row.first());
        let n_keys = first.map_or(0, |head| head.keys.len());
        let output = AttentionOutput {
            context: tensor(context, d_head),
            weights: (input.return_weights).then(|| tensor(weights, n_keys)),
            implementation: Implementation::Reference,
        };
        (output, reports)
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.as_slice::<f32>().expect("converted to f32").to_vec()
}

fn bools<const D: usize>(tensor: Tensor<D, Bool>) -> Vec<bool> {
    tensor.into_data().iter::<bool>().collect()
}

//! The catalogue of attention: shapes, normalisers, masks and terms that every implementation on every
//! device is held to.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};

use super::{normal, tensor, values};
use crate::attention::{
    AttentionOptions, BlockMask, Implementation, Normalizer, Packing, RelativeTerm,
    sparse_attention,
};

/// The row normaliser of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// α = 1.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// One α a head, from 1 to 2 in turns.
    PerHead,
    /// One α for all heads, as a tensor.
    Alpha(f64),
}

/// The masks of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Masks {
    /// None.
    None,
    /// Bottom right.
    Causal,
    /// Padding on the right of each example, a gap on the left of the second.
    Padding,
    /// Key lengths; the last example has none.
    Lengths,
    /// Three packed sequences, not causal.
    Packed,
    /// Three packed sequences, causal each.
    PackedCausal,
    /// A third of the cells of each head, whole rows among them.
    Global,
    /// The same cells for every head.
    GlobalShared,
    /// Blocks of this size: hidden, visible and partial ones.
    Blocks(usize),
    /// A mask for all heads.
    Extra,
    /// Causal, padding, global, blocks and extra at once.
    All,
}

/// What is added to scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Terms {
    /// Nothing.
    None,
    /// A bias for the whole batch.
    Bias,
    /// A bias for each example.
    BiasEach,
    /// Transformer-XL's term by distance.
    Relative,
    /// Bias and distance.
    Both,
}

/// One request.
#[derive(Clone, Debug)]
pub struct AttentionCase {
    /// `[batch, n_heads, n_kv_heads, seq_q, seq_kv, d_head, d_value]`.
    pub shape: [usize; 7],
    /// The normaliser.
    pub rule: Rule,
    /// The masks.
    pub masks: Masks,
    /// Added to scores.
    pub terms: Terms,
    /// Share of weights dropped.
    pub dropout: f64,
    /// Factor of the queries: wide scores have few weights.
    pub spread: f64,
}

const SHAPES: [[usize; 7]; 8] = [
    [2, 3, 3, 7, 7, 5, 5],
    [2, 2, 1, 33, 65, 16, 16],
    [1, 4, 2, 130, 130, 64, 64],
    [2, 2, 2, 3, 9, 8, 12],
    [1, 1, 1, 1, 1, 4, 4],
    [1, 2, 2, 1, 4097, 16, 16],
    [1, 3, 3, 97, 300, 33, 17],
    [1, 6, 2, 65, 1025, 32, 48],
];

impl AttentionCase {
    fn new(shape: [usize; 7], rule: Rule, masks: Masks) -> Self {
        Self {
            shape,
            rule,
            masks,
            terms: Terms::None,
            dropout: 0.0,
            spread: 1.0,
        }
    }

    /// Every case. Every n-th of them, with a prime n, makes a quick tier.
    pub fn all() -> Vec<Self> {
        let rules = [
            Rule::Softmax,
            Rule::Sparsemax,
            Rule::Entmax15,
            Rule::PerHead,
        ];
        let masks = [
            Masks::None,
            Masks::Causal,
            Masks::Padding,
            Masks::Lengths,
            Masks::Packed,
            Masks::PackedCausal,
            Masks::Global,
            Masks::GlobalShared,
            Masks::Blocks(16),
            Masks::Blocks(64),
            Masks::Extra,
            Masks::All,
        ];
        let mut cases = Vec::new();
        for rule in rules {
            for masks in masks {
                let is_packed = matches!(masks, Masks::Packed | Masks::PackedCausal);
                for shape in SHAPES {
                    // Packed sequences are one row of the batch, and three.
                    if !is_packed || (shape[0] == 1 && shape[3] > 2) {
                        cases.push(Self::new(shape, rule, masks));
                    }
                }
            }
            for masks in [Masks::None, Masks::Causal, Masks::All] {
                for shape in [SHAPES[0], SHAPES[1], SHAPES[6]] {
                    for terms in [Terms::Bias, Terms::BiasEach, Terms::Relative, Terms::Both] {
                        cases.push(Self {
                            terms,
                            ..Self::new(shape, rule, masks)
                        });
                    }
                    cases.push(Self {
                        dropout: 0.3,
                        ..Self::new(shape, rule, masks)
                    });
                    cases.push(Self {
                        dropout: 0.2,
                        terms: Terms::Both,
                        ..Self::new(shape, rule, masks)
                    });
                }
                for shape in [SHAPES[2], SHAPES[6]] {
                    for terms in [Terms::None, Terms::Relative] {
                        cases.push(Self {
                            spread: 8.0,
                            terms,
                            ..Self::new(shape, rule, masks)
                        });
                    }
                }
            }
        }
        for alpha in [1.0, 1.001, 1.1, 1.25, 1.333, 1.5, 1.75, 2.0, 2.3, 3.0] {
            for shape in [SHAPES[0], SHAPES[6]] {
                for spread in [1.0, 8.0] {
                    cases.push(Self {
                        spread,
                        ..Self::new(shape, Rule::Alpha(alpha), Masks::Causal)
                    });
                }
            }
        }
        for block in [32, 128] {
            cases.push(Self::new(SHAPES[6], Rule::Entmax15, Masks::Blocks(block)));
        }
        cases
    }

    /// At most 60 of [`Self::all`], of every kind.
    pub fn quick() -> Vec<Self> {
        let all = Self::all();
        let n = all.len().div_ceil(60) | 1;
        all.into_iter().step_by(n).collect()
    }

    /// Heads wider than what kernels add up at once.
    pub fn wide() -> Vec<Self> {
        vec![
            Self::new([1, 2, 1, 20, 30, 100, 70], Rule::Entmax15, Masks::Causal),
            Self::new([1, 2, 2, 40, 70, 136, 140], Rule::PerHead, Masks::None),
        ]
    }

    /// The case in words.
    pub fn label(&self) -> String {
        let [b, h, g, q, k, d, v] = self.shape;
        format!(
            "[{b}, {h}/{g}, {q}x{k}, {d}/{v}] {:?} {:?} {:?} dropout {} spread {}",
            self.rule, self.masks, self.terms, self.dropout, self.spread
        )
    }

    fn options(&self, dtype: DType, device: &Device) -> AttentionOptions {
        let [batch, n_heads, _, seq_q, seq_kv, ..] = self.shape;
        let plain = device.clone().inner();
        let alpha = |alphas: Vec<f64>| {
            let dtype = if dtype == DType::F64 {
                dtype
            } else {
                DType::F32
            };
            Normalizer::Entmax(leaf(&alphas, [n_heads], dtype, device))
        };
        let normalizer = match self.rule {
            Rule::Softmax => Normalizer::Softmax,
            Rule::Sparsemax => Normalizer::Sparsemax,
            Rule::Entmax15 => Normalizer::Entmax15,
            Rule::PerHead => alpha((0..n_heads).map(|h| [1.0, 1.3, 1.6, 1.9][h % 4]).collect()),
            Rule::Alpha(value) => alpha(vec![value; n_heads]),
        };
        let mut options = AttentionOptions::new(normalizer).dropout(self.dropout);
        options.dropout_seed = Some(0x0123_4567_89ab_cdef);
        let padded = |i: usize| {
            let (b, j) = (i / seq_kv, i % seq_kv);
            j + b >= seq_kv.max(2) || (b == 1 && j < seq_kv / 3)
        };
        let cell = |head: usize, i: usize, j: usize| {
            (i * 7 + j * 3 + head).is_multiple_of(3) || (i % 5 == 2 && head != 1)
        };
        let global = |heads: usize| {
            let n = seq_q * seq_kv;
            mask(
                heads * n,
                |c| cell(c / n, c % n / seq_kv, c % seq_kv),
                [heads, seq_q, seq_kv],
                &plain,
            )
        };
        let blocks = |block: usize, heads: usize| {
            let hidden =
                |head: usize, i: usize, j: usize| match (i / block + 2 * (j / block) + head) % 3 {
                    0 => true,
                    1 => cell(head, i, j),
                    _ => false,
                };
            BlockMask::new(block, [heads, seq_q, seq_kv], hidden, &plain).expect("a block size")
        };
        let extra = || {
            let hidden = |c: usize| (c / seq_kv + c % seq_kv).is_multiple_of(4);
            mask(seq_q * seq_kv, hidden, [seq_q, seq_kv], &plain)
        };
        let packing = || {
            let split = |n: usize| [n / 4, n - n / 4 - n / 3, n / 3];
            Packing::new(&split(seq_q), &split(seq_kv)).expect("as many of each")
        };
        match self.masks {
            Masks::None => options,
            Masks::Causal => options.causal(),
            Masks::Padding => {
                options.key_padding(mask(batch * seq_kv, padded, [batch, seq_kv], &plain))
            }
            Masks::Lengths => {
                let length = |b: usize| (seq_kv as i64 * 2 / 3 - b as i64).max(0);
                let lengths: Vec<i64> = (0..batch).map(length).collect();
                let lengths = TensorData::new(lengths, [batch]);
                options.key_lengths(Tensor::<1, Int>::from_data(lengths, &plain))
            }
            Masks::Packed => options.packing(packing()),
            Masks::PackedCausal => options.packing(packing()).causal(),
            Masks::Global => options.global_mask(global(n_heads)),
            Masks::GlobalShared => options.global_mask(global(1)),
            Masks::Blocks(block) => options.block_mask(blocks(block, n_heads)),
            Masks::Extra => options.extra_mask(extra()),
            Masks::All => options
                .causal()
                .key_padding(mask(batch * seq_kv, padded, [batch, seq_kv], &plain))
                .global_mask(global(n_heads))
                .block_mask(blocks(16, 1))
                .extra_mask(extra())
                .scale(0.3),
        }
    }

    /// The context and every gradient, given an upstream gradient that is zero in rows near a change
    /// of the support (of `support`, a run with weights) where α > 2.
    pub fn run(
        &self,
        dtype: DType,
        device: &Device,
        implementation: Implementation,
    ) -> Vec<(&'static str, Vec<f64>)> {
        let [batch, n_heads, n_kv_heads, seq_q, seq_kv, d_head, d_value] = self.shape;
        let device = device.clone().autodiff();
        let float = |n: usize, seed: u64, spread: f64| -> Vec<f64> {
            // What half types hold, so that every type begins with the same numbers.
            let round = |x: f64| (x * spread * 32.0).round() / 32.0;
            normal(n, seed).into_iter().map(round).collect()
        };
        let four = |shape: [usize; 4], seed: u64, spread: f64| -> Tensor<4> {
            leaf(
                &float(shape.iter().product(), seed, spread),
                shape,
                dtype,
                &device,
            )
        };
        let query = four([batch, n_heads, seq_q, d_head], 1, self.spread);
        let key = four([batch, n_kv_heads, seq_kv, d_head], 2, 1.0);
        let value = four([batch, n_kv_heads, seq_kv, d_value], 3, 1.0);
        let mut options = self.options(dtype, &device).implementation(implementation);
        let mut inputs = vec![
            ("query", query.clone()),
            ("key", key.clone()),
            ("value", value.clone()),
        ];
        if matches!(self.terms, Terms::Bias | Terms::BiasEach | Terms::Both) {
            let rows = if self.terms == Terms::BiasEach {
                batch
            } else {
                1
            };
            let bias = four([rows, n_heads, seq_q, seq_kv], 5, 1.0);
            inputs.push(("bias", bias.clone()));
            options.bias = Some(bias);
        }
        let mut positions = None;
        if matches!(self.terms, Terms::Relative | Terms::Both) {
            let ahead = if options.causal { 1 } else { seq_q + 2 };
            let shape = [n_heads, seq_kv + ahead, d_head];
            let r = leaf(
                &float(shape.iter().product(), 7, 1.0),
                shape,
                dtype,
                &device,
            );
            let query = four([batch, n_heads, seq_q, d_head], 6, self.spread);
            inputs.push(("position_query", query.clone()));
            positions = Some(r.clone());
            options.relative = Some(RelativeTerm {
                query,
                positions: r,
            });
        }
        let alpha = match &options.normalizer {
            Normalizer::Entmax(alpha) => Some(alpha.clone()),
            Normalizer::Softmax | Normalizer::Sparsemax | Normalizer::Entmax15 => None,
        };
        let upstream = self.upstream(&float(batch * n_heads * seq_q * d_value, 4, 1.0));
        let upstream: Tensor<4> = tensor(
            &upstream,
            [batch, n_heads, seq_q, d_value],
            dtype,
            &device.clone().inner(),
        );
        let context = sparse_attention(query, key, value, options).context;
        let loss = context.clone() * Tensor::from_inner(upstream);
        // A sum in f32 keeps the gradient of every element 1 in half types too.
        let grads = loss.sum().backward();
        let mut outputs = vec![("context", values(context.inner()))];
        let missing = "every input has a gradient";
        for (name, input) in inputs {
            outputs.push((name, values(input.grad(&grads).expect(missing))));
        }
        if let Some(positions) = positions {
            outputs.push(("positions", values(positions.grad(&grads).expect(missing))));
        }
        if let Some(alpha) = alpha {
            outputs.push(("alpha", values(alpha.grad(&grads).expect(missing))));
        }
        outputs
    }

    /// Zero for rows in which a score is within 1e-3 of the edge of the support and α > 2: there the
    /// derivative is unbounded.
    fn upstream(&self, grad: &[f64]) -> Vec<f64> {
        let Rule::Alpha(alpha) = self.rule else {
            return grad.to_vec();
        };
        if alpha <= 2.0 {
            return grad.to_vec();
        }
        let mut grad = grad.to_vec();
        let rows = self.weights_and_scores();
        let d_value = self.shape[6];
        for (i, (weights, scores)) in rows.into_iter().enumerate() {
            let Some(best) = (0..weights.len()).find(|&j| weights[j] > 0.1) else {
                continue;
            };
            let tau = (alpha - 1.0) * scores[best] - weights[best].powf(alpha - 1.0);
            let is_near = |z: f64| ((alpha - 1.0) * z - tau).abs() < 1e-3;
            if scores.iter().any(|&z| is_near(z)) {
                grad[i * d_value..][..d_value].fill(0.0);
            }
        }
        grad
    }

    /// For cases without terms and dropout: the weights and scores of every row in f64 on flex.
    fn weights_and_scores(&self) -> Vec<(Vec<f64>, Vec<f64>)> {
        let [batch, n_heads, n_kv_heads, seq_q, seq_kv, d_head, _] = self.shape;
        assert!(self.terms == Terms::None && n_kv_heads == n_heads);
        let device = first_device();
        let round = |x: f64, spread: f64| (x * spread * 32.0).round() / 32.0;
        let four = |n: usize, seed: u64, spread: f64| -> Tensor<4> {
            let values = normal(batch * n_heads * n * d_head, seed);
            let values: Vec<f64> = values.into_iter().map(|x| round(x, spread)).collect();
            tensor(&values, [batch, n_heads, n, d_head], DType::F64, &device)
        };
        let (query, key) = (four(seq_q, 1, self.spread), four(seq_kv, 2, 1.0));
        let scale = 1.0 / (d_head as f64).sqrt();
        let scores = values(query.clone().matmul(key.clone().swap_dims(2, 3)) * scale);
        let options = self.options(DType::F64, &device).return_weights();
        let weights = sparse_attention(query, key.clone(), key, options).weights;
        let weights = values(weights.expect("asked for"));
        let rows = weights.chunks(seq_kv).zip(scores.chunks(seq_kv));
        rows.map(|(w, s)| (w.to_vec(), s.to_vec())).collect()
    }
}

fn first_device() -> Device {
    super::devices().swap_remove(0).device
}

/// A tensor that has a gradient.
fn leaf<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let made = tensor(values, shape, dtype, device);
    match device.is_autodiff() {
        true => made.require_grad(),
        false => made,
    }
}

fn mask<const D: usize>(
    n: usize,
    hidden: impl Fn(usize) -> bool,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Bool> {
    let cells: Vec<bool> = (0..n).map(hidden).collect();
    Tensor::from_data(TensorData::new(cells, shape), device)
}

//! A request of the catalogue as tensors, and what comes of it.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};

use super::super::{devices, normal, tensor, values};
use super::{AttentionCase, Masks, Rule, Terms};
use crate::attention::{
    AttentionError, AttentionOptions, BlockMask, Implementation, Normalizer, Packing, RelativeTerm,
    Span, sparse_attention,
};

struct Request {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: AttentionOptions,
}

impl AttentionCase {
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

    /// The inputs and options, every input with a gradient but a constant bias.
    fn request(&self, dtype: DType, device: &Device, implementation: Implementation) -> Request {
        let [batch, n_heads, n_kv_heads, seq_q, seq_kv, d_head, d_value] = self.shape;
        let four = |shape: [usize; 4], seed: u64, spread: f64| -> Tensor<4> {
            let values = round(shape.iter().product(), seed, spread);
            leaf(&values, shape, dtype, device)
        };
        let query = four([batch, n_heads, seq_q, d_head], 1, self.spread);
        let key = four([batch, n_kv_heads, seq_kv, d_head], 2, 1.0);
        let value = four([batch, n_kv_heads, seq_kv, d_value], 3, 1.0);
        let mut options = self.options(dtype, device).implementation(implementation);
        options.bias = match self.terms {
            Terms::None | Terms::Relative | Terms::Span => None,
            Terms::Bias | Terms::Both => Some(four([1, n_heads, seq_q, seq_kv], 5, 1.0)),
            Terms::BiasEach => Some(four([batch, n_heads, seq_q, seq_kv], 5, 1.0)),
            // `detach` would leave a leaf its gradient.
            Terms::BiasConstant => {
                let bias = four([1, n_heads, seq_q, seq_kv], 5, 1.0);
                Some(Tensor::from_inner(bias.inner()))
            }
        };
        options.relative = match self.terms {
            Terms::None | Terms::Bias | Terms::BiasEach | Terms::BiasConstant | Terms::Span => None,
            Terms::Relative | Terms::Both => {
                let ahead = if options.causal { 1 } else { seq_q + 2 };
                let shape = [n_heads, seq_kv + ahead, d_head];
                let positions = round(shape.iter().product(), 7, 1.0);
                Some(RelativeTerm {
                    query: four([batch, n_heads, seq_q, d_head], 6, self.spread),
                    positions: leaf(&positions, shape, dtype, device),
                })
            }
        };
        options.span = match self.terms {
            Terms::None
            | Terms::Bias
            | Terms::BiasEach
            | Terms::BiasConstant
            | Terms::Relative
            | Terms::Both => None,
            Terms::Span => {
                // On the ramp, and far from its ends for half types too.
                let lengths = (0..n_heads)
                    .map(|h| 2.5 + 31.0 * h as f64)
                    .collect::<Vec<_>>();
                let dtype = if dtype == DType::F64 {
                    dtype
                } else {
                    DType::F32
                };
                Some(Span {
                    length: leaf(&lengths, [n_heads], dtype, device),
                    ramp: 8.0,
                })
            }
        };
        Request {
            query,
            key,
            value,
            options,
        }
    }

    /// The implementation that a device has for this case, gradients included.
    ///
    /// # Errors
    /// Those of [`AttentionOptions::resolve`].
    pub fn resolve(
        &self,
        device: &Device,
        implementation: Implementation,
    ) -> Result<Implementation, AttentionError> {
        let device = device.clone().autodiff();
        let [.., seq_q, seq_kv, _, _] = self.shape;
        let request = self.request(DType::F32, &device, implementation);
        request.options.resolve(&device, [seq_q, seq_kv])
    }

    /// The context and every gradient, given an upstream gradient that is zero in rows near a change
    /// of the support (of `support`, a run with weights) where α > 2.
    ///
    /// # Panics
    /// Where the device has no such implementation for the case: see [`Self::resolve`].
    pub fn run(
        &self,
        dtype: DType,
        device: &Device,
        implementation: Implementation,
    ) -> Vec<(&'static str, Vec<f64>)> {
        let [batch, n_heads, _, seq_q, _, _, d_value] = self.shape;
        let device = device.clone().autodiff();
        let Request {
            query,
            key,
            value,
            options,
        } = self.request(dtype, &device, implementation);
        let mut inputs = vec![
            ("query", query.clone()),
            ("key", key.clone()),
            ("value", value.clone()),
        ];
        let bias = options.bias.clone().filter(Tensor::is_tracked);
        inputs.extend(bias.map(|bias| ("bias", bias)));
        let relative = options.relative.clone();
        inputs.extend(relative.map(|term| ("position_query", term.query)));
        let positions = options.relative.clone().map(|term| term.positions);
        let alpha = match &options.normalizer {
            Normalizer::Entmax(alpha) => Some(alpha.clone()),
            Normalizer::Softmax
            | Normalizer::Sparsemax
            | Normalizer::Entmax15
            | Normalizer::Fusedmax { .. }
            | Normalizer::Oscarmax { .. } => None,
        };
        let span = options.span.clone().map(|span| span.length);
        let upstream = self.upstream(&round(batch * n_heads * seq_q * d_value, 4, 1.0));
        let upstream: Tensor<4> = tensor(
            &upstream,
            [batch, n_heads, seq_q, d_value],
            dtype,
            &device.clone().inner(),
        );
        let output = sparse_attention(query, key, value, options);
        assert!(implementation == Implementation::Auto || output.implementation == implementation);
        let context = output.context;
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
        if let Some(span) = span {
            outputs.push(("span", values(span.grad(&grads).expect(missing))));
        }
        if let Some(alpha) = alpha {
            outputs.push(("alpha", values(alpha.grad(&grads).expect(missing))));
        }
        outputs
    }

    /// Zero for rows in which a score is within 1e-3 of the boundary of the support and α > 2: there the
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
        let four = |n: usize, seed: u64, spread: f64| -> Tensor<4> {
            let values = round(batch * n_heads * n * d_head, seed, spread);
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
    devices().swap_remove(0).device
}

/// Normal numbers as half types hold them, so that every type begins with the same.
fn round(n: usize, seed: u64, spread: f64) -> Vec<f64> {
    let round = |x: f64| (x * spread * 32.0).round() / 32.0;
    normal(n, seed).into_iter().map(round).collect()
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

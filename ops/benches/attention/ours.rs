//! Our side: through Burn's tensors and autodiff, as a user calls it.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use sparta_ops::attention::{
    AttentionOptions, BlockMask, Normalizer, RelativeTerm, sparse_attention,
};
use sparta_ops::testing::{TestDevice, normal, tensor, values};

use crate::case::{Case, Inputs, Op};
use crate::memory;

/// A case on a device, ready to run.
pub struct Ours {
    case: Case,
    device: Device,
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    grad: Tensor<4>,
    alpha: Tensor<1>,
    mask: Option<BlockMask>,
    positions: Option<Tensor<3>>,
}

impl Ours {
    pub fn new(case: &Case, inputs: &Inputs, device: &TestDevice) -> Self {
        let device = device.device.clone().autodiff();
        let float = |values: &[f32], shape: [usize; 4]| -> Tensor<4> {
            Tensor::from_data(
                TensorData::new(values.to_vec(), shape).convert_dtype(case.dtype()),
                (&device, case.dtype()),
            )
        };
        let dtype = case.dtype();
        let [_, n_heads, n, _] = case.shape;
        let mask = (case.p > 0.0).then(|| match case.pruned {
            Some(pruned) => pruned.block_mask(&device),
            None => {
                let hidden = |head, i, j| case.hides(head, i / 64, j / 64);
                BlockMask::new(64, [n_heads, n, n], hidden, &device).expect("a block size")
            }
        });
        let [_, _, _, d] = case.shape;
        let positions = case.relative.then(|| {
            let r = normal(n_heads * (n + 1) * d, 6);
            tensor(&r, [n_heads, n + 1, d], dtype, &device)
        });
        Self {
            case: *case,
            query: float(&inputs.query, case.shape),
            key: float(&inputs.key, case.key_shape()),
            value: float(&inputs.value, case.key_shape()),
            grad: float(&inputs.grad, case.shape).inner(),
            alpha: Tensor::from_data(TensorData::new(inputs.alpha.clone(), [n_heads]), &device),
            mask,
            positions,
            device,
        }
    }

    /// The context and the gradients in query, key, value and, where the case has it, α.
    fn tensors(&self) -> Vec<Tensor<4>> {
        let leaf = |x: &Tensor<4>| x.clone().require_grad();
        let inputs = [leaf(&self.query), leaf(&self.key), leaf(&self.value)];
        let alpha = self.alpha.clone().require_grad();
        let mut options = AttentionOptions::new(match self.case.op {
            Op::Softmax => Normalizer::Softmax,
            Op::Sparsemax => Normalizer::Sparsemax,
            Op::Entmax15 => Normalizer::Entmax15,
            Op::AlphaEntmax => Normalizer::Entmax(alpha.clone()),
        })
        .implementation(self.case.implementation);
        options.causal = self.case.causal;
        options.block_mask = self.mask.clone();
        let [query, key, value] = inputs.clone();
        options.relative = self.positions.clone().map(|positions| RelativeTerm {
            query: query.clone(),
            positions: positions.require_grad(),
        });
        let context = sparse_attention(query, key, value, options).context;
        let loss = context.clone() * Tensor::from_inner(self.grad.clone());
        let grads = loss.sum().backward();
        let mut outputs = vec![context.inner()];
        outputs.extend(inputs.iter().filter_map(|x| x.grad(&grads)));
        outputs.extend(alpha.grad(&grads).map(Tensor::unsqueeze));
        outputs
    }

    pub fn outputs(&self) -> Vec<Vec<f64>> {
        self.tensors().into_iter().map(values).collect()
    }

    /// The most memory that was held at once during a call beyond what was held before, outputs included.
    pub fn peak_bytes(&self) -> usize {
        memory::peak_of(|| {
            let outputs = self.tensors();
            self.device.sync().expect("the device finishes");
            drop(outputs);
        })
    }

    /// Milliseconds of each of a few calls: two at least, for a moment at least.
    pub fn time(&self) -> Vec<f64> {
        let mut times = Vec::new();
        let begin = Instant::now();
        while times.len() < 2 || (begin.elapsed() < Duration::from_millis(40) && times.len() < 40) {
            let start = Instant::now();
            let outputs = self.tensors();
            self.device.sync().expect("the device finishes");
            drop(outputs);
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times
    }
}

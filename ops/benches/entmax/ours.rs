//! Our side: through Burn's tensors and autodiff, as a user calls it.

use std::time::{Duration, Instant};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use sparta_ops::loss::{cross_entropy, entmax15_loss, sparsemax_loss};
use sparta_ops::testing::{TestDevice, values};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

use crate::case::{Case, Inputs, Op, Pass};
use crate::upstream::contract;

/// A case on a device, ready to run.
pub struct Ours {
    case: Case,
    device: Device,
    scores: Tensor<2>,
    grad: Tensor<2>,
    alpha: Tensor<2>,
    targets: Tensor<1, Int>,
}

impl Ours {
    pub fn new(case: &Case, inputs: &Inputs, device: &TestDevice) -> Self {
        Self::of_type(case, inputs, device, DType::F32)
    }

    pub fn of_type(case: &Case, inputs: &Inputs, device: &TestDevice, dtype: DType) -> Self {
        let device = match case.pass {
            Pass::Forward => device.device.clone(),
            Pass::ForwardBackward | Pass::Loss => device.device.clone().autodiff(),
        };
        let (rows, n) = (case.rows, case.n);
        let float = |values: &[f32], shape: [usize; 2]| -> Tensor<2> {
            let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
            Tensor::from_data(data, (&device, dtype))
        };
        let targets = TensorData::new(inputs.targets.clone(), [rows]);
        Self {
            case: *case,
            scores: float(&inputs.scores, [rows, n]),
            grad: float(&inputs.grad, [rows, n]),
            alpha: float(&inputs.alpha, [rows, 1]),
            targets: Tensor::from_data(targets, &device),
            device,
        }
    }

    /// Weights (or losses) and, where the case has them, gradients in scores and α.
    fn run(&self) -> Vec<Tensor<2>> {
        let is_tracked = self.case.pass != Pass::Forward;
        let leaf = |x: &Tensor<2>| match is_tracked {
            true => x.clone().require_grad(),
            false => x.clone(),
        };
        let scores = leaf(&self.scores);
        if self.case.pass == Pass::Loss {
            let targets = self.targets.clone();
            let loss = match self.case.op {
                Op::Softmax => cross_entropy(scores.clone(), targets),
                Op::Sparsemax | Op::SparsemaxTopk => sparsemax_loss(scores.clone(), targets),
                Op::Entmax15 | Op::Entmax15Topk => entmax15_loss(scores.clone(), targets),
                Op::AlphaEntmax => unreachable!("no case times the loss of a learned alpha"),
            };
            let grads = loss.clone().sum().backward();
            let d_scores = scores.grad(&grads).expect("scores are tracked");
            return vec![loss.inner().unsqueeze(), d_scores];
        }
        let alpha = leaf(&self.alpha);
        let weights = match self.case.op {
            Op::Softmax => softmax(scores.clone(), 1),
            Op::Sparsemax | Op::SparsemaxTopk => sparsemax(scores.clone(), 1),
            Op::Entmax15 | Op::Entmax15Topk => entmax15(scores.clone(), 1),
            Op::AlphaEntmax => entmax(scores.clone(), alpha.clone(), 1),
        };
        if !is_tracked {
            return vec![weights];
        }
        let grads = contract(weights.clone(), self.grad.clone()).backward();
        let mut outputs = vec![weights.inner()];
        outputs.extend([scores, alpha].iter().filter_map(|x| x.grad(&grads)));
        outputs
    }

    pub fn outputs(&mut self) -> Vec<Vec<f64>> {
        self.run().into_iter().map(values).collect()
    }

    /// Milliseconds of each of a few calls: three at least, for a moment at least.
    pub fn time(&mut self) -> Vec<f64> {
        let mut times = Vec::new();
        let begin = Instant::now();
        while times.len() < 3 || (begin.elapsed() < Duration::from_millis(40) && times.len() < 40) {
            let start = Instant::now();
            let outputs = self.run();
            self.device.sync().expect("the device finishes");
            drop(outputs);
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times
    }
}

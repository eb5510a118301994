//! What is timed, and on which inputs.

use burn::tensor::{DType, Device};
use serde_json::json;
use sparta_ops::testing::{TestDevice, normal};

use crate::ours::Ours;
use crate::peer::Peer;

/// An operation.
#[derive(Clone, Copy, PartialEq)]
pub enum Op {
    Softmax,
    Sparsemax,
    Entmax15,
    /// One α per row, with a gradient, against the peer's bisection of 25 halvings.
    AlphaEntmax,
    /// The same of ours as without `Topk`; the peer sorts 512 scores first.
    SparsemaxTopk,
    Entmax15Topk,
}

/// How much of it.
#[derive(Clone, Copy, PartialEq)]
pub enum Pass {
    Forward,
    ForwardBackward,
    /// The loss against one class a row, and its gradient.
    Loss,
}

/// One line of the summary.
#[derive(Clone, Copy)]
pub struct Case {
    pub op: Op,
    pub pass: Pass,
    pub rows: usize,
    pub n: usize,
    /// Standard deviation of the scores.
    pub sigma: f64,
}

/// Values on the host.
pub struct Inputs {
    pub scores: Vec<f32>,
    /// Upstream gradient.
    pub grad: Vec<f32>,
    pub alpha: Vec<f32>,
    pub targets: Vec<i64>,
}

const SHAPES: [(usize, usize); 5] = [
    (15360, 30),
    (8192, 128),
    (4096, 512),
    (1024, 4096),
    (128, 32000),
];
const LOSS_SHAPES: [(usize, usize); 2] = [(128, 32000), (1024, 32000)];

impl Case {
    /// Every case, the targets' first.
    pub fn all() -> Vec<Self> {
        use Op::*;
        let mut cases = Vec::new();
        let mut add = |pass, shapes: &[(usize, usize)], ops: &[Op]| {
            for &op in ops {
                for &(rows, n) in shapes {
                    for sigma in [1.0, 6.0] {
                        cases.push(Self {
                            op,
                            pass,
                            rows,
                            n,
                            sigma,
                        });
                    }
                }
            }
        };
        let mappings = [Softmax, Sparsemax, Entmax15, AlphaEntmax];
        add(Pass::ForwardBackward, &SHAPES, &mappings);
        add(
            Pass::ForwardBackward,
            &SHAPES[3..],
            &[SparsemaxTopk, Entmax15Topk],
        );
        add(Pass::Forward, &SHAPES, &mappings);
        add(
            Pass::Loss,
            &LOSS_SHAPES,
            &[Softmax, SparsemaxTopk, Entmax15Topk],
        );
        cases
    }

    pub fn op_name(&self) -> &'static str {
        match self.op {
            Op::Softmax => "softmax",
            Op::Sparsemax => "sparsemax",
            Op::Entmax15 => "entmax15",
            Op::AlphaEntmax => "alpha_entmax",
            Op::SparsemaxTopk => "sparsemax_topk512",
            Op::Entmax15Topk => "entmax15_topk512",
        }
    }

    pub fn pass_name(&self) -> &'static str {
        match self.pass {
            Pass::Forward => "fwd",
            Pass::ForwardBackward => "fwd_bwd",
            Pass::Loss => "loss",
        }
    }

    /// `entmax15/fwd_bwd`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.op_name(), self.pass_name())
    }

    /// `4096x512/s6`.
    pub fn shape(&self) -> String {
        format!("{}x{}/s{}", self.rows, self.n, self.sigma)
    }

    pub fn label(&self) -> String {
        format!("{} {}", self.name(), self.shape())
    }

    /// What of the peer it is compared with.
    pub fn peer_name(&self) -> &'static str {
        match (self.op, self.pass) {
            (Op::Softmax, Pass::Loss) => "torch cross_entropy",
            (Op::Softmax, _) => "torch softmax",
            (Op::Sparsemax, _) => "entmax 1.3 sparsemax",
            (Op::Entmax15, _) => "entmax 1.3 entmax15",
            (Op::AlphaEntmax, _) => "entmax 1.3 entmax_bisect n_iter=25",
            (Op::SparsemaxTopk, Pass::Loss) => "entmax 1.3 sparsemax_loss k=512",
            (Op::SparsemaxTopk, _) => "entmax 1.3 sparsemax k=512",
            (Op::Entmax15Topk, Pass::Loss) => "entmax 1.3 entmax15_loss k=512",
            (Op::Entmax15Topk, _) => "entmax 1.3 entmax15 k=512",
        }
    }

    pub fn inputs(&self) -> Inputs {
        let (rows, n) = (self.rows, self.n);
        let f32s = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect();
        let scores = normal(rows * n, 1)
            .into_iter()
            .map(|z| z * self.sigma)
            .collect();
        // 1 + sigmoid(N(0, 1)), as a layer with learned α begins.
        let alpha = normal(rows, 3)
            .into_iter()
            .map(|a| 1.0 + 1.0 / (1.0 + (-a).exp()))
            .collect();
        Inputs {
            scores: f32s(scores),
            grad: f32s(normal(rows * n, 2)),
            alpha: f32s(alpha),
            targets: (0..rows).map(|i| (i * 7919 % n) as i64).collect(),
        }
    }

    /// The outputs in f64.
    pub fn exact_outputs(&self, inputs: &Inputs) -> Vec<Vec<f64>> {
        let device = TestDevice {
            name: "flex",
            device: Device::flex(),
            has_f64: true,
            slow: false,
        };
        Ours::of_type(self, inputs, &device, DType::F64).outputs()
    }

    /// Runs the case once on the other side, and returns its outputs.
    pub fn open(&self, peer: &mut Peer, inputs: &Inputs) -> Vec<Vec<f64>> {
        peer.write("scores", bytemuck::cast_slice(&inputs.scores));
        peer.write("grad", bytemuck::cast_slice(&inputs.grad));
        peer.write("alpha", bytemuck::cast_slice(&inputs.alpha));
        peer.write("targets", bytemuck::cast_slice(&inputs.targets));
        peer.open(json!({
            "op": self.op_name(),
            "pass": self.pass_name(),
            "rows": self.rows,
            "n": self.n,
        }))
    }
}

//! What is timed.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Tensor};
use sparta_model::layer::{HeadShape, Mechanism, MechanismConfig};
use sparta_ops::attention::{AttentionOptions, Implementation};

use crate::memory;

/// Batch, heads, and the width of a head.
const BATCH: usize = 1;
const N_HEADS: usize = 4;
const D_HEAD: usize = 64;

/// A mechanism as it is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    pub config: MechanismConfig,
    pub causal: bool,
    pub implementation: Implementation,
}

/// What is done of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Forward,
    /// And backward.
    Both,
}

/// What a call took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The fastest one.
    pub milliseconds: f64,
    /// Held at once beyond the inputs, outputs included.
    pub bytes: f64,
}

impl Pass {
    pub const ALL: [Self; 2] = [Self::Forward, Self::Both];

    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Both => "forward and backward",
        }
    }
}

impl Cost {
    /// What the next length should take where each is twice the last one: what the last took, times what that was more than
    /// the one before; at least twice. Of lengths that are not doubled, by the same power.
    pub fn expected(before: &[Self], lengths: &[usize]) -> Option<Self> {
        let [.., earlier, last] = before else {
            return None;
        };
        let at = before.len();
        let (then, now, next) = (lengths[at - 2], lengths[at - 1], *lengths.get(at)?);
        let step = (now as f64 / then as f64).ln();
        let ahead = (next as f64 / now as f64).ln();
        let grown = |of: fn(&Self) -> f64| {
            let power = ((of(last) / of(earlier).max(1e-9)).ln() / step).max(1.0);
            of(last) * (power * ahead).exp()
        };
        Some(Self {
            milliseconds: grown(|cost| cost.milliseconds),
            bytes: grown(|cost| cost.bytes),
        })
    }
}

impl Case {
    /// `favor(m=64)`, `softmax (causal)`, `softmax (materialised)`.
    pub fn name(self) -> String {
        let how = match (self.causal, self.implementation) {
            (true, Implementation::Reference) => " (causal, materialised)",
            (false, Implementation::Reference) => " (materialised)",
            (true, Implementation::Auto | Implementation::Fused) => " (causal)",
            (false, Implementation::Auto | Implementation::Fused) => "",
        };
        format!("{}{how}", self.config)
    }

    /// Name of what it is compared with: fused softmax under the same mask.
    pub fn peer(self) -> String {
        let softmax = Self {
            config: MechanismConfig::SOFTMAX,
            implementation: Implementation::Auto,
            ..self
        };
        softmax.name()
    }

    /// `BATCHxHEADSxNxWIDTH/s1`: queries, keys and values are from N(0, 1).
    pub fn shape(n: usize) -> String {
        format!("{BATCH}x{N_HEADS}x{n}x{D_HEAD}/s1")
    }

    /// Times calls, two at least, for a moment at least, after one to warm up and one whose memory is counted.
    pub fn measure(self, n: usize, pass: Pass, device: &Device) -> Cost {
        let device = match pass {
            Pass::Forward => device.clone(),
            Pass::Both => device.clone().autodiff(),
        };
        device.seed(7);
        let shape = HeadShape {
            d_model: N_HEADS * D_HEAD,
            n_heads: N_HEADS,
            d_head: D_HEAD,
            max_len: Some(n),
        };
        let mechanism = self.config.init(shape, &device);
        let normal = || {
            let shape = [BATCH, N_HEADS, n, D_HEAD];
            Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device)
        };
        let inputs = [normal(), normal(), normal()];
        let source = [BATCH, n, N_HEADS * D_HEAD];
        let source = Tensor::<3>::random(source, Distribution::Normal(0.0, 1.0), &device);
        let call = || {
            let outputs = self.call(&mechanism, &source, &inputs, pass);
            device.sync().expect("the device finishes");
            outputs
        };
        // The first call makes what is kept, such as the mask of a pattern.
        drop(call());
        let bytes = memory::peak_of(|| drop(call())) as f64;
        let mut fastest = f64::INFINITY;
        let (begin, mut n_calls) = (Instant::now(), 0);
        while n_calls < 2 || (begin.elapsed() < Duration::from_millis(300) && n_calls < 20) {
            let start = Instant::now();
            drop(call());
            fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3);
            n_calls += 1;
        }
        Cost {
            milliseconds: fastest,
            bytes,
        }
    }

    /// The context, and of a backward pass the gradients in query, key and value.
    fn call(
        self,
        mechanism: &Mechanism,
        source: &Tensor<3>,
        inputs: &[Tensor<4>; 3],
        pass: Pass,
    ) -> Vec<Tensor<4>> {
        let mut options = AttentionOptions::default().implementation(self.implementation);
        options.causal = self.causal;
        let attend = |[query, key, value]: [Tensor<4>; 3]| {
            // Of the layer's input a scale of rows is made; the others have no use for it.
            let source = source.clone();
            mechanism
                .attend_of(source, query, key, value, options.clone())
                .context
        };
        match pass {
            Pass::Forward => vec![attend(inputs.clone())],
            Pass::Both => {
                let leaves = inputs.clone().map(Tensor::require_grad);
                let context = attend(leaves.clone());
                let gradients = (context.clone() * context.clone().detach())
                    .sum()
                    .backward();
                let mut outputs = vec![context.inner()];
                outputs.extend(leaves.iter().filter_map(|leaf| leaf.grad(&gradients)));
                outputs
            }
        }
    }
}

//! What is timed, and on which inputs.

use burn::tensor::DType;
use serde_json::json;
use sparta_ops::attention::Implementation;
use sparta_ops::testing::normal;

use crate::arguments::refuse;
use crate::masks::Pruned;
use crate::peer::Peer;

/// How rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    Softmax,
    Sparsemax,
    Entmax15,
    /// One α per head, with a gradient.
    AlphaEntmax,
}

impl Op {
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sparsemax => "sparsemax",
            Self::Entmax15 => "entmax15",
            Self::AlphaEntmax => "alpha_entmax",
        }
    }
}

/// What a case is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Other {
    /// A function of PyTorch, by its name in `attention_peer.py`.
    Peer(&'static str),
    /// The same kernels without the mask.
    Dense,
    /// Our readable definition.
    Reference,
}

/// One line of the summary: forward and backward.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub op: Op,
    pub implementation: Implementation,
    pub other: Other,
    /// `[batch, n_heads, seq, d_head]`.
    pub shape: [usize; 4],
    pub causal: bool,
    /// Fraction of 64×64 blocks that a global mask hides.
    pub p: f64,
    /// Factor of the queries: the standard deviation of the scores.
    pub sigma: f64,
    /// Keys lie in clusters of 64 neighbours, so that a query's weights lie in few blocks.
    pub clustered: bool,
    /// With Transformer-XL's term by distance.
    pub relative: bool,
    /// A mask of a trained model, which stands in for `hides`; p is its nominal fraction.
    pub pruned: Option<&'static Pruned>,
    /// Stored in f16.
    pub half: bool,
}

/// A list of cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Suite {
    /// What is compared on a CPU.
    Cpu,
    /// Long sequences in f16, compared with CUDA kernels.
    Gpu,
}

impl Suite {
    /// By its name on the command line.
    pub fn named(name: &str) -> Self {
        match name {
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            other => refuse(format!("--cases takes cpu or gpu; found {other:?}")),
        }
    }

    pub fn cases(self) -> Vec<Case> {
        match self {
            Self::Cpu => Case::all(),
            Self::Gpu => Case::gpu(),
        }
    }

    /// The other side's program.
    pub fn peer(self) -> &'static str {
        match self {
            Self::Cpu => "attention_peer.py",
            Self::Gpu => "attention_cuda_peer.py",
        }
    }
}

/// Values on the host.
pub struct Inputs {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
    /// Upstream gradient.
    pub grad: Vec<f32>,
    pub alpha: Vec<f32>,
}

const BLOCK: usize = 64;

impl Case {
    /// Every case, the targets' first.
    pub fn all() -> Vec<Self> {
        let base = Self {
            op: Op::Entmax15,
            implementation: Implementation::Fused,
            other: Other::Peer("entmax15"),
            shape: [4, 8, 1024, 64],
            causal: false,
            p: 0.0,
            sigma: 1.0,
            clustered: false,
            relative: false,
            pruned: None,
            half: false,
        };
        let against = |op: Op, other| Self { op, other, ..base };
        let mut cases = vec![
            base,
            against(Op::Entmax15, Other::Peer("sdpa")),
            against(Op::Softmax, Other::Peer("sdpa")),
            against(Op::Softmax, Other::Peer("softmax")),
            against(Op::Sparsemax, Other::Peer("sparsemax")),
            against(Op::AlphaEntmax, Other::Peer("alpha_entmax")),
            against(Op::Entmax15, Other::Reference),
            against(Op::Softmax, Other::Reference),
        ];
        for sigma in [3.0, 6.0] {
            cases.push(Self {
                sigma,
                ..against(Op::Entmax15, Other::Peer("sdpa"))
            });
        }
        cases.push(Self {
            sigma: 6.0,
            clustered: true,
            ..against(Op::Entmax15, Other::Peer("sdpa"))
        });
        for op in [Op::Entmax15, Op::Softmax] {
            cases.push(Self {
                causal: true,
                ..against(op, Other::Peer("sdpa"))
            });
        }
        cases.push(against(Op::AlphaEntmax, Other::Peer("sdpa")));
        cases.push(Self {
            shape: [4, 8, 512, 64],
            ..against(Op::Softmax, Other::Peer("sdpa"))
        });
        for op in [Op::Entmax15, Op::Softmax] {
            for p in [0.0, 0.5, 0.8, 0.9] {
                cases.push(Self {
                    shape: [1, 8, 4096, 64],
                    p,
                    ..against(op, Other::Dense)
                });
            }
        }
        for n in [128, 512, 2048, 4096, 8192, 16384] {
            cases.push(Self {
                shape: [1, 8, n, 64],
                ..against(Op::Entmax15, Other::Peer("sdpa"))
            });
        }
        for shape in [[16, 8, 32, 32], [16, 8, 128, 32]] {
            for op in [Op::Entmax15, Op::Softmax] {
                cases.push(Self {
                    shape,
                    causal: true,
                    ..against(op, Other::Reference)
                });
            }
        }
        for n in [128, 300, 1024] {
            for op in [Op::Entmax15, Op::Softmax] {
                cases.push(Self {
                    shape: [4, 10, n, 41],
                    causal: true,
                    relative: true,
                    ..against(op, Other::Reference)
                });
            }
        }
        // Where `auto` changes over.
        for n in [64, 96, 128, 192, 256, 384, 512] {
            for op in [Op::Entmax15, Op::Softmax, Op::AlphaEntmax] {
                cases.push(Self {
                    shape: [8, 8, n, 64],
                    ..against(op, Other::Reference)
                });
            }
        }
        cases
    }

    /// 1,024 to 65,536 tokens, 16 heads of 64, in f16.
    pub fn gpu() -> Vec<Self> {
        let base = |n: usize, op, peer| Self {
            op,
            implementation: Implementation::Fused,
            other: Other::Peer(peer),
            shape: [1, 16, n, 64],
            causal: false,
            p: 0.0,
            sigma: 1.0,
            clustered: false,
            relative: false,
            pruned: None,
            half: true,
        };
        let mut cases = Vec::new();
        for n in (10..=16).map(|log| 1 << log) {
            for sigma in [1.0, 6.0] {
                let peaked = |op, peer| Self {
                    sigma,
                    ..base(n, op, peer)
                };
                let causal = |op, peer| Self {
                    causal: true,
                    ..peaked(op, peer)
                };
                cases.extend([
                    peaked(Op::Entmax15, "adasplash"),
                    causal(Op::Entmax15, "adasplash"),
                    causal(Op::Entmax15, "adasplash2"),
                    peaked(Op::Entmax15, "sdpa"),
                    peaked(Op::Softmax, "sdpa"),
                ]);
            }
            for p in [0.5, 0.8, 0.9] {
                let blocks = base(n, Op::Softmax, "flex");
                cases.push(Self { p, ..blocks });
                let other = Other::Dense;
                cases.push(Self { p, other, ..blocks });
            }
        }
        cases
    }

    pub const fn dtype(&self) -> DType {
        if self.half { DType::F16 } else { DType::F32 }
    }

    /// Whether outputs are read and compared: not where they would take the host's memory.
    pub fn is_compared(&self) -> bool {
        self.is_same_function() && self.shape.iter().product::<usize>() <= 1 << 23
    }

    /// How far outputs may be apart, given their size.
    pub fn tolerance(&self, largest: f64) -> f64 {
        if self.half {
            // A few roundings of f16.
            1e-2 * largest + 5e-3
        } else {
            1e-3
        }
    }

    /// What it is timed against, if that is ours too.
    pub fn compared(&self) -> Self {
        match self.other {
            Other::Dense => Self { p: 0.0, ..*self },
            Other::Reference | Other::Peer(_) => Self {
                implementation: Implementation::Reference,
                ..*self
            },
        }
    }

    /// `entmax15/causal`.
    pub fn name(&self) -> String {
        let mut name = self.op.name().to_owned();
        if self.causal {
            name += "/causal";
        }
        if self.clustered {
            name += "/clustered";
        }
        if self.relative {
            name += "/relative";
        }
        match self.pruned {
            Some(pruned) if self.p > 0.0 => name + "/" + &pruned.name,
            None if self.p > 0.0 => name + "/blocks",
            Some(_) | None => name,
        }
    }

    /// Keys: as many as queries, or as a pruned mask has.
    pub fn seq_kv(&self) -> usize {
        self.pruned.map_or(self.shape[2], |pruned| pruned.seq_kv)
    }

    /// `[batch, n_heads, seq_kv, d_head]`.
    pub fn key_shape(&self) -> [usize; 4] {
        let [batch, n_heads, _, d] = self.shape;
        [batch, n_heads, self.seq_kv(), d]
    }

    /// `4x8x1024x64/s1`.
    pub fn shape_name(&self) -> String {
        let [b, h, n, d] = self.shape;
        let keys = match self.seq_kv() {
            keys if keys == n => String::new(),
            keys => format!("x{keys}"),
        };
        format!("{b}x{h}x{n}{keys}x{d}/s{}", self.sigma)
    }

    pub fn peer_name(&self) -> String {
        match self.other {
            Other::Peer("sdpa") => "torch sdpa".to_owned(),
            Other::Peer("flex") => "torch flex_attention".to_owned(),
            Other::Peer("adasplash") => "adasplash v1".to_owned(),
            Other::Peer("adasplash2") => "adasplash v2".to_owned(),
            Other::Peer("softmax") => "torch softmax (materialised)".to_owned(),
            Other::Peer(name) => format!("entmax 1.3 {name} (materialised)"),
            Other::Dense => "ours-dense".to_owned(),
            Other::Reference => "ours-reference".to_owned(),
        }
    }

    pub fn label(&self) -> String {
        let of_a_run = self.pruned.map_or("", |_| " of a run");
        let (name, shape, p) = (self.name(), self.shape_name(), 100.0 * self.p);
        format!("{name} {shape} p{p}{of_a_run}")
    }

    /// Whether the mask hides a block: fixed, the fraction p of each block row.
    pub fn hides(&self, head: usize, row: usize, col: usize) -> bool {
        let n = self.shape[2].div_ceil(BLOCK);
        let n_hidden = (self.p * n as f64).round() as usize;
        // A step that is coprime with n visits every column; the diagonal stays.
        let step = (7 + 2 * head..)
            .find(|step| gcd(*step, n) == 1)
            .unwrap_or(1);
        let place = ((col + n - row) * step) % n;
        place >= n - n_hidden
    }

    pub fn inputs(&self) -> Inputs {
        let [_, n_heads, n, d] = self.shape;
        let f32s = |values: Vec<f64>, factor: f64| -> Vec<f32> {
            values.into_iter().map(|x| (x * factor) as f32).collect()
        };
        let len = self.shape.iter().product();
        let key_len = self.key_shape().iter().product();
        let (mut query, mut key) = (normal(len, 1), normal(key_len, 2));
        if self.clustered {
            let centres = normal(n.div_ceil(BLOCK) * d, 5);
            for (i, (q, k)) in query.iter_mut().zip(&mut key).enumerate() {
                let centre = centres[i / d % n / BLOCK * d + i % d];
                (*q, *k) = (0.3 * *q + centre, 0.3 * *k + centre);
            }
        }
        // 1 + sigmoid(N(0, 1)), as a layer with learned α begins.
        let alpha = normal(n_heads, 3);
        let alpha = alpha.into_iter().map(|a| 1.0 + 1.0 / (1.0 + (-a).exp()));
        Inputs {
            query: f32s(query, self.sigma),
            key: f32s(key, 1.0),
            value: f32s(normal(key_len, 3), 1.0),
            grad: f32s(normal(len, 4), 1.0),
            alpha: f32s(alpha.collect(), 1.0),
        }
    }

    /// Runs the case once on the other side, and returns its outputs.
    pub fn open(&self, peer: &mut Peer, inputs: &Inputs) -> Vec<Vec<f64>> {
        peer.write("query", bytemuck::cast_slice(&inputs.query));
        peer.write("key", bytemuck::cast_slice(&inputs.key));
        peer.write("value", bytemuck::cast_slice(&inputs.value));
        peer.write("grad", bytemuck::cast_slice(&inputs.grad));
        peer.write("alpha", bytemuck::cast_slice(&inputs.alpha));
        let n_blocks = self.shape[2].div_ceil(BLOCK);
        let n_cells = self.shape[1] * n_blocks * n_blocks;
        let hides = |c: usize| {
            let [head, row, col] = [
                c / n_blocks / n_blocks,
                c / n_blocks % n_blocks,
                c % n_blocks,
            ];
            u8::from(self.p > 0.0 && self.hides(head, row, col))
        };
        peer.write("blocks", &(0..n_cells).map(hides).collect::<Vec<_>>());
        let Other::Peer(function) = self.other else {
            return Vec::new();
        };
        peer.open(json!({
            "function": function,
            "shape": self.shape,
            "causal": self.causal,
        }))
    }

    /// Whether the peer computes the same, or is only as much work.
    pub fn is_same_function(&self) -> bool {
        match self.other {
            Other::Peer("sdpa" | "flex") => self.op == Op::Softmax,
            Other::Peer(_) | Other::Reference => true,
            Other::Dense => false,
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

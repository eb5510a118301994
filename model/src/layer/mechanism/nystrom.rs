//! Nyströmformer: softmax attention by landmarks.

use std::fmt;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use sparta_ops::attention::nystrom::{NystromSettings, nystrom_attention, nystrom_residual};
use sparta_ops::attention::{AttentionOptions, AttentionOutput, Normalizer};

use super::arguments::Arguments;
use super::observe::{Observable, ObservedCall};
use super::{Abilities, Attend, HeadShape, Mechanism, MechanismSettings};
use crate::check::{MOST, check, check_up_to};
use crate::error::ModelError;
use crate::layer::parameter::uniform;

/// Landmarks, unless given: the paper's are 64 at 512 tokens.
const LANDMARKS: usize = 32;
/// Positions under the convolution's kernel, unless given.
const CONVOLUTION: usize = 33;
/// Iterations of the pseudo-inverse, unless given.
const ITERATIONS: usize = 6;
/// It has converged long before.
const MOST_ITERATIONS: usize = 100;

/// softmax(Q K̃ᵀ) Z softmax(Q̃ Kᵀ) V + DConv(V), scores divided by √d_head: m landmarks Q̃, K̃ are the means of segments of
/// queries and keys, Z is near the pseudo-inverse of softmax(Q̃ K̃ᵀ), and DConv convolves the values of a head along
/// positions. Sequences of at most m tokens get softmax attention.
///
/// Weights made of it would be signed. Every landmark holds later positions: it cannot be causal.
///
/// # Source
/// Xiong et al. 2021, "Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention"; mlpen/Nystromformer,
/// but with a first Z of each matrix's own scale and with segments that leave padding out.
#[derive(Module, Debug)]
pub struct Nystrom {
    /// The kernel of each head, `[n_heads, c]`, from U(−1/√c, 1/√c); 0 beside weights that were pretrained without it.
    pub convolution: Option<Param<Tensor<2>>>,
    landmarks: usize,
    iterations: usize,
}

/// Settings of [`Nystrom`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NystromConfig {
    /// Number of landmarks m.
    pub landmarks: usize,
    /// Positions under the convolution's kernel c, an odd number; 0 = no convolution.
    pub convolution: usize,
    /// Iterations of the pseudo-inverse.
    pub iterations: usize,
}

impl Default for NystromConfig {
    fn default() -> Self {
        Self {
            landmarks: LANDMARKS,
            convolution: CONVOLUTION,
            iterations: ITERATIONS,
        }
    }
}

impl NystromConfig {
    /// The settings that a word with its argument stands for.
    pub(super) fn of(word: &str, argument: Option<&str>) -> Option<Self> {
        if word != "nystrom" {
            return None;
        }
        let mut config = Self::default();
        let mut arguments = Arguments::of(argument)?;
        if let Some(landmarks) = arguments.take("m")? {
            config.landmarks = landmarks;
        }
        if let Some(convolution) = arguments.take("conv")? {
            config.convolution = convolution;
        }
        if let Some(iterations) = arguments.take("iterations")? {
            config.iterations = iterations;
        }
        arguments.are_all_taken().then_some(config)
    }
}

impl fmt::Display for NystromConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = |name: &str, found: usize, default: usize| {
            (found != default).then(|| format!("{name}={found}"))
        };
        let landmarks = Some(format!("m={}", self.landmarks));
        let convolution = other("conv", self.convolution, CONVOLUTION);
        let iterations = other("iterations", self.iterations, ITERATIONS);
        Arguments::write(f, "nystrom", [landmarks, convolution, iterations])
    }
}

/// It is for encoders.
const ABILITIES: Abilities = Abilities {
    bidirectional: true,
    key_padding: true,
    pretrained: true,
    fused: true,
    ..Abilities::NONE
};

impl MechanismSettings for NystromConfig {
    fn init(&self, shape: HeadShape, device: &Device) -> Mechanism {
        let kernel = || {
            let bound = (self.convolution as f64).powf(-0.5);
            uniform([shape.n_heads, self.convolution], bound, device)
        };
        Mechanism::Nystrom(Nystrom {
            convolution: (self.convolution > 0).then(kernel),
            landmarks: self.landmarks,
            iterations: self.iterations,
        })
    }

    fn n_params(&self, shape: HeadShape) -> usize {
        shape.n_heads * self.convolution
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, field: &str) -> Result<(), ModelError> {
        let name = |part| format!("{field}.{part}");
        check_up_to(&name("m"), self.landmarks, MOST)?;
        let c = self.convolution;
        let has_middle = c == 0 || c % 2 == 1;
        check(
            has_middle,
            &name("conv"),
            &c,
            "odd, so that one position is in the middle, or 0 for no convolution",
        )?;
        check_up_to(&name("iterations"), self.iterations, MOST_ITERATIONS)
    }
}

impl Attend for Nystrom {
    fn attend(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        options: AttentionOptions,
    ) -> AttentionOutput {
        let options = AttentionOptions {
            normalizer: Normalizer::Softmax,
            ..options
        };
        nystrom_attention(query, key, value, self.settings(), options)
            .unwrap_or_else(|error| panic!("nystrom: {error}"))
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn observe(&self, call: &ObservedCall<'_>) -> Vec<Observable> {
        let (query, key) = (call.query.clone(), call.key.clone());
        let residual = nystrom_residual(query, key, &self.settings(), call.by_definition())
            .unwrap_or_else(|error| panic!("nystrom: {error}"));
        vec![Observable::of_tensor("residual", residual)]
    }
}

impl Nystrom {
    fn settings(&self) -> NystromSettings {
        NystromSettings {
            landmarks: self.landmarks,
            iterations: self.iterations,
            convolution: (self.convolution.as_ref()).map(Param::val),
        }
    }
}

/// What stands beside pretrained weights, set to add nothing to what they were trained with: each [`Nystrom`]'s
/// convolution is 0. Imports of published weights do so, where these have no name for it.
pub(crate) fn beside_pretrained<M: Module>(network: M) -> M {
    network.map(&mut Silence { path: Vec::new() })
}

struct Silence {
    path: Vec<String>,
}

impl ModuleMapper for Silence {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let silenced = ["Nystrom".to_owned(), "convolution".to_owned()];
        match self.path.ends_with(&silenced) {
            false => param,
            true => param.map(|old| {
                let tracked = old.is_require_grad();
                let zeros = old.zeros_like().detach();
                match tracked {
                    true => zeros.require_grad(),
                    false => zeros,
                }
            }),
        }
    }
}

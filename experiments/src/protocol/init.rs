//! New weights, and the recipe's normalisers in the words of `model`.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use sparta_model::layer::NormalizerConfig;

use crate::device;
use crate::recipe::NormalizerName;
use crate::train::rng::{self, Purpose};

/// The row normaliser of the recipe.
#[must_use]
pub(crate) fn normalizer(name: NormalizerName) -> NormalizerConfig {
    match name {
        NormalizerName::Softmax => NormalizerConfig::Softmax,
        NormalizerName::Sparsemax => NormalizerConfig::Sparsemax,
        NormalizerName::Entmax15 => NormalizerConfig::Entmax15,
        NormalizerName::AlphaEntmax => NormalizerConfig::alpha_entmax(),
    }
}

/// New weights, the same for the same seed on every device.
pub(crate) fn new_weights<M: Module>(
    seed: u64,
    device: &Device,
    init: impl FnOnce(&Device) -> M,
) -> M {
    // Every backend has a generator of its own; weights come from one, so that a seed means the
    // same weights on every device.
    let host = device::generator(device);
    host.seed(rng::hash(seed, Purpose::Init, 0));
    let network = init(&host);
    // Burn draws a weight when it is first looked at; look now, before another seed is set.
    network.visit(&mut Touch);
    match host == *device {
        true => network,
        false => network.fork(device),
    }
}

struct Touch;

impl ModuleVisitor for Touch {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _ = param.val();
    }
}

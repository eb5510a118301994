//! New weights.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::device;
use crate::train::rng::{self, Purpose};

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

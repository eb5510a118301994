//! Who computes attention in which rows of the table.

use anyhow::Result;
use sparta_ops::attention::{AttentionOptions, Implementation, Normalizer};
use sparta_results::render::SQUAD_KERNELS;

use crate::device::OpenDevice;
use crate::recipe::SquadRecipe;

/// The kernels of a run.
pub(super) struct Kernels {
    /// Who computes attention in training and in the answers.
    pub(super) quality: Implementation,
    /// Whose time and memory are measured.
    pub(super) costs: Vec<Implementation>,
}

impl Kernels {
    /// The kernels that a device has for the sequences of a recipe.
    ///
    /// # Errors
    /// [`Implementation::Fused`] asked for on a device without.
    pub(super) fn new(
        recipe: &SquadRecipe,
        opened: &OpenDevice,
        attention: Implementation,
    ) -> Result<Self> {
        let options = AttentionOptions::new(Normalizer::Softmax).implementation(attention);
        let seq = recipe.data.max_len;
        let all = [Implementation::Reference, Implementation::Fused];
        let is_there = |kernel: &Implementation| kernel.on(&opened.device).is_ok();
        Ok(Self {
            quality: options.resolve(&opened.device, [seq, seq])?,
            costs: all.into_iter().filter(is_there).collect(),
        })
    }
}

/// The rows of a kernel, without and with a mask: the definition computes every score and then hides some,
/// fused attention skips the blocks that are hidden.
pub(super) fn rows(kernel: Implementation) -> [&'static str; 2] {
    let [dense, masked, block_sparse] = SQUAD_KERNELS;
    match kernel {
        Implementation::Reference => [dense, masked],
        Implementation::Auto | Implementation::Fused => [block_sparse, block_sparse],
    }
}

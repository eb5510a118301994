//! A trained encoder of a run folder, with its tokenizer and masks.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use sparta_model::LayerMask;
use sparta_model::bert::BertConfig;
use sparta_ops::pruning::{AttentionType, GlobalMask};

use super::{Model, Pretrained, layer_masks};
use crate::device::{self, DeviceChoice, OpenDevice};
use crate::protocol::find::Found;
use crate::protocol::run::TrainingSummary;
use crate::recipe::Recipe;
use crate::recipe::encoder::EncoderModelRecipe;
use crate::train::load_model;

/// A trained network with everything around it.
pub struct TrainedEncoder<N> {
    /// The network, in evaluation mode.
    pub network: N,
    /// Its tokenizer and sizes.
    pub pretrained: Pretrained,
    /// The mask it is under, as its file has it.
    pub mask: Option<GlobalMask>,
    /// The same for each layer on the device.
    pub masks: Option<Vec<LayerMask>>,
    /// Where it computes.
    pub device: OpenDevice,
}

impl<N: Module> TrainedEncoder<N> {
    /// Opens a model for sequences up to `max_len`; `init` makes the empty network.
    ///
    /// # Errors
    /// A model that is not trained, or one that its tokenizer does not fit.
    pub fn open<R: Recipe>(
        found: &Found<R>,
        (model, max_len): (&EncoderModelRecipe, usize),
        device: DeviceChoice,
        init: impl FnOnce(&BertConfig, &Device) -> N,
    ) -> Result<Self> {
        let pretrained = Pretrained::of_run(model, &found.run, R::PROGRAM)?;
        let device = device::open(device, R::PROGRAM)?;
        let training = device.device.clone().autodiff();
        TrainingSummary::load(&found.folder)?
            .check_vocabulary(&found.folder, &pretrained.tokenizer.hash())?;
        let config = pretrained.config.clone();
        let config = config.with_mechanism(found.arm.variant.mechanism(AttentionType::EncoderSelf));
        let empty = init(&config, &training);
        let network = load_model(&found.folder.model(), empty, &found.folder.identity)?.valid();
        let mask = found.arm.load_mask(found.row.as_ref())?;
        Ok(Self {
            network,
            masks: layer_masks(mask.as_ref(), max_len, &device.device)?,
            pretrained,
            mask,
            device,
        })
    }

    /// The network under its masks.
    pub fn model(&self) -> Model<'_, N> {
        Model {
            network: &self.network,
            masks: self.masks.clone(),
            device: &self.device.device,
        }
    }
}

//! A trained language model of a run folder, with its vocabulary and masks.

use std::path::Path;

use anyhow::{Result, ensure};
use burn::module::Module;
use sparta_datasets::tokenize::Vocabulary;
use sparta_model::LayerMask;
use sparta_model::layer::MechanismConfig;
use sparta_model::transformer_xl::TransformerXl;
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::{AttentionType, GlobalMask};

use super::{LanguageModel, network};
use crate::device::{self, DeviceChoice, OpenDevice};
use crate::protocol::Task;
use crate::protocol::find::{Found, find};
use crate::protocol::run::TrainingSummary;
use crate::recipe::{LmRecipe, Recipe};
use crate::train::load_model;

/// Name of the vocabulary in the data of a run.
pub(super) const VOCABULARY: &str = "vocab.txt";

/// A trained network with everything around it.
pub(super) struct Trained {
    pub(super) found: Found<LmRecipe>,
    pub(super) vocabulary: Vocabulary,
    /// The network, in evaluation mode.
    pub(super) network: TransformerXl,
    pub(super) mechanism: MechanismConfig,
    /// The mask it is under, as its file has it.
    pub(super) mask: Option<GlobalMask>,
    /// The same for each layer on the device.
    pub(super) masks: Option<Vec<LayerMask>>,
    /// Where it computes.
    pub(super) device: OpenDevice,
}

impl Trained {
    /// The model that a path names, on a device.
    ///
    /// # Errors
    /// A folder without a trained model, or a model and a vocabulary that do not fit.
    pub(super) fn open(path: &Path, device: DeviceChoice) -> Result<Self> {
        let found = find::<LanguageModel>(path, LanguageModel::variants)?;
        let trained = TrainingSummary::load(&found.folder)?;
        let path = found.run.data().join(VOCABULARY);
        ensure!(
            path.is_file(),
            "no vocabulary in {}; run `lm prepare` with the same `--recipe` and `--out` first",
            found.run.data().display()
        );
        let vocabulary = Vocabulary::load(&path)?;
        trained.check_vocabulary(&found.folder, &vocabulary.hash())?;
        let mask = found.arm.load_mask(found.row.as_ref())?;
        let device = device::open(device, LmRecipe::PROGRAM)?;
        let model = &found.recipe.model;
        let mechanism = found.arm.variant.mechanism(AttentionType::DecoderSelf);
        let attention = (mechanism, Implementation::Auto);
        let seed = found.folder.identity.seed;
        let training = device.device.clone().autodiff();
        let empty = network::init(model, vocabulary.len(), attention, seed, &training)?;
        let network = load_model(&found.folder.model(), empty, &found.folder.identity)?.valid();
        Ok(Self {
            masks: network::layer_masks(mask.as_ref(), model, &device.device)?,
            found,
            vocabulary,
            network,
            mechanism,
            mask,
            device,
        })
    }

    /// A text as the corpus has it, line by line: words between spaces, which are told apart and brought into lower case where
    /// those of the user's own files were.
    pub(super) fn as_read(&self, text: &str) -> String {
        let files = self.found.recipe.data.files.as_ref();
        match files.map(|files| files.rule()) {
            None => text.to_owned(),
            Some(rule) => text
                .lines()
                .map(|line| rule.words_of(line) + "\n")
                .collect(),
        }
    }
}

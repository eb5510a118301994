//! A trained language model of a run folder, with its vocabulary and masks.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Result, ensure};
use burn::module::Module;
use sparta_datasets::CorpusName;
use sparta_datasets::files::{ParagraphReader, Paragraphs, TextRule};
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
use crate::recipe::{LmRecipe, Recipe, Source};
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

    /// What reads text as that of the corpus was read.
    pub(super) fn reader(&self) -> TextReader {
        let data = &self.found.recipe.data;
        let rule = data.files.as_ref().map(|files| files.rule());
        let paragraphs = match (data.corpus, rule) {
            (Source::Files, rule) => rule.map(|rule| rule.paragraphs),
            (Source::Published(CorpusName::StateOfTheUnion), _) => Some(Paragraphs::Lines),
            // Their blank lines are text too.
            (Source::Published(CorpusName::WikiText2 | CorpusName::WikiText103), _) => None,
        };
        TextReader {
            rule,
            paragraphs: paragraphs.map(|of| (of, of.reader())),
        }
    }

    /// A whole text as the corpus has it.
    pub(super) fn as_read(&self, text: &str) -> String {
        let mut reader = self.reader();
        let mut read = String::new();
        let lines = text.lines().map(Some).chain([None]);
        for paragraph in lines.filter_map(|line| reader.next(line)) {
            read.push_str(&paragraph);
            read.push('\n');
        }
        read
    }
}

/// Lines in, paragraphs of a corpus out: words between spaces, told apart and brought into lower case where those of the user's
/// own files were.
pub(super) struct TextReader {
    /// How own files are read.
    rule: Option<TextRule>,
    /// What a paragraph is; none where every line is one, blank ones too.
    paragraphs: Option<(Paragraphs, ParagraphReader)>,
}

impl TextReader {
    /// The paragraph that a line ends, or the end of the text (none), if it ends one.
    pub(super) fn next(&mut self, line: Option<&str>) -> Option<String> {
        let paragraph = match (&mut self.paragraphs, line) {
            (Some((_, reader)), Some(line)) => reader.line(line)?,
            (Some((_, reader)), None) => Cow::Owned(reader.end()?),
            (None, line) => Cow::Borrowed(line?),
        };
        Some(match &self.rule {
            None => paragraph.into_owned(),
            Some(rule) => rule.words_of(&paragraph),
        })
    }

    /// Whether a paragraph may have several lines.
    pub(super) fn is_wrapped(&self) -> bool {
        let paragraphs = self.paragraphs.as_ref().map(|(of, _)| *of);
        paragraphs == Some(Paragraphs::BlankLines)
    }
}

//! One pass over the validation set, and everything that the figures need of it: sums by attention type and layer,
//! and a few sentences. Memory does not grow with the data.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::tensor::Tensor;
use sparta_datasets::Split;
use sparta_model::layer::{LearnedName, PlacedMechanism};
use sparta_ops::pruning::{AttentionType, Valid};
use sparta_results::attention::{
    Density, Diversity, Interrogation, Legal, Merging, Positional, Weights,
};
use sparta_results::figure::Role;

use super::request::{Analyze, FigureName};
use super::sentence::Sentence;
use super::words::{Words, interrogatives};
use crate::protocol::{Examples, MaskedModel, Observed, Side, Task, Variant};
use crate::train::watch::{Interrupted, Progress, is_interrupted};

/// α by attention type, `[layer][head]`.
pub(super) type Alphas = BTreeMap<AttentionType, Vec<Vec<f64>>>;

/// What is measured of one model.
pub(super) struct Measured {
    /// Its row normaliser, as figures name it.
    pub(super) variant: String,
    /// Corpus and split.
    pub(super) corpus: String,
    /// Sequences that were read.
    pub(super) n_sequences: u64,
    /// By attention type.
    pub(super) types: BTreeMap<AttentionType, TypeMeasures>,
    /// Sentences for pictures.
    pub(super) sentences: Vec<Sentence>,
}

/// What is measured of one attention type.
#[derive(Default)]
pub(super) struct TypeMeasures {
    /// By layer.
    pub(super) layers: Vec<LayerMeasures>,
    /// Learned α, `[layer][head]`.
    pub(super) alphas: Option<Vec<Vec<f64>>>,
    /// Words of several pieces that were read.
    pub(super) n_split_words: u64,
}

/// The sums of one layer.
pub(super) struct LayerMeasures {
    pub(super) diversity: Diversity,
    pub(super) density: Density,
    /// One an offset; none of cross-attention, whose queries and keys are of two sequences.
    pub(super) positional: Vec<Positional>,
    pub(super) merging: Merging,
    pub(super) interrogation: Interrogation,
}

/// What a pass is for.
pub(super) struct Wanted {
    diversity: bool,
    density: bool,
    roles: Vec<Role>,
    offsets: Vec<i64>,
    /// Words that ask; none where their language has no list.
    pub(super) interrogatives: Option<Vec<String>>,
}

impl Wanted {
    /// What the figures of a request need, of texts in a language.
    pub(super) fn of<T: Task>(request: &Analyze, recipe: &[String], task: &T) -> Self {
        let asks = |figure| request.asks(figure);
        let roles = [
            (FigureName::Positional, Role::Positional),
            (FigureName::Merging, Role::Merging),
            (FigureName::Interrogation, Role::Interrogation),
        ];
        let roles = roles.into_iter().filter(|(figure, _)| asks(*figure));
        let given = [request.interrogatives.as_slice(), recipe];
        let given = given.into_iter().find(|list| !list.is_empty());
        let given = given.map(|list| list.iter().map(|word| word.to_lowercase()).collect());
        Self {
            diversity: asks(FigureName::Diversity),
            density: asks(FigureName::Density) || asks(FigureName::DensityHistogram),
            roles: roles.map(|(_, role)| role).collect(),
            offsets: request.offsets.clone(),
            interrogatives: given.or_else(|| interrogatives(task.language())),
        }
    }

    /// Whether a pass is needed.
    pub(super) fn anything(&self) -> bool {
        self.diversity || self.density || !self.roles.is_empty()
    }

    /// The roles that heads of an attention type may have: words and questions are read whole by encoders alone.
    fn roles(&self, kind: AttentionType) -> Vec<Role> {
        let may = |role: &&Role| match (kind, role) {
            (AttentionType::EncoderSelf, _) | (AttentionType::DecoderSelf, Role::Positional) => {
                true
            }
            (AttentionType::DecoderSelf, Role::Merging | Role::Interrogation)
            | (AttentionType::Cross, _) => false,
        };
        self.roles.iter().filter(may).copied().collect()
    }

    /// The offsets that a head of the type can attend to.
    fn offsets(&self, kind: AttentionType) -> Vec<i64> {
        let may = |offset: &&i64| match kind {
            AttentionType::EncoderSelf => true,
            AttentionType::DecoderSelf => **offset <= 0,
            AttentionType::Cross => false,
        };
        self.offsets.iter().filter(may).copied().collect()
    }
}

/// Which keys a query sees.
const fn legal(kind: AttentionType) -> Legal {
    match kind {
        AttentionType::EncoderSelf | AttentionType::Cross => Legal::All,
        AttentionType::DecoderSelf => Legal::Causal,
    }
}

impl LayerMeasures {
    fn new(n_heads: usize, offsets: &[i64]) -> Self {
        let positional = |&offset: &i64| Positional::new(n_heads, offset);
        Self {
            diversity: Diversity::new(n_heads),
            density: Density::new(n_heads),
            positional: offsets.iter().map(positional).collect(),
            merging: Merging::new(n_heads),
            interrogation: Interrogation::new(n_heads),
        }
    }

    fn add(
        &mut self,
        weights: &Weights<'_>,
        (kind, roles): (AttentionType, &[Role]),
        words: Option<&Words>,
        wanted: &Wanted,
    ) -> Result<()> {
        if wanted.diversity {
            self.diversity.add(weights)?;
        }
        if wanted.density {
            self.density.add(weights, legal(kind))?;
        }
        for role in roles {
            match (role, words) {
                (Role::Positional, _) => {
                    for positional in &mut self.positional {
                        positional.add(weights, legal(kind))?;
                    }
                }
                (Role::Merging, Some(words)) => self.merging.add(weights, &words.clusters)?,
                (Role::Interrogation, Some(words)) => {
                    for question in &words.questions {
                        self.interrogation.add(weights, question)?;
                    }
                }
                (Role::Merging | Role::Interrogation, None) => {}
            }
        }
        Ok(())
    }
}

/// Reads the validation set with a model.
///
/// # Errors
/// Data or weights that cannot be, or Ctrl-C.
pub(super) fn measure<T: Task>(
    task: &T,
    (of, variant): (&Variant, &str),
    model: &MaskedModel<'_, T::Network, T::Masks>,
    wanted: &Wanted,
    request: &Analyze,
) -> Result<Measured> {
    let examples = Examples::First {
        split: Split::Valid,
        n: request.examples,
    };
    let pass = task.observe(of, model, examples)?;
    let mut parts = pass.corpus.split(':');
    let corpus = match (parts.next(), parts.next()) {
        (Some(name), Some(split)) => format!("{name}, {split}"),
        (name, _) => name.unwrap_or_default().to_owned(),
    };
    let mut measured = Measured {
        variant: variant.to_owned(),
        corpus,
        n_sequences: 0,
        types: BTreeMap::new(),
        sentences: Vec::new(),
    };
    let label = format!("read {variant}");
    let (n, tokens) = (pass.amount.n, pass.amount.tokens);
    let mut progress = Progress::start(&label, 0, n, tokens, request.quiet);
    for (i, batch) in pass.batches.enumerate() {
        for (first, observed) in batch?.into_iter().enumerate() {
            if first == 0 {
                measured.n_sequences += observed.ids.len() as u64;
            }
            measured.add(task, observed, wanted)?;
        }
        progress.at(i as u64 + 1, "")?;
        if is_interrupted() {
            let resume = "no figure was written; analyse again".to_owned();
            return Err(Interrupted { resume }.into());
        }
    }
    measured.sentences = Sentence::shown(measured.sentences);
    let rate = progress.rate(n);
    progress.finish(&format!("{}, {rate:.0} tokens/s", pass.words));
    for (kind, alphas) in learned_alphas(task, of, model.network)? {
        if let Some(of) = measured.types.get_mut(&kind) {
            of.alphas = Some(alphas);
        }
    }
    Ok(measured)
}

/// The learned α of a network, by attention type.
pub(super) fn learned_alphas<T: Task>(
    task: &T,
    of: &Variant,
    network: &T::Network,
) -> Result<Alphas> {
    let mut alphas = Alphas::new();
    let placed = task.mechanisms(of, network);
    let learned = placed.iter().flat_map(PlacedMechanism::learned);
    for learned in learned.filter(|of| of.name == LearnedName::Alpha) {
        let layers = alphas.entry(learned.kind).or_default();
        ensure!(
            learned.layer == layers.len(),
            "{} learns α in layer {} and not in the one before",
            learned.kind,
            learned.layer
        );
        let values = read(learned.values)?;
        layers.push(values.into_iter().map(f64::from).collect());
    }
    Ok(alphas)
}

fn read<const D: usize>(values: Tensor<D>) -> Result<Vec<f32>> {
    values
        .try_into_vec_as::<f32>()
        .map_err(|e| anyhow!("cannot read from the device: {e:?}"))
}

impl Measured {
    fn add<T: Task>(&mut self, task: &T, observed: Observed, wanted: &Wanted) -> Result<()> {
        let Observed {
            kind,
            weights,
            placement,
            ids,
        } = observed;
        let roles = wanted.roles(kind);
        let reads_words = roles.iter().any(|role| match role {
            Role::Positional => false,
            Role::Merging | Role::Interrogation => true,
        });
        let list = wanted.interrogatives.as_deref().unwrap_or_default();
        let [side, _] = Side::of(kind);
        // Sequences without a token are padding as a whole.
        let is_read: Vec<bool> = ids.iter().map(|ids| !ids.queries.is_empty()).collect();
        let mut words: Vec<Option<Words>> = Vec::with_capacity(ids.len());
        let mut kept: Vec<(usize, Sentence)> = Vec::new();
        for (example, ids) in ids.iter().enumerate() {
            let shows = !roles.is_empty() && is_read[example];
            let of = match shows && (reads_words || Sentence::are_wanted(&self.sentences, kind)) {
                false => None,
                true => Some(Words::of(&task.tokens(side, &ids.queries)?, list)?),
            };
            if let Some(words) = &of {
                let there = self.sentences.iter();
                let there = there.chain(kept.iter().map(|(_, of)| of));
                let chosen = Sentence::choose(there, kind, &roles, words);
                kept.extend(chosen.into_iter().map(|of| (example, of)));
            }
            words.push(of);
        }
        let offsets = wanted.offsets(kind);
        let measures = self.types.entry(kind).or_default();
        let split = |words: &Words| words.clusters.iter().filter(|of| of.len() > 1).count();
        measures.n_split_words += words.iter().flatten().map(split).sum::<usize>() as u64;
        for (layer, weights) in weights.into_iter().enumerate() {
            let shape = weights.dims();
            let [batch, n_heads, seq_q, seq_kv] = shape;
            ensure!(
                ids.len() == batch,
                "{batch} sequences were read and the tokens of {} given",
                ids.len()
            );
            let values = read(weights)?;
            if measures.layers.len() == layer {
                measures.layers.push(LayerMeasures::new(n_heads, &offsets));
            }
            let sums = measures
                .layers
                .get_mut(layer)
                .context("a layer was left out")?;
            for example in (0..batch).filter(|&example| is_read[example]) {
                let Valid { rows, cols } = match &placement.valid {
                    None => Valid::first(seq_q, seq_kv),
                    Some(valid) => valid[example].clone(),
                };
                if rows.len() != ids[example].queries.len() || cols.len() != ids[example].keys.len()
                {
                    bail!("{kind}: the tokens of sequence {example} are not those of its weights");
                }
                let weights = Weights::new(&values, shape, example, rows, cols)?;
                let words = words[example].as_ref();
                sums.add(&weights, (kind, &roles), words, wanted)?;
                let mine = kept.iter_mut().filter(|(of, _)| *of == example);
                mine.for_each(|(_, sentence)| sentence.keep(&weights));
            }
        }
        self.sentences.extend(kept.into_iter().map(|(_, of)| of));
        Ok(())
    }
}

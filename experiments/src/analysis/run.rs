//! The figures of one run: its models are found, read again where that is needed, and each figure is written or says
//! why not.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::module::Module;
use sparta_datasets::tokenize::Language;
use sparta_ops::attention::Implementation;
use sparta_results::attention::{PublishedClaim, SeedClaims};
use sparta_results::figure::{Figure, Published, Role, TrajectoryFigure, save};
use sparta_results::paper::figures::pair;

use super::claims;
use super::figures::{self, Made, NO_ALPHA, Observed};
use super::measure::{Alphas, Measured, Wanted, learned_alphas, measure};
use super::models::{Chosen, Models, dataset};
use super::request::{Analyze, FigureName};
use crate::device;
use crate::io::in_one_line;
use crate::protocol::run::TrainingSummary;
use crate::protocol::{MaskedModel, Request, Run, Stage, Task, given, note};
use crate::recipe::Recipe;
use crate::train::load_model;

/// What became of the figures of a run.
#[derive(Default)]
pub(super) struct Outcome {
    /// The files written.
    pub(super) files: Vec<PathBuf>,
    /// Figures that there are not, and why.
    pub(super) absent: Vec<(FigureName, String)>,
    /// Published claims on what was measured.
    pub(super) claims: Vec<PublishedClaim>,
}

impl Outcome {
    /// Writes a figure into a folder, or notes why there is none.
    ///
    /// # Errors
    /// Numbers that do not belong together, or a disk that refuses.
    pub(super) fn take<F: Figure>(
        &mut self,
        name: FigureName,
        made: Made<F>,
        folder: &Path,
    ) -> Result<()> {
        match made {
            Ok(figure) => self.files.extend(save(&figure, folder)?),
            Err(reason) => self.absent.push((name, reason)),
        }
        Ok(())
    }
}

/// Makes the figures of a run, or of one model of it.
///
/// # Errors
/// No model, files that are damaged, or Ctrl-C; a figure that cannot be is no error.
pub(super) fn analyze<T: Task>(path: &Path, request: &Analyze) -> Result<Outcome> {
    let models = Models::find::<T>(path, request)?;
    let out = request.out.clone().unwrap_or_else(|| models.out.clone());
    let mut outcome = Outcome::default();
    let read = read::<T>(&models, request, &mut outcome)?;
    let (mut learned_of, mut alphas) = (None, None);
    let published = read.published();
    if request.asks(FigureName::Alpha) && read.is_open {
        let learned = read.learned.iter().find(|(_, alphas)| !alphas.is_empty());
        let of = learned.map(|(at, alphas)| (&models.chosen[*at], alphas));
        let made = match of {
            None => Err(NO_ALPHA.to_owned()),
            Some((chosen, of)) => {
                learned_of = Some(chosen.label.as_str());
                alphas = Some(of);
                figures::alpha(models.parameters(chosen), of, &published)
            }
        };
        outcome.take(FigureName::Alpha, made, &out)?;
    }
    let mut trajectory: Option<(&str, TrajectoryFigure)> = None;
    if request.asks(FigureName::Trajectory) {
        let learns = |of: &&Chosen| of.arm.variant.mechanisms.learns_alpha();
        let made = match models.chosen.iter().find(learns) {
            None => Err(NO_ALPHA.to_owned()),
            Some(chosen) => {
                let source = models.parameters(chosen);
                let made = figures::trajectory(source, &chosen.folder().path)?;
                trajectory = made
                    .as_ref()
                    .ok()
                    .map(|of| (chosen.label.as_str(), of.clone()));
                made
            }
        };
        outcome.take(FigureName::Trajectory, made, &out)?;
    }
    if read.is_open {
        figures_of_pass(request, &models.name, &read, &mut outcome, &out)?;
    }
    if request.asks(FigureName::Pattern) {
        patterns(&models, &mut outcome, &out)?;
    }
    if request.asks(FigureName::Curves) {
        let made = figures::curves(&models.curves(None))?;
        outcome.take(FigureName::Curves, made, &out)?;
    }
    let learned = learned_of.zip(alphas);
    let trajectory = trajectory.as_ref().map(|(label, of)| (*label, of));
    if !read.measured.is_empty() || learned.is_some() || trajectory.is_some() {
        outcome.claims = claims::of(&read.measured, learned, trajectory);
        // Of some figures alone most claims cannot be told, which would replace what all figures have told; a network
        // of another kind has nothing to say to any of them.
        if request.figures.is_empty() && outcome.claims.iter().any(|claim| claim.holds.is_some()) {
            let of_seed = SeedClaims {
                seed: models.seed,
                claims: outcome.claims.clone(),
            };
            outcome.files.extend(claims::save(&of_seed, &out)?);
        }
    }
    Ok(outcome)
}

/// The figures of attention weights.
const OF_WEIGHTS: [FigureName; 6] = [
    FigureName::Density,
    FigureName::DensityHistogram,
    FigureName::Diversity,
    FigureName::Positional,
    FigureName::Merging,
    FigureName::Interrogation,
];

/// What the models of a run say, and the data they were asked on.
#[derive(Default)]
struct Read {
    /// Whether the data were there.
    is_open: bool,
    language: Option<Language>,
    has_list: bool,
    measured: Vec<Measured>,
    /// Why models are not among them, each reason for one.
    without_weights: Vec<String>,
    /// By place among the chosen models.
    learned: Vec<(usize, Alphas)>,
}

impl Read {
    /// The published panels beside ours: of the pair with the language of the encoder as its source, else of the paper's
    /// own, WMT14 en-de.
    fn published(&self) -> Published {
        let name = match self.language {
            Some(Language::De) => "de-en",
            Some(Language::Ja) => "ja-en",
            Some(Language::Ro) => "ro-en",
            Some(Language::En | Language::Cs | Language::Fr | Language::Other(_)) | None => "en-de",
        };
        pair(name).map(Published::of).unwrap_or_default()
    }
}

/// Opens data and models, and reads the validation set where a figure needs it. Data that are gone take the figures
/// that need them with them, and no others.
fn read<T: Task>(
    models: &Models<T::Recipe>,
    request: &Analyze,
    outcome: &mut Outcome,
) -> Result<Read> {
    let need_data = [FigureName::Alpha].into_iter().chain(OF_WEIGHTS);
    let needed: Vec<FigureName> = need_data.filter(|&figure| request.asks(figure)).collect();
    if needed.is_empty() {
        return Ok(Read::default());
    }
    let asked = Request {
        stage: Stage::Report,
        recipe: models.recipe.clone(),
        device: request.device,
        attention: Implementation::Auto,
        dry_run: false,
        only_seeds: false,
        only_tasks: false,
        resume: true,
        is_mixed: true,
        out: Some(models.folder.root().to_owned()),
        data: request.data.clone(),
        weights: None,
        profile: false,
        quiet: request.quiet,
    };
    let opened = given::check_again(&asked).and_then(|()| T::reopen(&Run::new(&asked)));
    let task = match opened {
        Ok(task) => task,
        Err(error) => {
            let reason = format!(
                "the data of the run cannot be read: {}",
                in_one_line(&error)
            );
            let absent = needed.into_iter().map(|figure| (figure, reason.clone()));
            outcome.absent.extend(absent);
            return Ok(Read::default());
        }
    };
    let on = device::open(request.device, T::Recipe::PROGRAM)?;
    note(
        request.quiet,
        &format!("{} · device {}", models.name, on.note),
    );
    let training = on.device.clone().autodiff();
    let recipe_list = &models.recipe.heading().interrogatives;
    let wanted = Wanted::of(request, recipe_list, &task);
    let mut read = Read {
        is_open: true,
        language: Some(task.language()),
        has_list: wanted.interrogatives.is_some(),
        ..Read::default()
    };
    for (at, chosen) in models.chosen.iter().enumerate() {
        let (variant, folder) = (&chosen.arm.variant, chosen.folder());
        let summary = TrainingSummary::load(&folder)?;
        summary.check_vocabulary(&folder, &task.tokenizer_hash())?;
        let empty = task.network(variant, folder.identity.seed, &training)?;
        let network = load_model(&folder.model(), empty, &folder.identity)?.valid();
        if request.asks(FigureName::Alpha) {
            read.learned
                .push((at, learned_alphas(&task, variant, &network)?));
        }
        if !wanted.anything() {
            continue;
        }
        if let Some(reason) = variant.has_no_weights() {
            let words = format!(
                "{} is left out of figures of weights: {reason}",
                chosen.label
            );
            note(request.quiet, &words);
            read.without_weights.push(reason);
            continue;
        }
        let mask = chosen.arm.load_mask(chosen.row.as_ref())?;
        let model = MaskedModel {
            network: &network,
            masks: task.masks(mask.as_ref(), &on.device)?,
            device: &on.device,
        };
        let names = (variant, chosen.label.as_str());
        read.measured
            .push(measure(&task, names, &model, &wanted, request)?);
    }
    Ok(read)
}

/// The figures of what the pass measured.
fn figures_of_pass(
    request: &Analyze,
    run: &str,
    read: &Read,
    outcome: &mut Outcome,
    out: &Path,
) -> Result<()> {
    let (all, published) = (&read.measured, read.published());
    if all.is_empty() && !read.without_weights.is_empty() {
        let reason = read.without_weights.join(", ");
        let asked = OF_WEIGHTS.into_iter().filter(|&of| request.asks(of));
        outcome.absent.extend(asked.map(|of| (of, reason.clone())));
        return Ok(());
    }
    if request.asks(FigureName::Density) {
        let made = figures::density(run, all, &published);
        outcome.take(FigureName::Density, made, out)?;
    }
    if request.asks(FigureName::DensityHistogram) {
        let made = figures::density_histogram(run, all, &published);
        outcome.take(FigureName::DensityHistogram, made, out)?;
    }
    if request.asks(FigureName::Diversity) {
        let made = figures::diversity(run, all, &published);
        outcome.take(FigureName::Diversity, made, out)?;
    }
    let roles = [
        (FigureName::Positional, Role::Positional),
        (FigureName::Merging, Role::Merging),
        (FigureName::Interrogation, Role::Interrogation),
    ];
    for (figure, role) in roles {
        if request.asks(figure) {
            let made = figures::role(role, run, all, read.has_list);
            outcome.take(figure, made, out)?;
        }
    }
    Ok(())
}

/// The figures of patterns and masks.
fn patterns<R: Recipe>(models: &Models<R>, outcome: &mut Outcome, out: &Path) -> Result<()> {
    let name = FigureName::Pattern;
    let shown: Vec<Observed> = models
        .chosen
        .iter()
        .map(|of| Observed {
            arm: of.arm.clone(),
            variant: of.label.clone(),
            dataset: dataset(&of.arm.variant),
        })
        .collect();
    let patterns = match figures::pattern(&models.name, &shown, &models.all)? {
        Ok(patterns) => patterns,
        Err(reason) => {
            outcome.absent.push((name, reason));
            return Ok(());
        }
    };
    for figure in patterns.patterns {
        outcome.take(name, Ok(figure), out)?;
    }
    if let Some(figure) = patterns.sparsity {
        outcome.take(name, Ok(figure), out)?;
    }
    if let Some(figure) = patterns.overlap {
        outcome.take(name, Ok(figure), out)?;
    }
    let missing = patterns.missing.into_iter().map(|reason| (name, reason));
    outcome.absent.extend(missing);
    Ok(())
}

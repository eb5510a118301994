//! The stages. Each reads files of the run folder and writes files of the run folder; what is
//! finished is not made again.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sparta_datasets::Split;
use sparta_datasets::batch::LmStream;
use sparta_model::transformer_xl::TransformerXl;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, GlobalMask, PatternHeader, SparsityReport,
};
use sparta_results::Perplexity;

use super::data::{self, LmData};
use super::folder::{ModelFolder, RunFolder};
use super::lesson::LmLesson;
use super::records;
use super::rows::Row;
use super::{Request, Stage, network, note, pass};
use crate::device::OpenDevice;
use crate::io::write_text;
use crate::recipe::{Recipe, RetrainMode};
use crate::train::watch::Progress;
use crate::train::{
    AdamSettings, CHECKPOINT, Plan, Schedule, ScheduleName, Trained, load_model, save_model, train,
};

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

/// What training leaves beside its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TrainedNote {
    pub(super) steps: u64,
    pub(super) tokens_per_second: f64,
    pub(super) valid_nll: f64,
    pub(super) started: u64,
    pub(super) finished: u64,
}

impl TrainedNote {
    pub(super) fn load(folder: &ModelFolder) -> Result<Self> {
        let path = folder.trained();
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "`{}` of seed {} is not trained yet ({} is missing); run the stage before this one",
                folder.identity.run,
                folder.identity.seed,
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged; delete it and use `--resume`",
                path.display()
            )
        })
    }
}

/// One line about prepared data.
pub(super) fn describe(data: &LmData) -> String {
    format!(
        "data: vocabulary {} words; train {}, valid {}, test {} tokens",
        data.vocab_size,
        data.tokens(Split::Train).len(),
        data.tokens(Split::Valid).len(),
        data.tokens(Split::Test).len()
    )
}

/// A recipe at work in a run folder, on a device.
pub(super) struct Session<'a> {
    pub(super) request: &'a Request,
    pub(super) recipe: &'a Recipe,
    pub(super) folder: RunFolder,
    pub(super) opened: OpenDevice,
    pub(super) data: LmData,
    /// The device with autodiff, for training.
    training: Device,
}

/// The steps of one training run.
struct Steps {
    steps: u64,
    lr: f64,
    schedule: ScheduleName,
    warmup_steps: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(request: &'a Request, folder: RunFolder, opened: OpenDevice) -> Result<Self> {
        let recipe = &request.recipe;
        let data = data::prepare(recipe, &folder, request.data.as_deref(), data::Fetch::Never)?;
        note(request.quiet, &describe(&data));
        let training = opened.device.clone().autodiff();
        Ok(Self {
            request,
            recipe,
            folder,
            opened,
            data,
            training,
        })
    }

    pub(super) fn run(&self, stage: Stage) -> Result<()> {
        for &seed in &self.recipe.seeds {
            match stage {
                Stage::Prepare | Stage::Report => {}
                Stage::Train => self.train_dense(seed)?,
                Stage::Observe => self.observe(seed)?,
                Stage::Prune => {
                    self.masks(seed)?;
                    for row in Row::all(self.recipe) {
                        self.train_row(seed, &row)?;
                    }
                }
                Stage::Eval => self.eval(seed)?,
                Stage::Reproduce => self.reproduce(seed)?,
            }
        }
        match stage {
            Stage::Eval | Stage::Reproduce => records::report(self.recipe, &self.folder),
            Stage::Prepare | Stage::Report | Stage::Train | Stage::Observe | Stage::Prune => Ok(()),
        }
    }

    fn reproduce(&self, seed: u64) -> Result<()> {
        self.train_dense(seed)?;
        self.eval_ngrams(seed)?;
        self.eval_dense(seed)?;
        self.observe(seed)?;
        self.masks(seed)?;
        for row in Row::all(self.recipe) {
            self.train_row(seed, &row)?;
            self.eval_row(seed, &row)?;
        }
        Ok(())
    }

    fn eval(&self, seed: u64) -> Result<()> {
        self.eval_ngrams(seed)?;
        self.eval_dense(seed)?;
        for row in Row::all(self.recipe) {
            self.eval_row(seed, &row)?;
        }
        Ok(())
    }

    /// Whether a file that a stage makes is there already, so that the stage is skipped.
    ///
    /// # Errors
    /// If it is there without `--resume`: nothing finished is overwritten.
    fn is_finished(&self, path: &Path, what: &str) -> Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        let alone = matches!(
            self.request.stage,
            Stage::Train | Stage::Observe | Stage::Prune | Stage::Eval
        );
        if alone && !self.request.resume {
            bail!(
                "{what} is finished ({}) and is not overwritten; keep it with `--resume`, delete \
                 it to make it again, or start a new run folder with `--out DIR`",
                path.display()
            );
        }
        Ok(true)
    }

    fn train_dense(&self, seed: u64) -> Result<()> {
        let folder = self.folder.dense(self.recipe, seed);
        if self.is_finished(&folder.trained(), "the dense model")? {
            return Ok(());
        }
        let r = &self.recipe.train;
        let steps = Steps {
            steps: r.steps,
            lr: r.lr,
            schedule: r.schedule,
            warmup_steps: r.warmup_steps,
        };
        let model = network::init(
            &self.recipe.model,
            self.data.vocab_size,
            seed,
            &self.training,
        )?;
        self.train(&folder, model, None, steps)
    }

    fn train_row(&self, seed: u64, row: &Row) -> Result<()> {
        let folder = self.folder.row(self.recipe, seed, row);
        if self.is_finished(&folder.trained(), &row.name())? {
            return Ok(());
        }
        let dense = self.folder.dense(self.recipe, seed);
        TrainedNote::load(&dense)?;
        let mask = self.load_mask(seed, row)?;
        let model = network::init(
            &self.recipe.model,
            self.data.vocab_size,
            seed,
            &self.training,
        )?;
        let model = match self.recipe.retrain.mode {
            RetrainMode::Finetune => load_model(&dense.model(), model, &dense.identity)?,
            RetrainMode::Scratch => model,
        };
        let r = &self.recipe.retrain;
        let steps = Steps {
            steps: r.steps,
            lr: r.lr,
            schedule: r.schedule,
            warmup_steps: r.warmup_steps,
        };
        self.train(&folder, model, mask.as_ref(), steps)
    }

    fn train(
        &self,
        folder: &ModelFolder,
        model: TransformerXl,
        mask: Option<&GlobalMask>,
        steps: Steps,
    ) -> Result<()> {
        let r = &self.recipe.train;
        let seed = folder.identity.seed;
        let mut lesson = LmLesson::new(self.recipe, &self.data, seed, mask, &self.training)?;
        let plan = Plan {
            identity: folder.identity.clone(),
            schedule: Schedule {
                name: steps.schedule,
                peak: steps.lr,
                warmup_steps: steps.warmup_steps,
                steps: steps.steps,
            },
            adam: AdamSettings {
                beta_1: r.beta_1,
                beta_2: r.beta_2,
                epsilon: r.epsilon,
                clip: r.clip,
            },
            log_every: r.log_every,
            valid_every: r.valid_every,
            checkpoint_every: r.checkpoint_every,
            resume: self.request.resume,
            quiet: self.request.quiet,
        };
        let started = now();
        let trained = train(model, &mut lesson, &plan, &folder.path, &self.training)
            .inspect_err(|error| records::failed(self, folder, error, started))?;
        let Trained {
            model,
            steps,
            tokens_per_second,
            valid_nll,
        } = trained;
        save_model(&folder.model(), &model, &folder.identity, steps)?;
        let done = TrainedNote {
            steps,
            tokens_per_second,
            valid_nll,
            started,
            finished: now(),
        };
        let text = serde_json::to_string_pretty(&done).context("cannot write trained.json")?;
        write_text(&folder.trained(), &(text + "\n"))?;
        // The optimiser is not needed again, and is twice as large as the model.
        let checkpoint = folder.path.join(CHECKPOINT);
        if checkpoint.exists() {
            std::fs::remove_file(&checkpoint)
                .with_context(|| format!("cannot remove {}", checkpoint.display()))?;
        }
        Ok(())
    }

    /// The model of a folder in evaluation mode, on the plain device.
    fn trained_model(&self, folder: &ModelFolder) -> Result<TransformerXl> {
        TrainedNote::load(folder)?;
        let seed = folder.identity.seed;
        let empty = network::init(
            &self.recipe.model,
            self.data.vocab_size,
            seed,
            &self.training,
        )?;
        Ok(load_model(&folder.model(), empty, &folder.identity)?.valid())
    }

    fn observe(&self, seed: u64) -> Result<()> {
        let path = self.folder.pattern(seed);
        if self.is_finished(&path, "the attention pattern")? {
            return Ok(());
        }
        let dense = self.folder.dense(self.recipe, seed);
        let model = self.trained_model(&dense)?;
        let r = &self.recipe.observe;
        let all = self.data.tokens(Split::Train);
        let n = if r.train_tokens == 0 {
            all.len()
        } else {
            r.train_tokens.min(all.len())
        };
        let stream = LmStream::new(&all[..n], r.batch_size, self.recipe.model.tgt_len)?;
        let header = PatternHeader::new(
            format!("{}:train:{n}", self.recipe.data.corpus.name()),
            self.model_name(seed),
        )
        .with_layers(
            AttentionType::DecoderSelf,
            self.recipe.model.n_layers,
            network::grid(&self.recipe.model),
        )
        .with_padding(network::semantics(self.recipe.prune.semantics).padding());
        let mut pattern = AttentionPattern::new(header);
        let mut progress = self.progress("observe", &stream);
        let device = &self.opened.device;
        pass::observe(&model, &stream, &mut pattern, device, &mut |i| {
            progress.at(i as u64, "")
        })?;
        let rate = progress.rate(stream.n_batches() as u64);
        progress.finish(&format!(
            "mean attention over {n} tokens, {rate:.0} tokens/s"
        ));
        Ok(pattern.save(&path)?)
    }

    fn progress(&self, label: &str, stream: &LmStream<'_>) -> Progress {
        let n = stream.n_batches() as u64;
        let per_batch = stream.n_targets() as f64 / n as f64;
        Progress::start(label, 0, n, per_batch, self.request.quiet)
    }

    /// What a pattern or mask was made from, as its file says.
    fn model_name(&self, seed: u64) -> String {
        format!("{}:seed-{seed}:dense", self.recipe.hash())
    }

    pub(super) fn load_pattern(&self, seed: u64) -> Result<AttentionPattern> {
        let path = self.folder.pattern(seed);
        if !path.exists() {
            bail!(
                "no attention pattern of seed {seed} ({} is missing); run `lm observe` with the \
                 same `--recipe` and `--out` first",
                path.display()
            );
        }
        let pattern = AttentionPattern::load(&path)?;
        if pattern.header().model != self.model_name(seed) {
            bail!(
                "{} was observed on another model; delete it and run `lm observe` again",
                path.display()
            );
        }
        Ok(pattern)
    }

    /// Thresholds the pattern: the AP mask of every p, and its random masks.
    fn masks(&self, seed: u64) -> Result<()> {
        let rows: Vec<Row> = Row::all(self.recipe)
            .into_iter()
            .filter(|r| r.p() > 0)
            .collect();
        if rows.iter().all(|row| self.folder.mask(seed, row).exists()) {
            return Ok(());
        }
        let pattern = self.load_pattern(seed)?;
        let prune = &self.recipe.prune;
        let mut latest = None;
        let mut before: Option<(Row, GlobalMask)> = None;
        for row in rows {
            let mask = match (row.mask_seed(seed), &latest) {
                (Some(mask_seed), Some(ap)) => GlobalMask::random_like(ap, mask_seed),
                (Some(_), None) => bail!("{} has no AP mask before it", row.name()),
                (None, _) => GlobalMask::from_pattern(
                    &pattern,
                    f64::from(row.p()) / 100.0,
                    network::scope(prune.scope),
                    network::semantics(prune.semantics),
                )?,
            };
            let sparsity = SparsityReport::new(&mask, &pattern)?.total;
            let quiet = self.request.quiet;
            if row.mask_seed(seed).is_none() {
                note(quiet, &records::describe_sparsity(&row, &sparsity));
                if sparsity.hidden_cells == 0 {
                    note(
                        quiet,
                        &format!("{} hides no legal cell: it must equal p = 0", row.name()),
                    );
                }
                if let Some((other, _)) = before.filter(|(_, m)| same_cells(m, &mask)) {
                    let (a, b) = (row.name(), other.name());
                    note(
                        quiet,
                        &format!("{a} hides the same cells as {b}: they must be equal"),
                    );
                }
                before = Some((row, mask.clone()));
                latest = Some(mask.clone());
            }
            let path = self.folder.mask(seed, &row);
            make_folder_of(&path)?;
            mask.save(path)?;
        }
        Ok(())
    }

    pub(super) fn load_mask(&self, seed: u64, row: &Row) -> Result<Option<GlobalMask>> {
        if *row == Row::Dense {
            return Ok(None);
        }
        let path = self.folder.mask(seed, row);
        if !path.exists() {
            bail!(
                "no mask `{}` of seed {seed} ({} is missing); run `lm prune` with the same \
                 `--recipe` and `--out` first",
                row.name(),
                path.display()
            );
        }
        let mask = GlobalMask::load(&path)?;
        network::mask_tensors(&mask, &self.recipe.model, &self.opened.device)
            .with_context(|| format!("mask {}", path.display()))?;
        if mask.model() != self.model_name(seed) {
            bail!(
                "{} was made from another model; delete it and run `lm prune` again",
                path.display()
            );
        }
        Ok(Some(mask))
    }

    fn eval_ngrams(&self, seed: u64) -> Result<()> {
        if !self.is_finished(&records::ngram_path(self, seed), "the n-gram score")? {
            records::ngrams(self, seed)?;
        }
        Ok(())
    }

    fn eval_dense(&self, seed: u64) -> Result<()> {
        let folder = self.folder.dense(self.recipe, seed);
        if self.is_finished(&records::path(self, &folder), "the dense score")? {
            return Ok(());
        }
        let score = self.score(&folder, None)?;
        records::network(self, &folder, None, score)
    }

    fn eval_row(&self, seed: u64, row: &Row) -> Result<()> {
        let folder = self.folder.row(self.recipe, seed, row);
        if self.is_finished(
            &records::path(self, &folder),
            &format!("the score of {}", row.name()),
        )? {
            return Ok(());
        }
        let mask = self.load_mask(seed, row)?;
        let score = self.score(&folder, mask.as_ref())?;
        records::network(self, &folder, Some((row, mask.as_ref())), score)
    }

    fn score(&self, folder: &ModelFolder, mask: Option<&GlobalMask>) -> Result<Perplexity> {
        let model = self.trained_model(folder)?;
        let device = &self.opened.device;
        let masks = mask
            .map(|m| network::mask_tensors(m, &self.recipe.model, device))
            .transpose()?;
        let r = &self.recipe;
        let test = self.data.tokens(Split::Test);
        let stream = LmStream::for_eval(test, r.eval.batch_size, r.model.tgt_len)?;
        let mut progress = self.progress("test", &stream);
        let masks = masks.as_deref();
        let score = pass::perplexity(&model, &stream, masks, device, &mut |i| {
            progress.at(i as u64, "")
        })?;
        progress.finish(&format!(
            "{} perplexity {:.3}",
            folder.identity.run,
            score.ppl()
        ));
        Ok(score)
    }
}

fn make_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display())),
        None => Ok(()),
    }
}

/// Whether two masks of one model hide the same cells.
fn same_cells(a: &GlobalMask, b: &GlobalMask) -> bool {
    a.layers().all(|(kind, layer)| {
        let cells = |mask: &GlobalMask| {
            let grid = mask.grid(kind, layer).ok()?;
            mask.cells(kind, layer, grid.n_rows, grid.n_cols).ok()
        };
        cells(a).is_some() && cells(a) == cells(b)
    })
}

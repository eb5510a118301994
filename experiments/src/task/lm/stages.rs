//! The stages. Each reads files of the run folder and writes files of the run folder; what is
//! finished is not made again.

use anyhow::Result;
use burn::module::Module;
use sparta_datasets::Split;
use sparta_datasets::batch::LmStream;
use sparta_model::transformer_xl::TransformerXl;
use sparta_ops::pruning::{AttentionPattern, AttentionType, GlobalMask, PatternHeader};
use sparta_results::Perplexity;

use super::data::{self, LmData};
use super::lesson::LmLesson;
use super::{network, pass, records};
use crate::protocol::masks::{MaskedRow, semantics};
use crate::protocol::run::{TrainingSummary, now};
use crate::protocol::{ArmFolder, Fetch, ModelFolder, Row, Run, Stage};
use crate::recipe::{LmRecipe, Recipe, RetrainStart};
use crate::train::watch::Progress;
use crate::train::{Keep, Plan, Schedule, load_model};

/// The work on a language-model table.
pub(super) type LmWork<'a> = Run<'a, LmRecipe>;

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
    pub(super) work: LmWork<'a>,
    pub(super) data: LmData,
}

impl<'a> Session<'a> {
    pub(super) fn new(work: LmWork<'a>) -> Result<Self> {
        let from = work.request.data.as_deref();
        let data = data::prepare(work.recipe, &work.folder, from, Fetch::Never)?;
        work.note(&describe(&data));
        Ok(Self { work, data })
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let prune = &self.work.recipe.prune;
        Row::all(&prune.masks)
    }

    pub(super) fn run(&self, stage: Stage) -> Result<()> {
        for &seed in self.work.recipe.seeds() {
            let branch = self.work.branch(seed, "");
            match stage {
                Stage::Prepare | Stage::Report => {}
                Stage::Train => self.train_dense(&branch)?,
                Stage::Observe => self.observe(&branch)?,
                Stage::Prune => {
                    self.masks(&branch)?;
                    for row in self.rows() {
                        self.train_row(&branch, &row)?;
                    }
                }
                Stage::Eval => self.eval(&branch)?,
                Stage::Reproduce => self.reproduce(&branch)?,
            }
        }
        match stage {
            Stage::Eval | Stage::Reproduce => records::report(self.work.recipe, &self.work.folder),
            Stage::Prepare | Stage::Report | Stage::Train | Stage::Observe | Stage::Prune => Ok(()),
        }
    }

    fn reproduce(&self, branch: &ArmFolder) -> Result<()> {
        self.train_dense(branch)?;
        self.eval_ngrams(branch)?;
        self.eval_dense(branch)?;
        self.observe(branch)?;
        self.masks(branch)?;
        for row in self.rows() {
            self.train_row(branch, &row)?;
            self.eval_row(branch, &row)?;
        }
        Ok(())
    }

    fn eval(&self, branch: &ArmFolder) -> Result<()> {
        self.eval_ngrams(branch)?;
        self.eval_dense(branch)?;
        for row in self.rows() {
            self.eval_row(branch, &row)?;
        }
        Ok(())
    }

    fn new_model(&self, seed: u64) -> Result<TransformerXl> {
        let model = &self.work.recipe.model;
        network::init(
            model,
            self.data.vocab_size,
            self.work.request.attention,
            seed,
            &self.work.training,
        )
    }

    fn train_dense(&self, branch: &ArmFolder) -> Result<()> {
        let folder = branch.dense();
        if self
            .work
            .is_finished(&folder.trained(), "the dense model")?
        {
            return Ok(());
        }
        let r = &self.work.recipe.train;
        let schedule = r.optimizer.schedule(r.steps);
        let model = self.new_model(branch.seed())?;
        self.train(branch, &folder, model, None, schedule)
    }

    fn train_row(&self, branch: &ArmFolder, row: &Row) -> Result<()> {
        let folder = branch.row(&row.name());
        if self.work.is_finished(&folder.trained(), &row.name())? {
            return Ok(());
        }
        let dense = branch.dense();
        TrainingSummary::load(&dense)?;
        let mask = self.load_mask(branch, row)?;
        let model = self.new_model(branch.seed())?;
        let r = &self.work.recipe.retrain;
        let model = match r.start {
            RetrainStart::Dense => load_model(&dense.model(), model, &dense.identity)?,
            RetrainStart::Scratch | RetrainStart::Pretrained => model,
        };
        self.train(branch, &folder, model, mask.as_ref(), r.schedule())
    }

    fn train(
        &self,
        branch: &ArmFolder,
        folder: &ModelFolder,
        model: TransformerXl,
        mask: Option<&GlobalMask>,
        schedule: Schedule,
    ) -> Result<()> {
        let Run {
            recipe,
            request,
            training,
            ..
        } = &self.work;
        let r = &recipe.train;
        let mut lesson = LmLesson::new(recipe, &self.data, branch.seed(), mask, training)?;
        let plan = Plan {
            identity: folder.identity.clone(),
            schedule: schedule.for_width(recipe.model.d_model),
            adam: r.optimizer.settings(0.0),
            keep: Keep::Last,
            log_every: r.intervals.log_every,
            valid_every: r.intervals.valid_every,
            checkpoint_every: r.intervals.checkpoint_every,
            resume: request.resume,
            quiet: request.quiet,
        };
        let started = now();
        self.work
            .train(folder, model, &mut lesson, &plan, None)
            .inspect_err(|error| records::failed(self, branch, folder, error, started))
    }

    /// The model of a folder in evaluation mode, on the plain device.
    fn trained_model(&self, folder: &ModelFolder) -> Result<TransformerXl> {
        TrainingSummary::load(folder)?;
        let empty = self.new_model(folder.identity.seed)?;
        Ok(load_model(&folder.model(), empty, &folder.identity)?.valid())
    }

    fn observe(&self, branch: &ArmFolder) -> Result<()> {
        let path = branch.pattern();
        if self.work.is_finished(&path, "the attention pattern")? {
            return Ok(());
        }
        let recipe = self.work.recipe;
        let model = self.trained_model(&branch.dense())?;
        let r = &recipe.observe;
        let all = self.data.tokens(Split::Train);
        let n = if r.train_tokens == 0 {
            all.len()
        } else {
            r.train_tokens.min(all.len())
        };
        let stream = LmStream::new(&all[..n], r.batch_size, recipe.model.tgt_len)?;
        let header = PatternHeader::new(
            format!("{}:train:{n}", recipe.data.corpus.name()),
            branch.model_name(),
        )
        .with_layers(
            AttentionType::DecoderSelf,
            recipe.model.n_layers,
            network::grid(&recipe.model),
        )
        .with_padding(semantics(recipe.prune.threshold.semantics).padding());
        let mut pattern = AttentionPattern::new(header);
        let mut progress = self.progress("observe", &stream);
        let device = &self.work.opened.device;
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
        Progress::start(label, 0, n, per_batch, self.work.request.quiet)
    }

    /// Thresholds the pattern: the AP mask of every p, and its random masks.
    fn masks(&self, branch: &ArmFolder) -> Result<()> {
        let masked = |row: Row| MaskedRow {
            name: row.name(),
            row,
            types: vec![AttentionType::DecoderSelf],
        };
        let rows: Vec<MaskedRow> = self
            .rows()
            .into_iter()
            .filter(|r| r.p() > 0)
            .map(masked)
            .collect();
        let prune = &self.work.recipe.prune;
        self.work.make_masks(branch, &rows, prune.threshold)
    }

    pub(super) fn load_mask(&self, branch: &ArmFolder, row: &Row) -> Result<Option<GlobalMask>> {
        let fits = |mask: &GlobalMask| {
            let device = &self.work.opened.device;
            network::layer_masks(mask, &self.work.recipe.model, device).map(|_| ())
        };
        self.work.load_mask(branch, row, &row.name(), fits)
    }

    fn eval_ngrams(&self, branch: &ArmFolder) -> Result<()> {
        let seed = branch.seed();
        let path = records::ngram_path(&self.work, seed);
        if !self.work.is_finished(&path, "the n-gram score")? {
            records::ngrams(self, seed)?;
        }
        Ok(())
    }

    fn eval_dense(&self, branch: &ArmFolder) -> Result<()> {
        let folder = branch.dense();
        let path = records::path(&self.work, &folder);
        if self.work.is_finished(&path, "the dense score")? {
            return Ok(());
        }
        let score = self.score(&folder, None)?;
        records::network(self, branch, &folder, None, score)
    }

    fn eval_row(&self, branch: &ArmFolder, row: &Row) -> Result<()> {
        let folder = branch.row(&row.name());
        let path = records::path(&self.work, &folder);
        let what = format!("the score of {}", row.name());
        if self.work.is_finished(&path, &what)? {
            return Ok(());
        }
        let mask = self.load_mask(branch, row)?;
        let score = self.score(&folder, mask.as_ref())?;
        records::network(self, branch, &folder, Some((row, mask.as_ref())), score)
    }

    fn score(&self, folder: &ModelFolder, mask: Option<&GlobalMask>) -> Result<Perplexity> {
        let model = self.trained_model(folder)?;
        let device = &self.work.opened.device;
        let r = self.work.recipe;
        let masks = mask
            .map(|m| network::layer_masks(m, &r.model, device))
            .transpose()?;
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

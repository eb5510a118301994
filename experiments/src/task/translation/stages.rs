//! The stages. Each reads files of the run folder and writes files of the run folder; what is
//! finished is not made again.

use anyhow::{Context, Result};
use burn::module::Module;
use sparta_datasets::Split;
use sparta_datasets::batch::{BucketOptions, TokenBucket};
use sparta_model::seq2seq::Seq2Seq;
use sparta_ops::pruning::{AttentionPattern, AttentionType, GlobalMask, PatternHeader};

use super::batch::side;
use super::data::{self, PairData};
use super::lesson::TranslationLesson;
use super::rows::PairRow;
use super::search::Search;
use super::{network, pass, records, samples};
use crate::protocol::masks::semantics;
use crate::protocol::run::{TrainingSummary, now};
use crate::protocol::{ArmFolder, Fetch, ModelFolder, Run, Stage};
use crate::recipe::{NormalizerName, Recipe, RetrainStart, TranslationRecipe};
use crate::train::watch::Progress;
use crate::train::{Plan, Schedule, load_model};

/// The work on a translation table.
pub(super) type PairWork<'a> = Run<'a, TranslationRecipe>;

/// One line about prepared data.
pub(super) fn describe(data: &PairData) -> String {
    let longest = data.longest_of(&Split::ALL);
    format!(
        "data: {}, dictionary {} / {}; train {}, valid {}, test {} pairs; longest {} / {} tokens",
        data.corpus.name,
        data.vocabulary.source.len(),
        data.vocabulary.target.len(),
        data.store(Split::Train).len(),
        data.store(Split::Valid).len(),
        data.store(Split::Test).len(),
        longest.source,
        longest.target
    )
}

/// A recipe at work in a run folder, on a device.
pub(super) struct Session<'a> {
    pub(super) work: PairWork<'a>,
    pub(super) data: PairData,
}

/// One dense model of one seed, and its normaliser.
pub(super) struct Arm {
    pub(super) branch: ArmFolder,
    pub(super) normalizer: NormalizerName,
}

impl<'a> Session<'a> {
    pub(super) fn new(work: PairWork<'a>) -> Result<Self> {
        let from = work.request.data.as_deref();
        let data = data::prepare(work.recipe, &work.folder, from, Fetch::Never)?;
        work.note(&describe(&data));
        Ok(Self { work, data })
    }

    fn arm(&self, seed: u64, normalizer: NormalizerName) -> Arm {
        Arm {
            branch: self.work.branch(seed, normalizer.name()),
            normalizer,
        }
    }

    fn rows(&self, arm: &Arm) -> Vec<PairRow> {
        PairRow::all(self.work.recipe, arm.normalizer)
    }

    pub(super) fn run(&self, stage: Stage) -> Result<()> {
        let recipe = self.work.recipe;
        for &seed in recipe.seeds() {
            if matches!(stage, Stage::Eval | Stage::Reproduce) {
                self.eval_baselines(seed)?;
            }
            for &normalizer in &recipe.model.normalizers {
                self.run_arm(&self.arm(seed, normalizer), stage)?;
            }
        }
        match stage {
            Stage::Eval | Stage::Reproduce => records::report(recipe, &self.work.folder),
            Stage::Prepare | Stage::Report | Stage::Train | Stage::Observe | Stage::Prune => Ok(()),
        }
    }

    fn run_arm(&self, arm: &Arm, stage: Stage) -> Result<()> {
        let rows = self.rows(arm);
        let is = |stages: &[Stage]| stages.contains(&stage);
        if is(&[Stage::Train, Stage::Reproduce]) {
            self.train_dense(arm)?;
        }
        if is(&[Stage::Eval, Stage::Reproduce]) {
            self.eval_dense(arm)?;
        }
        if rows.is_empty() {
            return Ok(());
        }
        if is(&[Stage::Observe, Stage::Reproduce]) {
            self.observe(arm)?;
        }
        if is(&[Stage::Prune, Stage::Reproduce]) {
            self.masks(arm, &rows)?;
        }
        for row in &rows {
            if is(&[Stage::Prune, Stage::Reproduce]) {
                self.train_row(arm, row)?;
            }
            if is(&[Stage::Eval, Stage::Reproduce]) {
                self.eval_row(arm, row)?;
            }
        }
        Ok(())
    }

    fn new_model(&self, arm: &Arm) -> Result<Seq2Seq> {
        let (recipe, device) = (self.work.recipe, &self.work.training);
        let vocabulary = &self.data.vocabulary;
        network::init(
            &recipe.model,
            vocabulary,
            (arm.normalizer, self.work.request.attention),
            arm.branch.seed(),
            device,
        )
    }

    fn train_dense(&self, arm: &Arm) -> Result<()> {
        let folder = arm.branch.dense();
        let what = format!("the dense {} model", arm.normalizer.name());
        if self.work.is_finished(&folder.trained(), &what)? {
            return Ok(());
        }
        let r = &self.work.recipe.train;
        let schedule = r.optimizer.schedule(r.steps);
        self.train(arm, &folder, self.new_model(arm)?, None, schedule)
    }

    fn train_row(&self, arm: &Arm, row: &PairRow) -> Result<()> {
        let folder = arm.branch.row(&row.name());
        if self.work.is_finished(&folder.trained(), &row.name())? {
            return Ok(());
        }
        let dense = arm.branch.dense();
        TrainingSummary::load(&dense)?;
        let mask = self.load_mask(arm, row)?;
        let model = self.new_model(arm)?;
        let r = &self.work.recipe.retrain;
        let model = match r.start {
            RetrainStart::Dense => load_model(&dense.model(), model, &dense.identity)?,
            RetrainStart::Scratch | RetrainStart::Pretrained => model,
        };
        let row = Some((row, mask.as_ref()));
        self.train(arm, &folder, model, row, r.schedule())
    }

    fn train(
        &self,
        arm: &Arm,
        folder: &ModelFolder,
        model: Seq2Seq,
        row: Option<(&PairRow, Option<&GlobalMask>)>,
        schedule: Schedule,
    ) -> Result<()> {
        let work = &self.work;
        let (recipe, request) = (work.recipe, work.request);
        let r = &recipe.train;
        let mask = row.and_then(|(_, mask)| mask);
        let seed = arm.branch.seed();
        let mut lesson = TranslationLesson::new(recipe, &self.data, seed, mask, &work.training)?;
        let plan = Plan {
            identity: folder.identity.clone(),
            schedule: schedule.for_width(recipe.model.d_model),
            adam: r.optimizer.settings(r.weight_decay),
            keep: r.keep(),
            log_every: r.intervals.log_every,
            valid_every: r.intervals.valid_every,
            checkpoint_every: r.intervals.checkpoint_every,
            resume: request.resume,
            quiet: request.quiet,
        };
        let started = now();
        let vocabulary = Some(self.data.vocabulary_hash());
        work.train(folder, model, &mut lesson, &plan, vocabulary)
            .inspect_err(|error| records::failed(self, arm, row, error, started))
    }

    /// The model of a folder in evaluation mode, on the plain device.
    fn trained_model(&self, arm: &Arm, folder: &ModelFolder) -> Result<Seq2Seq> {
        TrainingSummary::load(folder)?.check_vocabulary(folder, &self.data.vocabulary_hash())?;
        let empty = self.new_model(arm)?;
        Ok(load_model(&folder.model(), empty, &folder.identity)?.valid())
    }

    fn observe(&self, arm: &Arm) -> Result<()> {
        let path = arm.branch.pattern();
        let what = format!("the attention pattern of {}", arm.normalizer.name());
        if self.work.is_finished(&path, &what)? {
            return Ok(());
        }
        let recipe = self.work.recipe;
        let model = self.trained_model(arm, &arm.branch.dense())?;
        let store = self.data.store(Split::Train);
        let mut lengths = store.lengths();
        if recipe.observe.train_pairs > 0 {
            lengths.truncate(recipe.observe.train_pairs);
        }
        let options = BucketOptions::tokens(recipe.observe.max_tokens);
        let bucket = TokenBucket::in_order(&lengths, &options)
            .context("`observe.max_tokens` of the recipe")?;
        let n_tokens: usize = lengths.iter().map(|(_, target)| target).sum();
        let mut pattern = AttentionPattern::new(self.pattern_header(arm, lengths.len()));
        let per_batch = n_tokens as f64 / bucket.n_batches().max(1) as f64;
        let n = bucket.n_batches() as u64;
        let mut progress = Progress::start("observe", 0, n, per_batch, self.work.request.quiet);
        pass::observe(
            &model,
            store,
            &bucket,
            side(recipe.data.pad_source),
            &mut pattern,
            &self.work.opened.device,
            &mut |i| progress.at(i as u64, ""),
        )?;
        let rate = progress.rate(n);
        progress.finish(&format!(
            "mean attention over {} pairs, {rate:.0} target tokens/s",
            lengths.len()
        ));
        Ok(pattern.save(&path)?)
    }

    fn pattern_header(&self, arm: &Arm, n_pairs: usize) -> PatternHeader {
        let recipe = self.work.recipe;
        let corpus = format!("{}:train:{n_pairs}", self.data.corpus.name);
        let header = PatternHeader::new(corpus, arm.branch.model_name());
        let longest = self.data.longest_of(&[Split::Train]);
        AttentionType::ALL
            .into_iter()
            .fold(header, |header, kind| {
                header.with_layers(
                    kind,
                    network::n_layers(&recipe.model, kind),
                    network::grid(&recipe.model, kind, longest),
                )
            })
            .with_padding(semantics(recipe.prune.threshold.semantics).padding())
    }

    /// Thresholds the pattern: the masks of every row.
    fn masks(&self, arm: &Arm, rows: &[PairRow]) -> Result<()> {
        let masked: Vec<_> = rows.iter().filter_map(PairRow::masked).collect();
        let prune = &self.work.recipe.prune;
        self.work.make_masks(&arm.branch, &masked, prune.threshold)
    }

    pub(super) fn load_mask(&self, arm: &Arm, row: &PairRow) -> Result<Option<GlobalMask>> {
        let longest = self.data.longest_of(&[Split::Train]);
        let fits = |mask: &GlobalMask| network::check_mask(mask, &self.work.recipe.model, longest);
        self.work
            .load_mask(&arm.branch, &row.row, &row.name(), fits)
    }

    fn eval_baselines(&self, seed: u64) -> Result<()> {
        let path = records::baseline_path(&self.work, seed);
        if !self.work.is_finished(&path, "the score of the baselines")? {
            records::baselines(self, seed)?;
        }
        Ok(())
    }

    fn eval_dense(&self, arm: &Arm) -> Result<()> {
        let folder = arm.branch.dense();
        let path = records::dense_path(&self.work, &folder);
        if self.work.is_finished(&path, "the dense score")? {
            return Ok(());
        }
        let score = self.score(arm, &folder, None)?;
        records::dense(self, arm, &folder, score)
    }

    fn eval_row(&self, arm: &Arm, row: &PairRow) -> Result<()> {
        let folder = arm.branch.row(&row.name());
        let path = records::last_path(self, arm, row);
        let what = format!("the score of {}", row.name());
        if self.work.is_finished(&path, &what)? {
            return Ok(());
        }
        let mask = self.load_mask(arm, row)?;
        let score = self.score(arm, &folder, mask.as_ref())?;
        records::row(self, arm, row, mask.as_ref(), score)
    }

    /// BLEU of the test set; the translations stay beside the model.
    fn score(&self, arm: &Arm, folder: &ModelFolder, mask: Option<&GlobalMask>) -> Result<f64> {
        let recipe = self.work.recipe;
        let device = &self.work.opened.device;
        let model = self.trained_model(arm, folder)?;
        let longest = self.data.longest(recipe);
        let masks = network::layer_masks(mask, longest, recipe.prune.rows, device)?;
        let store = self.data.store(Split::Test);
        let mut progress = Progress::start(
            "test",
            0,
            store.len() as u64,
            store.n_target_tokens() as f64 / store.len() as f64,
            self.work.request.quiet,
        );
        let found = Search::new(recipe, &masks, device).translate(&model, store, &mut |n| {
            progress.at(n as u64, "");
        })?;
        let lines = self.data.decode(&found.translations)?;
        let bleu = self.data.bleu(recipe, Split::Test, &lines)?;
        samples::save(folder, &lines, &bleu, &found)?;
        progress.finish(&format!("{} {bleu}", folder.identity.run));
        Ok(bleu.score)
    }
}

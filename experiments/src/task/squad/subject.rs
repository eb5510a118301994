//! SQuAD: windows of paragraphs, places of answers, exact match and F1.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor};
use sparta_datasets::Split;
use sparta_datasets::batch::{PaddingStrategy, SpanBatch};
use sparta_datasets::source::Origins;
use sparta_datasets::squad::{Article, QuestionPlace, SquadCorpus, Window, WindowOptions, windows};
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_model::bert::{Bert, BertConfig, BertInput, BertSpanFinder};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::AttentionType;
use sparta_results::kept::QUESTIONS;
use sparta_results::metric::TaskSignature;
use sparta_results::render::PivotLayout;
use sparta_results::{Metric, RunRecord, load_readable, paper};

use super::answers::{Asked, input};
use super::corpus::{self, spread};
use super::cost::{self, Cost};
use super::kernels::{self, Kernels};
use super::score;
use crate::device::OpenDevice;
use crate::protocol::{Fetch, Line, Run, RunFolder, Scoring, UnitScores, Variant};
use crate::recipe::SquadRecipe;
use crate::task::encoder::{Column, Head, Model, Sources, batch};
use crate::task::part_of;
use crate::train::HeadRate;

/// A task of answers in paragraphs.
pub struct SpanHead {
    corpus: SquadCorpus,
    /// The files that it was read from; none of a stand-in.
    origins: Origins,
    /// How much likelier than an answer none has to be, where some questions have none.
    threshold: Option<f64>,
    padding: PaddingStrategy,
    pad: u32,
    batch_size: usize,
    train: Vec<Window>,
    /// Windows of the validation set; none where the test set is watched.
    valid: Vec<Window>,
    test: Vec<Window>,
    n_epoch: usize,
    recipe: SquadRecipe,
    attention: Implementation,
    recipe_file: PathBuf,
    /// For measurements in another process: the recipe and the sizes of the network.
    config_dir: PathBuf,
    /// Test questions with an answer, and without one.
    n_questions: [usize; 2],
    description: String,
}

impl SpanHead {
    /// Cuts and encodes the articles.
    ///
    /// # Errors
    /// A set without windows that can be trained on; a threshold of no answer where every question has one.
    fn new(
        (corpus, origins): (SquadCorpus, Origins),
        run: &Run<'_, SquadRecipe>,
        tokenizer: &Tokenizer,
    ) -> Result<Self> {
        let recipe = run.recipe;
        let data = &recipe.data;
        let options = WindowOptions {
            max_len: data.max_len,
            stride: data.stride,
            max_question: data.max_question,
        };
        let train = windows(&corpus.train, tokenizer, &options)?;
        let trainable = train.into_iter().filter(|window| window.target.is_some());
        let trainable: Vec<Window> = trainable.collect();
        let n_trainable = trainable.len();
        let train = spread(trainable, data.train_windows);
        // As many questions are watched as are judged, at most.
        let of_questions = |articles: &[Article]| -> Result<_> {
            let all = windows(articles, tokenizer, &options)?;
            let mut places: Vec<QuestionPlace> = all.iter().map(|window| window.place).collect();
            places.dedup();
            let n_all = places.len();
            let places = spread(places, data.test_questions);
            let is_kept = |window: &Window| places.binary_search(&window.place).is_ok();
            let kept: Vec<Window> = all.into_iter().filter(is_kept).collect();
            Ok((kept, places, n_all))
        };
        let (test, places, n_all) = of_questions(&corpus.dev)?;
        let (valid, valid_places, n_valid) = of_questions(&corpus.valid)?;
        ensure!(
            !train.is_empty() && !test.is_empty(),
            "{} has no window to train on or to test",
            corpus.name
        );
        let threshold = Some(recipe.eval.null_threshold).filter(|_| corpus.has_impossible());
        ensure!(
            threshold.is_some() || recipe.eval.null_threshold == 0.0,
            "`eval.null_threshold = {}` is of questions without an answer (`\"is_impossible\": true`), and {} has none",
            recipe.eval.null_threshold,
            corpus.name
        );
        let is_impossible = |place: &&QuestionPlace| place.of(&corpus.dev).1.is_impossible;
        let n_impossible = places.iter().filter(is_impossible).count();
        let padding = batch::padding(data.padding, data.max_len);
        let of_those = match threshold {
            Some(_) => format!(" ({n_impossible} without an answer)"),
            None => String::new(),
        };
        let watched = match n_valid {
            0 => String::new(),
            n => format!("validation {} questions, ", part_of(valid_places.len(), n)),
        };
        let mut description = format!(
            "{}: train {} windows, {watched}test {} questions{of_those} in {} windows of {} tokens",
            corpus.name,
            part_of(train.len(), n_trainable),
            part_of(places.len(), n_all),
            test.len(),
            data.max_len
        );
        for count in corpus.counts.iter().filter(|count| count.differs()) {
            description += &format!("\nnot as published: {count}");
        }
        Ok(Self {
            origins,
            threshold,
            padding,
            pad: tokenizer.special().pad,
            batch_size: recipe.eval.batch_size,
            n_epoch: train.len(),
            train,
            valid,
            test,
            recipe: recipe.clone(),
            attention: run.request.attention,
            recipe_file: run.folder.recipe(),
            n_questions: [places.len() - n_impossible, n_impossible],
            corpus,
            config_dir: run.folder.data(),
            description,
        })
    }

    /// The windows of a split; the published test set is not public, and everything is judged on dev, as it is of own
    /// files without a test set.
    fn windows(&self, split: Split) -> &[Window] {
        match split {
            Split::Train => &self.train,
            Split::Valid if !self.valid.is_empty() => &self.valid,
            Split::Valid | Split::Test => &self.test,
        }
    }

    fn padded(&self, windows: &[Window], indices: &[u32]) -> Result<SpanBatch> {
        Ok(SpanBatch::new(windows, indices, self.padding, self.pad)?)
    }

    fn batch_loss(
        &self,
        model: &Model<'_, BertSpanFinder>,
        windows: &[Window],
        indices: &[u32],
    ) -> Result<Tensor<1>> {
        let padded = self.padded(windows, indices)?;
        let scores = model
            .network
            .forward(input(&padded, model.device).masks(model.masks.clone()));
        let (Some(starts), Some(ends)) = (&padded.starts, &padded.ends) else {
            return Err(anyhow!("a window's question has no answer with a place"));
        };
        let [starts, ends] = [starts, ends].map(|places| batch::classes(places, model.device));
        Ok(model.network.loss(scores, starts, ends))
    }
}

impl Head for SpanHead {
    type Recipe = SquadRecipe;
    type Network = BertSpanFinder;

    fn layout(recipe: &SquadRecipe) -> Result<PivotLayout> {
        Ok(match recipe.is_published()? {
            true => PivotLayout::Squad,
            false => PivotLayout::OwnSquad,
        })
    }

    fn datasets(_: &SquadRecipe) -> Result<Vec<String>> {
        Ok(vec!["squad".to_owned()])
    }

    fn rows(_: &SquadRecipe, folder: &RunFolder, _: usize) -> Result<Vec<[String; 2]>> {
        // A record that cannot be read is named by who reads the scores.
        let (records, _) = load_readable(folder.records())?;
        let is_there =
            |kernel: Implementation| records.iter().any(|r| r.row == kernels::rows(kernel)[0]);
        // Every kernel that ran has all lines: those of one say what is missing.
        let kernel = match is_there(Implementation::Fused) && !is_there(Implementation::Reference) {
            true => Implementation::Fused,
            false => Implementation::Reference,
        };
        Ok(vec![kernels::rows(kernel).map(str::to_owned)])
    }

    fn open(
        run: &Run<'_, SquadRecipe>,
        sources: &Sources,
        tokenizer: &Tokenizer,
        fetch: Fetch,
    ) -> Result<Vec<Self>> {
        let corpus = corpus::load(run.recipe, sources.data.as_deref(), fetch)?;
        Ok(vec![Self::new(corpus, run, tokenizer)?])
    }

    fn stand_in(
        run: &Run<'_, SquadRecipe>,
        sources: &Sources,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Self>> {
        let (recipe, from) = (run.recipe, sources.data.as_deref());
        let head = match corpus::load(recipe, from, Fetch::Never) {
            Ok(corpus) => Self::new(corpus, run, tokenizer)?,
            Err(error) if from.is_some() => return Err(error),
            Err(error) => {
                let set = recipe.set()?.published().ok_or(error)?;
                let (corpus, n_epoch) = corpus::stand_in(set, recipe);
                Self {
                    description: batch::stand_in(recipe.data.corpus.as_str(), n_epoch),
                    n_epoch,
                    ..Self::new((corpus, Origins(Vec::new())), run, tokenizer)?
                }
            }
        };
        Ok(vec![head])
    }

    fn origins(&self) -> &Origins {
        &self.origins
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn n_epoch(&self) -> usize {
        self.n_epoch
    }

    fn corpus(&self) -> &str {
        &self.corpus.name
    }

    fn n_examples(&self, split: Split) -> usize {
        self.windows(split).len()
    }

    fn part(&self, split: Split) -> &str {
        match split {
            Split::Train => Split::Train.name(),
            Split::Valid | Split::Test => "dev",
        }
    }

    fn mean_len(&self, split: Split) -> f64 {
        let windows = self.windows(split);
        let tokens: usize = windows.iter().map(|w| w.encoding.len()).sum();
        tokens as f64 / windows.len() as f64
    }

    fn mean_width(&self, batch_size: usize) -> f64 {
        let examples = self.windows(Split::Train);
        let order = batch::training_order(examples.len(), batch_size);
        order.map_or(0.0, |order| {
            batch::mean_width(examples, self.padding, &order)
        })
    }

    fn init(&self, config: &BertConfig, device: &Device) -> BertSpanFinder {
        config.init_span_finder(device)
    }

    fn head_names(&self) -> &[&str] {
        &["qa_outputs."]
    }

    fn head_rate(&self) -> Option<HeadRate> {
        None
    }

    fn bert<'a>(&self, network: &'a BertSpanFinder) -> &'a Bert {
        &network.bert
    }

    fn loss(&self, model: &Model<'_, BertSpanFinder>, indices: &[u32]) -> Result<Tensor<1>> {
        self.batch_loss(model, &self.train, indices)
    }

    fn input(
        &self,
        split: Split,
        indices: &[u32],
        device: &Device,
    ) -> Result<(BertInput, Vec<Vec<u32>>)> {
        let windows = self.windows(split);
        let padded = self.padded(windows, indices)?;
        let ids = |&i: &u32| windows[i as usize].encoding.ids.clone();
        Ok((input(&padded, device), indices.iter().map(ids).collect()))
    }

    fn valid_loss(&self, model: &Model<'_, BertSpanFinder>) -> Result<f64> {
        let placed = |(i, window): (usize, &Window)| window.target.map(|_| i as u32);
        let valid = self.windows(Split::Valid);
        let placed: Vec<u32> = valid.iter().enumerate().filter_map(placed).collect();
        batch::mean_loss(placed.len(), self.batch_size, |indices| {
            let indices: Vec<u32> = indices.iter().map(|&i| placed[i as usize]).collect();
            self.batch_loss(model, valid, &indices)
        })
    }

    /// Quality by the implementation that computed it, and the cost of each.
    fn columns(&self, on: &OpenDevice) -> Result<Vec<Column>> {
        let (recipe, data, device) = (&self.recipe, &self.recipe.data, on.choice);
        let kernels = Kernels::new(recipe, on, self.attention)?;
        let [n_answered, n_impossible] = self.n_questions;
        let is_published = recipe.is_published()?;
        let quality = |metric| -> Result<Column> {
            let n = match metric {
                Metric::HasAnswerExact | Metric::HasAnswerF1 => n_answered,
                Metric::NoAnswerExact => n_impossible,
                _ => n_answered + n_impossible,
            };
            let mut signature =
                TaskSignature::new(metric, &self.corpus.name, Split::Test.name(), n as u64)?
                    .with("len", data.max_len)?
                    .with("stride", data.stride)?
                    .with("train-windows", self.train.len())?;
            if let Some(threshold) = self.threshold {
                signature = signature
                    .with("squad", "v2")?
                    .with("null-threshold", threshold)?;
            }
            let [row, masked_row] = kernels::rows(kernels.quality).map(str::to_owned);
            let paper = match metric {
                Metric::ExactMatch if is_published => Some("exact"),
                Metric::AnswerF1 if is_published => Some("f1"),
                _ => None,
            };
            Ok(Column {
                row,
                masked_row,
                metric,
                signature: signature.to_string(),
                attention: None,
                paper: paper.map(|row| (paper::SQUAD.to_owned(), row.to_owned())),
            })
        };
        let cost = |kernel, metric| -> Result<Column> {
            let n = recipe.cost.batches * recipe.train.batch_size;
            let signature = TaskSignature::new(metric, "training-step", "synthetic", n as u64)?
                .with("len", data.max_len)?
                .with("batch", recipe.train.batch_size)?
                .with("device", device.to_string().replace(':', "-"))?;
            let [row, masked_row] = kernels::rows(kernel).map(str::to_owned);
            Ok(Column {
                row,
                masked_row,
                metric,
                signature: signature.to_string(),
                attention: Some(kernel),
                paper: None,
            })
        };
        let metrics = score::metrics(n_answered, n_impossible, self.threshold.is_some());
        let mut columns = metrics
            .into_iter()
            .map(quality)
            .collect::<Result<Vec<_>>>()?;
        if recipe.cost.batches > 0 {
            for &kernel in &kernels.costs {
                columns.push(cost(kernel, Metric::Seconds)?);
                if cost::measures_memory(device) {
                    columns.push(cost(kernel, Metric::Gigabytes)?);
                }
            }
        }
        Ok(columns)
    }

    fn score(
        &self,
        of: &Variant,
        model: &Model<'_, BertSpanFinder>,
        scoring: &Scoring<'_>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>> {
        let asked = Asked {
            articles: &self.corpus.dev,
            windows: &self.test,
            padding: self.padding,
            pad: self.pad,
            recipe: &self.recipe.eval,
        };
        let answers = asked.answer(model, at)?;
        let (articles, folder) = (&self.corpus.dev, &scoring.folder.path);
        let quality = score::score(&answers, articles, self.threshold, folder)?;
        let mut costs: Vec<(Implementation, Cost)> = Vec::new();
        for kernel in scoring.lines.iter().filter_map(|line| line.attention) {
            if costs.iter().all(|(of, _)| *of != kernel) {
                let mask = scoring.mask_path.as_deref();
                let on = (
                    scoring.on.choice,
                    kernel,
                    of.mechanism(AttentionType::EncoderSelf),
                );
                costs.push((
                    kernel,
                    cost::run((&self.recipe_file, &self.config_dir), on, mask)?,
                ));
            }
        }
        let value = |line: &Line| {
            let cost = costs.iter().find(|(of, _)| Some(*of) == line.attention);
            match line.metric {
                Metric::Seconds => cost.map(|(_, cost)| cost.seconds),
                Metric::Gigabytes => cost.and_then(|(_, cost)| cost.gigabytes),
                metric => quality.value(metric),
            }
        };
        scoring
            .lines
            .iter()
            .map(|line| value(line).with_context(|| format!("{} has no value", line.metric)))
            .collect()
    }

    const KEPT: &'static str = QUESTIONS;

    fn unit_scores(
        _: &SquadRecipe,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>> {
        score::unit_scores(model, records)
    }

    fn n_scored(&self) -> usize {
        self.test.len()
    }
}

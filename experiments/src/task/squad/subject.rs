//! SQuAD: windows of paragraphs, places of answers, exact match and F1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor};
use sparta_datasets::Split;
use sparta_datasets::batch::{ExampleOrder, PaddingStrategy, SpanBatch};
use sparta_datasets::source::sha256;
use sparta_datasets::squad::{
    QuestionPlace, Scored, SpanOptions, SquadCorpus, Window, WindowOptions, best_spans, windows,
};
use sparta_datasets::tokenize::pretrained::Tokenizer;
use sparta_model::bert::{Bert, BertConfig, BertInput, BertSpanFinder, SpanScores};
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::AttentionType;
use sparta_results::kept::{QUESTIONS, Question};
use sparta_results::metric::squad::{answer_scores, squad};
use sparta_results::metric::{Outcomes, TaskSignature};
use sparta_results::render::PivotLayout;
use sparta_results::{Metric, RunRecord, load_all, paper};

use super::corpus::{self, spread};
use super::cost::{self, Cost};
use super::kernels::{self, Kernels};
use crate::device::OpenDevice;
use crate::io::write_text;
use crate::protocol::{Fetch, Line, Run, RunFolder, Scoring, UnitScores, Variant};
use crate::recipe::SquadRecipe;
use crate::task::encoder::{Column, Head, Model, Sources, batch};
use crate::train::HeadRate;
use crate::train::watch::stop_if_interrupted;

/// Answers to the test questions, by id, as the official script reads them; beside a model.
const PREDICTIONS: &str = "predictions.json";

/// A task of answers in paragraphs.
pub struct SpanHead {
    corpus: SquadCorpus,
    padding: PaddingStrategy,
    pad: u32,
    batch_size: usize,
    answers: SpanOptions,
    train: Vec<Window>,
    test: Vec<Window>,
    n_epoch: usize,
    recipe: SquadRecipe,
    attention: Implementation,
    recipe_file: PathBuf,
    /// For measurements in another process: the recipe and the sizes of the network.
    config_dir: PathBuf,
    n_questions: usize,
    description: String,
}

/// A batch as the encoder reads it.
fn input(padded: &SpanBatch, device: &Device) -> BertInput {
    let SpanBatch {
        ids,
        token_types,
        padding,
        batch_size,
        len,
        ..
    } = padded;
    batch::input(ids, token_types, padding, [*batch_size, *len], device)
}

impl SpanHead {
    /// Cuts and encodes the articles.
    ///
    /// # Errors
    /// A set without windows that can be trained on.
    fn new(corpus: SquadCorpus, run: &Run<'_, SquadRecipe>, tokenizer: &Tokenizer) -> Result<Self> {
        let recipe = run.recipe;
        let data = &recipe.data;
        let options = WindowOptions {
            max_len: data.max_len,
            stride: data.stride,
            max_question: data.max_question,
        };
        let train = windows(&corpus.train, tokenizer, &options)?;
        let trainable = train.into_iter().filter(|window| window.target.is_some());
        let train = spread(trainable.collect(), data.train_windows);
        let test = windows(&corpus.dev, tokenizer, &options)?;
        let mut places: Vec<QuestionPlace> = test.iter().map(|window| window.place).collect();
        places.dedup();
        let n_all = places.len();
        let places = spread(places, data.test_questions);
        let is_kept = |window: &Window| places.binary_search(&window.place).is_ok();
        let test: Vec<Window> = test.into_iter().filter(is_kept).collect();
        ensure!(
            !train.is_empty() && !test.is_empty(),
            "{} has no window to train on or to test",
            corpus.name
        );
        let padding = batch::padding(data.padding, data.max_len);
        let mut description = format!(
            "{}: train {} windows, test {} of {n_all} questions in {} windows of {} tokens",
            corpus.name,
            train.len(),
            places.len(),
            test.len(),
            data.max_len
        );
        for count in corpus.counts.iter().filter(|count| count.differs()) {
            description += &format!("\nnot as published: {count}");
        }
        Ok(Self {
            corpus,
            padding,
            pad: tokenizer.special().pad,
            batch_size: recipe.eval.batch_size,
            answers: SpanOptions {
                n_best: recipe.eval.n_best,
                max_answer_len: recipe.eval.max_answer_len,
            },
            n_epoch: train.len(),
            train,
            test,
            recipe: recipe.clone(),
            attention: run.request.attention,
            recipe_file: run.folder.recipe(),
            n_questions: places.len(),
            config_dir: run.folder.data(),
            description,
        })
    }

    /// The windows of a split; the published test set is not public, and everything is judged on dev.
    fn windows(&self, split: Split) -> &[Window] {
        match split {
            Split::Train => &self.train,
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

    /// The answer to each question of the test windows.
    fn answer(
        &self,
        model: &Model<'_, BertSpanFinder>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<(QuestionPlace, Option<String>)>> {
        let mut answers = Vec::new();
        let mut waiting: Vec<(usize, Vec<f32>, Vec<f32>)> = Vec::new();
        let mut done = 0;
        for indices in ExampleOrder::in_order(self.test.len(), self.batch_size)?.iter() {
            let padded = self.padded(&self.test, indices)?;
            let SpanScores { start, end } = model
                .network
                .forward(input(&padded, model.device).masks(model.masks.clone()));
            let (start, end) = (batch::read(start)?, batch::read(end)?);
            let rows = start.chunks(padded.len).zip(end.chunks(padded.len));
            for (&index, (start, end)) in indices.iter().zip(rows) {
                let index = index as usize;
                let is_next = waiting
                    .first()
                    .is_some_and(|(first, _, _)| self.test[*first].place != self.test[index].place);
                if is_next {
                    answers.push(self.choose(&std::mem::take(&mut waiting)));
                }
                waiting.push((index, start.to_vec(), end.to_vec()));
            }
            done += indices.len() as u64;
            at(done);
            stop_if_interrupted("scoring")?;
        }
        if !waiting.is_empty() {
            answers.push(self.choose(&waiting));
        }
        Ok(answers)
    }

    /// The best answer of the windows of one question.
    fn choose(&self, scored: &[(usize, Vec<f32>, Vec<f32>)]) -> (QuestionPlace, Option<String>) {
        let place = self.test[scored[0].0].place;
        let (paragraph, _) = place.of(&self.corpus.dev);
        let scored: Vec<Scored<'_>> = scored
            .iter()
            .map(|(index, start, end)| Scored {
                window: &self.test[*index],
                start,
                end,
            })
            .collect();
        let spans = best_spans(&paragraph.context, &scored, &self.answers);
        (place, spans.into_iter().next().map(|span| span.text))
    }
}

impl Head for SpanHead {
    type Recipe = SquadRecipe;
    type Network = BertSpanFinder;
    const LAYOUT: PivotLayout = PivotLayout::Squad;

    fn datasets(_: &SquadRecipe) -> Result<Vec<String>> {
        Ok(vec!["squad".to_owned()])
    }

    fn rows(_: &SquadRecipe, folder: &RunFolder, _: usize) -> Result<Vec<[String; 2]>> {
        let records = load_all(folder.records())?;
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
            Err(_) => {
                let (corpus, n_epoch) = corpus::stand_in(recipe)?;
                Self {
                    description: batch::stand_in(recipe.data.corpus.as_str(), n_epoch),
                    n_epoch,
                    ..Self::new(corpus, run, tokenizer)?
                }
            }
        };
        Ok(vec![head])
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn n_epoch(&self) -> usize {
        self.n_epoch
    }

    fn corpus(&self) -> &str {
        self.corpus.name
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
        let placed: Vec<u32> = self.test.iter().enumerate().filter_map(placed).collect();
        batch::mean_loss(placed.len(), self.batch_size, |indices| {
            let indices: Vec<u32> = indices.iter().map(|&i| placed[i as usize]).collect();
            self.batch_loss(model, &self.test, &indices)
        })
    }

    /// Quality by the implementation that computed it, and the cost of each.
    fn columns(&self, on: &OpenDevice) -> Result<Vec<Column>> {
        let (recipe, data, device) = (&self.recipe, &self.recipe.data, on.choice);
        let kernels = Kernels::new(recipe, on, self.attention)?;
        let quality = |metric, paper: &str| -> Result<Column> {
            let n = self.n_questions as u64;
            let signature = TaskSignature::new(metric, self.corpus.name, Split::Test.name(), n)?
                .with("len", data.max_len)?
                .with("stride", data.stride)?
                .with("train-windows", self.train.len())?;
            let [row, masked_row] = kernels::rows(kernels.quality).map(str::to_owned);
            Ok(Column {
                row,
                masked_row,
                metric,
                signature: signature.to_string(),
                attention: None,
                paper: Some((paper::SQUAD.to_owned(), paper.to_owned())),
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
        let mut columns = vec![
            quality(Metric::ExactMatch, "exact")?,
            quality(Metric::AnswerF1, "f1")?,
        ];
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
        let answers = self.answer(model, at)?;
        let by_id: BTreeMap<&str, &str> = answers
            .iter()
            .map(|(place, text)| {
                let (_, question) = place.of(&self.corpus.dev);
                (question.id.as_str(), text.as_deref().unwrap_or_default())
            })
            .collect();
        let text = serde_json::to_string_pretty(&by_id).context("cannot write the answers")?;
        write_text(&scoring.folder.path.join(PREDICTIONS), &(text + "\n"))?;
        let questions: Vec<Question> = answers
            .iter()
            .map(|(place, text)| {
                let (_, question) = place.of(&self.corpus.dev);
                let expected: Vec<&str> =
                    question.answers.iter().map(|a| a.text.as_str()).collect();
                // A question without a prediction counts 0, as in the score.
                let (is_exact, f1) =
                    (text.as_deref()).map_or((false, 0.0), |text| answer_scores(text, &expected));
                Question {
                    id: question.id.clone(),
                    exact_match: u8::from(is_exact),
                    f1,
                }
            })
            .collect();
        Question::save_all(&scoring.folder.path.join(QUESTIONS), &questions)?;
        let scored = squad(answers.iter().map(|(place, text)| {
            let (_, question) = place.of(&self.corpus.dev);
            let expected = question.answers.iter().map(|answer| answer.text.as_str());
            (text.as_deref(), expected.collect::<Vec<_>>())
        }))?;
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
                Metric::ExactMatch => Some(scored.exact_match),
                Metric::AnswerF1 => Some(scored.f1),
                Metric::Seconds => cost.map(|(_, cost)| cost.seconds),
                _ => cost.and_then(|(_, cost)| cost.gigabytes),
            }
        };
        scoring
            .lines
            .iter()
            .map(|line| value(line).with_context(|| format!("{} has no value", line.metric)))
            .collect()
    }

    const KEPT: &'static str = QUESTIONS;

    /// Quality alone: time and memory are no sums over questions.
    fn unit_scores(
        _: &SquadRecipe,
        model: &Path,
        records: &[RunRecord],
    ) -> Result<Vec<UnitScores>> {
        let questions = Question::load_all(&model.join(QUESTIONS))?;
        let ids: Vec<&str> = questions.iter().map(|of| of.id.as_str()).collect();
        let test_set = sha256(ids.join("\n").as_bytes());
        let mut scores = Vec::new();
        for record in records {
            let outcomes = match record.metric {
                Metric::ExactMatch => {
                    let right = |of: &Question| (f64::from(of.exact_match), 1.0);
                    Outcomes::percentage(questions.iter().map(right))?
                }
                Metric::AnswerF1 => Outcomes::percentage(questions.iter().map(|of| (of.f1, 1.0)))?,
                _ => continue,
            };
            scores.push(UnitScores {
                metric: record.metric,
                signature: record.signature.clone(),
                units: "questions",
                outcomes,
                test_set: test_set.clone(),
            });
        }
        Ok(scores)
    }

    fn n_scored(&self) -> usize {
        self.test.len()
    }
}

//! SQuAD: windows of paragraphs, places of answers, exact match and F1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor};
use sparta_datasets::batch::{ExampleOrder, Padding, SpanBatch};
use sparta_datasets::squad::{
    Answer, Article, Paragraph, Question, QuestionPlace, Scored, SpanOptions, SquadCorpus, Window,
    WindowOptions, best_spans, windows,
};
use sparta_datasets::tokenize::wordpiece::WordPiece;
use sparta_datasets::{Split, source};
use sparta_model::bert::{Bert, BertConfig, BertInput, BertSpanFinder, SpanScores};
use sparta_ops::attention::Implementation;
use sparta_results::metric::TaskSignature;
use sparta_results::metric::squad::squad;
use sparta_results::{Metric, paper};

use super::cost::{self, Cost};
use super::kernels::{self, Kernels};
use crate::device::DeviceChoice;
use crate::io::write_text;
use crate::protocol::{Fetch, ModelFolder, RunFolder};
use crate::recipe::SquadRecipe;
use crate::task::encoder::{Baseline, Column, Fit, Subject, batch};
use crate::train::HeadRate;
use crate::train::watch::stop_if_interrupted;

/// Answers to the test questions, by id, as the official script reads them; beside a model.
const PREDICTIONS: &str = "predictions.json";

/// A task of answers in paragraphs.
pub(super) struct SpanSubject {
    corpus: SquadCorpus,
    padding: Padding,
    pad: u32,
    batch_size: usize,
    answers: SpanOptions,
    train: Vec<Window>,
    test: Vec<Window>,
    columns: Vec<Column>,
    device: DeviceChoice,
    recipe_file: PathBuf,
    config_dir: PathBuf,
    pub(super) description: String,
}

/// Reads the articles of a recipe, downloading them only if `fetch` allows it.
///
/// # Errors
/// Files that are missing, and how to get them.
pub(super) fn load(recipe: &SquadRecipe, from: Option<&Path>, fetch: Fetch) -> Result<SquadCorpus> {
    let cache = source::cache_dir()?;
    let set = recipe.set()?;
    let loaded = match fetch {
        Fetch::Allowed => set.prepare(from, &cache, &mut |_, _| ()),
        Fetch::Never => set.load(from, &cache),
    };
    loaded.map_err(|error| {
        anyhow!(
            "{error}\n(`prepare` is `cargo run --release --bin squad -- prepare --recipe RECIPE`)"
        )
    })
}

/// A paragraph and its question, often enough for a batch, for when the published ones are not at hand, and
/// about how many windows are to train on.
///
/// # Errors
/// A set that is not known.
pub(super) fn stand_in(recipe: &SquadRecipe) -> Result<(SquadCorpus, usize)> {
    /// Windows of 384 tokens, 128 apart, that SQuAD v1.1's training set makes.
    const PUBLISHED: usize = 88_524;
    let context =
        "Washington wrote the first one in 1790, and it was read to both houses.".to_owned();
    let answer = Answer {
        text: "1790".to_owned(),
        start: context.find("1790"),
    };
    let question = |i: usize| Question {
        id: i.to_string(),
        text: "When was the first one written?".to_owned(),
        answers: vec![answer.clone()],
    };
    let article = Article {
        title: String::new(),
        paragraphs: vec![Paragraph {
            context,
            questions: (0..recipe.train.batch_size).map(question).collect(),
        }],
    };
    let corpus = SquadCorpus {
        name: recipe.set()?.name(),
        train: vec![article.clone()],
        dev: vec![article],
        counts: Vec::new(),
    };
    let n_train = match recipe.data.train_windows {
        0 => PUBLISHED,
        n => n,
    };
    Ok((corpus, n_train))
}

/// `n` of some things, spread evenly; 0 = all.
fn spread<T>(all: Vec<T>, n: usize) -> Vec<T> {
    let len = all.len();
    if n == 0 || n >= len {
        return all;
    }
    let chosen = |i: &usize| (i + 1) * n / len > i * n / len;
    all.into_iter()
        .enumerate()
        .filter(|(i, _)| chosen(i))
        .map(|(_, thing)| thing)
        .collect()
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

impl SpanSubject {
    /// Cuts and encodes the articles.
    ///
    /// # Errors
    /// A set without windows that can be trained on.
    pub(super) fn new(
        corpus: SquadCorpus,
        recipe: &SquadRecipe,
        wordpiece: &WordPiece,
        folder: &RunFolder,
        kernels: &Kernels,
    ) -> Result<Self> {
        let data = &recipe.data;
        let options = WindowOptions {
            max_len: data.max_len,
            stride: data.stride,
            max_question: data.max_question,
        };
        let train = windows(&corpus.train, wordpiece, &options)?;
        let trainable = train.into_iter().filter(|window| window.target.is_some());
        let train = spread(trainable.collect(), data.train_windows);
        let test = windows(&corpus.dev, wordpiece, &options)?;
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
        let columns = columns(recipe, &corpus, (train.len(), places.len()), kernels)?;
        Ok(Self {
            corpus,
            padding,
            pad: wordpiece.special().pad,
            batch_size: recipe.eval.batch_size,
            answers: SpanOptions {
                n_best: recipe.eval.n_best,
                max_answer_len: recipe.eval.max_answer_len,
            },
            train,
            test,
            columns,
            device: kernels.device,
            recipe_file: folder.recipe(),
            config_dir: folder.data(),
            description,
        })
    }

    fn padded(&self, windows: &[Window], indices: &[u32]) -> Result<SpanBatch> {
        Ok(SpanBatch::new(windows, indices, self.padding, self.pad)?)
    }

    fn batch_loss(
        &self,
        fit: &Fit<'_, BertSpanFinder>,
        windows: &[Window],
        indices: &[u32],
    ) -> Result<Tensor<1>> {
        let padded = self.padded(windows, indices)?;
        let scores = fit
            .model
            .forward(input(&padded, fit.device).masks(fit.masks.clone()));
        let (Some(starts), Some(ends)) = (&padded.starts, &padded.ends) else {
            return Err(anyhow!("a window's question has no answer with a place"));
        };
        let [starts, ends] = [starts, ends].map(|places| batch::classes(places, fit.device));
        Ok(fit.model.loss(scores, starts, ends))
    }

    /// The answer to each question of the test windows.
    fn answer(
        &self,
        fit: &Fit<'_, BertSpanFinder>,
        at: &mut dyn FnMut(usize),
    ) -> Result<Vec<(QuestionPlace, Option<String>)>> {
        let mut answers = Vec::new();
        let mut waiting: Vec<(usize, Vec<f32>, Vec<f32>)> = Vec::new();
        let mut done = 0;
        for indices in ExampleOrder::in_order(self.test.len(), self.batch_size)?.iter() {
            let padded = self.padded(&self.test, indices)?;
            let SpanScores { start, end } = fit
                .model
                .forward(input(&padded, fit.device).masks(fit.masks.clone()));
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
            done += indices.len();
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

/// The lines of the table: quality by who computed it, and the cost of each kernel.
fn columns(
    recipe: &SquadRecipe,
    corpus: &SquadCorpus,
    (n_windows, n_questions): (usize, usize),
    kernels: &Kernels,
) -> Result<Vec<Column>> {
    let (data, device) = (&recipe.data, kernels.device);
    let quality = |metric, paper: &str| -> Result<Column> {
        let n = n_questions as u64;
        let signature = TaskSignature::new(metric, corpus.name, Split::Test.name(), n)?
            .with("len", data.max_len)?
            .with("stride", data.stride)?
            .with("train-windows", n_windows)?;
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

impl Subject for SpanSubject {
    type Model = BertSpanFinder;

    fn name(&self) -> &str {
        "squad"
    }

    fn corpus(&self) -> &str {
        self.corpus.name
    }

    fn n_train(&self) -> usize {
        self.train.len()
    }

    fn mean_len(&self) -> f64 {
        let tokens: usize = self.train.iter().map(|w| w.encoding.len()).sum();
        tokens as f64 / self.train.len() as f64
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

    fn bert<'a>(&self, model: &'a BertSpanFinder) -> &'a Bert {
        &model.bert
    }

    fn loss(&self, fit: &Fit<'_, BertSpanFinder>, indices: &[u32]) -> Result<Tensor<1>> {
        self.batch_loss(fit, &self.train, indices)
    }

    fn input(&self, indices: &[u32], device: &Device) -> Result<(BertInput, Vec<usize>)> {
        let padded = self.padded(&self.train, indices)?;
        let length = |&i: &u32| self.train[i as usize].encoding.len();
        Ok((input(&padded, device), indices.iter().map(length).collect()))
    }

    fn valid_loss(&self, fit: &Fit<'_, BertSpanFinder>) -> Result<f64> {
        let placed = |(i, window): (usize, &Window)| window.target.map(|_| i as u32);
        let placed: Vec<u32> = self.test.iter().enumerate().filter_map(placed).collect();
        batch::mean_loss(placed.len(), self.batch_size, |indices| {
            let indices: Vec<u32> = indices.iter().map(|&i| placed[i as usize]).collect();
            self.batch_loss(fit, &self.test, &indices)
        })
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn score(
        &self,
        fit: &Fit<'_, BertSpanFinder>,
        folder: &ModelFolder,
        at: &mut dyn FnMut(usize),
    ) -> Result<Vec<f64>> {
        let answers = self.answer(fit, at)?;
        let by_id: BTreeMap<&str, &str> = answers
            .iter()
            .map(|(place, text)| {
                let (_, question) = place.of(&self.corpus.dev);
                (question.id.as_str(), text.as_deref().unwrap_or_default())
            })
            .collect();
        let text = serde_json::to_string_pretty(&by_id).context("cannot write the answers")?;
        write_text(&folder.path.join(PREDICTIONS), &(text + "\n"))?;
        let scored = squad(answers.iter().map(|(place, text)| {
            let (_, question) = place.of(&self.corpus.dev);
            let expected = question.answers.iter().map(|answer| answer.text.as_str());
            (text.as_deref(), expected.collect::<Vec<_>>())
        }))?;
        let mut costs: Vec<(Implementation, Cost)> = Vec::new();
        for kernel in self.columns.iter().filter_map(|column| column.attention) {
            if costs.iter().all(|(of, _)| *of != kernel) {
                let mask = fit.mask_path.as_deref();
                let cost = cost::run(
                    (&self.recipe_file, &self.config_dir),
                    (self.device, kernel),
                    mask,
                )?;
                costs.push((kernel, cost));
            }
        }
        let value = |column: &Column| {
            let cost = costs.iter().find(|(of, _)| Some(*of) == column.attention);
            match column.metric {
                Metric::ExactMatch => Some(scored.exact_match),
                Metric::AnswerF1 => Some(scored.f1),
                Metric::Seconds => cost.map(|(_, cost)| cost.seconds),
                _ => cost.and_then(|(_, cost)| cost.gigabytes),
            }
        };
        self.columns
            .iter()
            .map(|column| value(column).with_context(|| format!("{} has no value", column.metric)))
            .collect()
    }

    fn n_scored(&self) -> usize {
        self.test.len()
    }

    fn baselines(&self) -> Result<Vec<Baseline>> {
        // Of spans there is no majority.
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn some_are_spread_evenly_over_all() {
        let all: Vec<usize> = (0..10).collect();
        assert_eq!(spread(all.clone(), 0), all);
        assert_eq!(spread(all.clone(), 20), all);
        assert_eq!(spread(all.clone(), 2), [4, 9]);
        for n in 1..10 {
            assert_eq!(spread(all.clone(), n).len(), n);
        }
    }
}

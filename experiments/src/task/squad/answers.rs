//! What a model answers.

use anyhow::{Context, Result};
use burn::tensor::Device;
use serde::Serialize;
use sparta_datasets::batch::{ExampleOrder, PaddingStrategy, SpanBatch};
use sparta_datasets::squad::{
    Article, QuestionPlace, Scored, SpanOptions, Window, best_spans, null_odds,
};
use sparta_model::bert::{BertInput, BertSpanFinder, SpanScores};

use crate::recipe::squad::AnswerRecipe;
use crate::task::encoder::{Model, batch};
use crate::train::watch::stop_if_interrupted;

/// What a model says to a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answered {
    pub(super) place: QuestionPlace,
    /// The best answer; none where no span is possible.
    best: Option<String>,
    /// How much likelier it is that there is none.
    pub(super) null_odds: f64,
}

impl Answered {
    /// The prediction: no answer where that is likelier than one by more than the threshold, if one is set.
    pub(super) fn predicted(&self, threshold: Option<f64>) -> Option<&str> {
        match threshold {
            Some(threshold) if self.null_odds > threshold => Some(""),
            Some(_) | None => self.best.as_deref(),
        }
    }
}

/// Windows of questions, and how they are read.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) articles: &'a [Article],
    pub(super) windows: &'a [Window],
    pub(super) padding: PaddingStrategy,
    pub(super) pad: u32,
    pub(super) recipe: &'a AnswerRecipe,
}

/// A batch as the encoder reads it.
pub(super) fn input(padded: &SpanBatch, device: &Device) -> BertInput {
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

impl Asked<'_> {
    /// The answer to each question, in the order of the windows; `at` is told how many of these are done.
    ///
    /// # Errors
    /// A device that fails; a signal that asks to stop.
    pub(super) fn answer(
        &self,
        model: &Model<'_, BertSpanFinder>,
        at: &mut dyn FnMut(u64),
    ) -> Result<Vec<Answered>> {
        let windows = self.windows;
        let mut answers = Vec::new();
        let mut waiting: Vec<(usize, Vec<f32>, Vec<f32>)> = Vec::new();
        let mut done = 0;
        for indices in ExampleOrder::in_order(windows.len(), self.recipe.batch_size)?.iter() {
            let padded = SpanBatch::new(windows, indices, self.padding, self.pad)?;
            let SpanScores { start, end } = model
                .network
                .forward(input(&padded, model.device).masks(model.masks.clone()));
            let (start, end) = (batch::read(start)?, batch::read(end)?);
            let rows = start.chunks(padded.len).zip(end.chunks(padded.len));
            for (&index, (start, end)) in indices.iter().zip(rows) {
                let index = index as usize;
                let is_next = waiting
                    .first()
                    .is_some_and(|(first, _, _)| windows[*first].place != windows[index].place);
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
    fn choose(&self, scored: &[(usize, Vec<f32>, Vec<f32>)]) -> Answered {
        let place = self.windows[scored[0].0].place;
        let (paragraph, _) = place.of(self.articles);
        let scored: Vec<Scored<'_>> = scored
            .iter()
            .map(|(index, start, end)| Scored {
                window: &self.windows[*index],
                start,
                end,
            })
            .collect();
        let options = SpanOptions {
            n_best: self.recipe.n_best,
            max_answer_len: self.recipe.max_answer_len,
        };
        let spans = best_spans(&paragraph.context, &scored, &options);
        Answered {
            place,
            null_odds: null_odds(&scored, &spans),
            best: (spans.into_iter())
                .map(|span| span.text)
                .find(|text| !text.is_empty()),
        }
    }
}

/// JSON as the official scripts read it.
///
/// # Errors
/// What JSON has no form for.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).context("cannot write the answers")? + "\n")
}

//! The paper's numbers beside ours.

use crate::condition::{Condition, MaskFamily};
use crate::metric::Metric;
use crate::paper;
use crate::render::aggregate::Percent;

use super::key::Key;
use super::{PivotLayout, PivotLine, PivotTable, SQUAD_KERNELS};

/// The attention of the published networks, where ours are several.
pub(super) const VARIANT: &str = "softmax";

/// Where the paper has a measure of SQuAD.
enum Source {
    /// A row of [`paper::SQUAD`], taken with the block-sparse kernel.
    Quality(&'static str),
    /// A table with a row for each kernel.
    Cost(&'static str),
}

impl Source {
    fn of(metric: Metric) -> Option<Self> {
        match metric {
            Metric::ExactMatch => Some(Self::Quality("exact")),
            Metric::AnswerF1 => Some(Self::Quality("f1")),
            Metric::Seconds => Some(Self::Cost(paper::SQUAD_TIME)),
            Metric::Gigabytes => Some(Self::Cost(paper::SQUAD_MEMORY)),
            Metric::HasAnswerExact | Metric::HasAnswerF1 | Metric::NoAnswerExact => None,
            Metric::BestExact | Metric::BestExactThreshold => None,
            Metric::BestF1 | Metric::BestF1Threshold => None,
            Metric::Perplexity | Metric::PseudoPerplexity => None,
            Metric::Bleu | Metric::Chrf => None,
            Metric::Accuracy | Metric::F1 | Metric::Matthews => None,
            Metric::Pearson | Metric::Spearman | Metric::PearsonSpearman => None,
            Metric::MeanSquaredError => None,
        }
    }

    fn table(&self) -> &'static str {
        match self {
            Self::Quality(_) => paper::SQUAD,
            Self::Cost(table) => table,
        }
    }
}

/// The paper's number for a cell; its masks and its attention are its own, so others have none.
pub(super) fn published(layout: PivotLayout, line: &PivotLine, key: &Key) -> Option<f64> {
    let is_papers = match line.condition {
        Condition::Dense => true,
        Condition::Masked(mask) => mask.family.is_published(),
        Condition::Baseline(_) => false,
    };
    let is_papers = is_papers && line.variant.as_ref().is_none_or(|name| name == VARIANT);
    let p = line.p.filter(|_| is_papers)?.get();
    match layout {
        PivotLayout::Glue => {
            let column = key.task().filter(|column| column.metric() == key.metric)?;
            paper::value(paper::GLUE, column.name(), p)
        }
        PivotLayout::OwnSquad => None,
        PivotLayout::Squad => {
            let kernel = match line.row.as_str() {
                "dense" => "cuda",
                "block-sparse" => "triton",
                _ => return None,
            };
            match Source::of(key.metric)? {
                Source::Quality(row) => {
                    paper::value(paper::SQUAD, row, p).filter(|_| kernel == "triton")
                }
                Source::Cost(table) => paper::value(table, kernel, p),
            }
        }
    }
}

/// Lines that keep their place beside the published numbers although nothing may have run them:
/// each p of SQuAD's block-sparse kernel.
pub(super) fn places(layout: PivotLayout) -> Vec<(&'static str, Condition, Percent)> {
    let rows = match layout {
        PivotLayout::Glue | PivotLayout::OwnSquad => None,
        PivotLayout::Squad => paper::tables().get(paper::SQUAD).map(|table| &table.rows),
    };
    let all = rows.into_iter().flat_map(|rows| rows.values());
    let all = all.flat_map(|values| values.keys());
    let place = |p: &String| {
        let p = Percent::new(p.parse().ok()?);
        let condition = match p {
            Percent::ZERO => Condition::Dense,
            _ => Condition::masked(MaskFamily::AP, None),
        };
        Some((SQUAD_KERNELS[2], condition, p))
    };
    all.filter_map(place).collect()
}

/// The published table of a column.
pub(super) fn source(table: &PivotTable, at: usize) -> Option<&'static str> {
    match (table.layout, table.columns.get(at)?.metric) {
        (PivotLayout::Glue, _) => Some(paper::GLUE),
        (PivotLayout::Squad, Some(metric)) => Source::of(metric).map(|source| source.table()),
        (PivotLayout::Squad, None) | (PivotLayout::OwnSquad, _) => None,
    }
}

/// The published tables that numbers of `table` were taken from.
pub(super) fn sources(table: &PivotTable) -> Vec<&'static str> {
    let mut sources = Vec::new();
    for at in 0..table.columns.len() {
        let source = source(table, at);
        let is_used = table.lines.iter().any(|line| line.paper[at].is_some());
        if let Some(source) = source.filter(|source| is_used && !sources.contains(source)) {
            sources.push(source);
        }
    }
    sources
}

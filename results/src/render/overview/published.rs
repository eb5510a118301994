//! The paper's numbers beside ours.

use crate::metric::Metric;
use crate::paper;
use crate::record::MaskKind;
use crate::render::overview::key::Key;
use crate::render::overview::{Layout, OverviewLine};

/// Measures of the SQuAD table and where the paper has them.
pub(super) const SQUAD_METRICS: [(Metric, Published); 4] = [
    (Metric::ExactMatch, Published::Quality("exact")),
    (Metric::AnswerF1, Published::Quality("f1")),
    (Metric::Seconds, Published::Cost(paper::SQUAD_TIME)),
    (Metric::Gigabytes, Published::Cost(paper::SQUAD_MEMORY)),
];

#[derive(Clone, Copy)]
pub(super) enum Published {
    /// A row of [`paper::SQUAD`], taken with the block-sparse kernel.
    Quality(&'static str),
    /// A table with a row for each kernel.
    Cost(&'static str),
}

/// The paper's number for a cell; its masks are its own, so random ones have none.
pub(super) fn published(layout: Layout, line: &OverviewLine, key: &Key) -> Option<f64> {
    let p = line.p.filter(|_| line.mask == MaskKind::Ap)?.get();
    match layout {
        Layout::Glue => {
            let column = key.task().filter(|column| column.metric() == key.metric)?;
            paper::value(paper::GLUE, column.name(), p)
        }
        Layout::Squad => {
            let kernel = match line.row.as_str() {
                "dense" => "cuda",
                "block-sparse" => "triton",
                _ => return None,
            };
            let (_, published) = SQUAD_METRICS.iter().find(|(of, _)| *of == key.metric)?;
            match published {
                Published::Quality(row) => {
                    paper::value(paper::SQUAD, row, p).filter(|_| kernel == "triton")
                }
                Published::Cost(table) => paper::value(table, kernel, p),
            }
        }
    }
}

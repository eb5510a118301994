//! Run records in, scores, tables and pictures out.
//!
//! Every number of a table comes from a [`RunRecord`] that a program wrote; nothing is typed by
//! hand. The way from one to the other is
//!
//! ```text
//! run.json* ─► record::load_all ─► render::aggregate (mean ± sd over seeds) ─► render::report ─► TABLE.md .csv .svg
//! ```
//!
//! * [`metric`]: perplexity, BLEU, chrF, the scores of GLUE and SQuAD, with their signatures, and the
//!   bootstrap.
//! * [`attention`]: the figures of what attention does: diversity, density, α, roles of heads, claims.
//! * [`condition`]: what a row stands for: dense, under a mask, or a baseline.
//! * [`record`]: what a run leaves behind.
//! * [`kept`]: what scoring leaves beside a model, unit by unit.
//! * [`mod@bench`]: what the attention bench leaves behind.
//! * [`paper`]: the published numbers.
//! * [`evidence`]: which published claims hold, over seeds.
//! * [`significance`]: whether systems differ by more than the choice of the test set explains.
//! * [`render`]: tables (markdown, csv, latex, terminal) and plots (svg).
//! * [`overview`]: all tables of several runs: one page, LaTeX, csv, JSON.
//! * [`figure`]: what attention does, as numbers and pictures.
//!
//! The crate is pure: it knows neither models nor data sets and depends on no tensor library.

#![forbid(unsafe_code)]

pub mod attention;
pub mod bench;
mod chart;
pub mod condition;
pub mod error;
pub mod evidence;
pub mod figure;
pub mod kept;
pub mod metric;
pub mod overview;
pub mod paper;
pub mod record;
pub mod render;
pub mod significance;

pub use condition::{Baseline, Condition, Mask, MaskFamily, MaskRows, Weighing};
pub use error::{Result, ResultsError};
pub use metric::{Metric, Perplexity, PerplexitySignature, ScoreSignature};
pub use record::{
    COMMIT, Damaged, PaperReference, RunRecord, Status, THEN, TRAINED_BY, WEIGHTS, load_all,
    load_readable,
};
pub use render::{Expected, Report, ReportOptions, Table, report};

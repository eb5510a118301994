//! Which published claims hold on runs: each a sentence with a bound on a number, and the interval of that number over seeds.
//!
//! ```text
//! claims.toml ─► Claim (cells, test, bound) ─┐
//!                       records of all runs ─┴► paired by seed ─► Interval (Student's t) ─► Verdict
//! ```
//!
//! A claim holds if the whole 95 % interval of its quantity is on the right side of its bound, does not hold if the whole of it
//! is on the other side, and cannot be told between. The bound is the smallest effect that matters: "A is better than B" is
//! `at_least = 0.5`, "A costs next to nothing" is `at_most = 0.5`. With one seed there is no interval, and nothing is told.
//!
//! # Source
//! Intervals as evidence for and against an effect that matters: Schuirmann 1987 (two one-sided tests); paired by seed, as Dror et
//! al. 2018 advise for runs of one test set.

mod claim;
mod interval;
mod pairs;
mod print;
mod verdict;

pub use claim::{Bound, Claim, ClaimCell, ClaimTest, Quantity, parse, shipped};
pub use interval::Interval;
pub use print::{RunLinks, claims_json, claims_markdown, claims_table, missing_runs};
pub use verdict::{Counted, Evidence, FigureClaim, Judged, Verdict, judge};

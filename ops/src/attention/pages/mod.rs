//! Decoding of α-entmax attention over some of the keys, chosen by pages.
//!
//! α-entmax gives most keys a weight of exactly zero, so that attention to a part of the keys is attention to all of them
//! where the part holds every key of weight above 0. Keys stand in pages of [`PAGE_SIZE`], of which only
//! statistics are looked at to say which are read. Everything here is for one query of one head, on the host: it
//! measures what has to be read and what a selection loses, and is no faster than the kernels that read all keys.
//!
//! # Source
//! EntmaxKV (arXiv 2605.21649) and deep-spin/entmaxkv for the pages and two of the selections; the exact one is ours.

mod gaussian;
mod keys;
mod query;
mod select;
mod threshold;

pub use gaussian::gaussian_threshold;
pub use keys::{PAGE_SIZE, Page, PagedKeys};
pub use query::{PageMode, PageQuery, PageWeights};
pub use select::PageSelector;
pub use threshold::{correct_threshold, threshold, weight};

//! The programs that reproduce the tables: recipes, training loop and command lines.
//!
//! ```text
//! command line ─► cli ─► recipe (typed, complete) ─► protocol (the method, over a run folder)
//!                                                     ├─► task   (batches, network, score, rows)
//!                                                     ├─► device (opened and probed)
//!                                                     └─► train  (loop, checkpoints, progress)
//! ```

pub mod analysis;
pub mod attend;
pub mod cli;
mod command;
pub mod compare;
pub mod device;
pub mod doctor;
pub mod download;
pub mod evidence;
pub mod export;
pub mod io;
pub mod memory;
pub mod panics;
mod profile;
pub mod protocol;
pub mod recipe;
pub mod report;
pub mod runs;
pub mod signals;
pub mod status;
pub mod sweep;
pub mod task;
mod threads;
pub mod train;
pub mod version;

//! The paper's method around a task's model: the run folder, rows, masks, records and stages.

pub(crate) mod cost;
pub(crate) mod find;
mod folder;
pub(crate) mod init;
pub(crate) mod masks;
pub(crate) mod records;
mod rows;
pub(crate) mod run;
mod stage;

pub use folder::{ArmFolder, ModelFolder, RunFolder};
pub use rows::Row;
pub use run::Run;
pub(crate) use stage::note;
pub use stage::{Fetch, Request, Stage};

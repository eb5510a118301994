//! The tables, task by task: what a batch, a network and a score are.

pub(crate) mod encoder;
pub mod glue;
pub mod lm;
pub mod mlm;
mod own_files;
mod running_text;
mod segments;
pub mod squad;
pub mod translation;

//! The tables: what is trained, observed, pruned and scored, task by task.

pub mod lm;

//! What a network must beat before its table means anything: baselines that learn from the training
//! data alone.

pub mod ngram;

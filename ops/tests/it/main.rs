//! One test binary: each would link all of Burn again.

mod activation;
mod attention;
mod backends;
mod entmax;
mod loss;
mod module;
mod pruning;

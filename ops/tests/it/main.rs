//! One test binary: each would link all of Burn again.

mod activation;
mod attention;
mod backends;
mod dropout;
mod entmax;
mod linear;
mod loss;
mod module;
mod norm;
mod optimizer;
mod pruning;

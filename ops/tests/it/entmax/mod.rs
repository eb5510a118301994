//! The mappings: vectors on every backend, gradients, invariants, the peer's tests and defects.

mod below_one;
mod budget;
mod defects;
mod errors;
mod gradients;
mod invariants;
mod iterations;
mod large_alpha;
mod normmax;
mod peer;
mod structured;
mod vectors;
mod wide;

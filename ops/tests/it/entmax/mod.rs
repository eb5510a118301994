//! The normalisers: vectors on every backend, gradients, invariants, the peer's defects.

mod defects;
mod gradients;
mod invariants;
mod vectors;

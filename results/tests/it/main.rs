//! Tests of the crate through its public interface, in one binary.

mod bench;
mod classification;
mod kneser_ney;
mod overview;
mod parity;
mod published;
mod record;
mod report;
mod support;
mod translation;

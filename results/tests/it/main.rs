//! Tests of the crate through its public interface, in one binary.

mod attention;
mod attention_parity;
mod bench;
mod claims;
mod classification;
mod evidence;
mod figure;
mod mechanisms;
mod overview;
mod parity;
mod pivot;
mod published;
mod record;
mod report;
mod significance;
mod squad_v2;
mod support;
mod translation;

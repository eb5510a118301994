//! Operations on Burn's libtorch backend.

// Deprecated upstream; supported until Burn removes it.
#![allow(deprecated)]

use burn::backend::LibTorch;

use crate::SpartaBackend;

impl SpartaBackend for LibTorch {}

//! Operations on Burn's ndarray backend.

// Deprecated upstream; supported until Burn removes it.
#![allow(deprecated)]

use burn::backend::NdArray;

use crate::SpartaBackend;

impl SpartaBackend for NdArray {}

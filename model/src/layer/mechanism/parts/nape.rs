//! Heads with a bias by distance beside heads without positions.

use std::fmt;

use burn::prelude::*;
use burn::tensor::TensorData;

use super::super::arguments::Arguments;

/// How the slopes of biased heads fall from head to head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slopes {
    /// 1/h, h = 1, 2, …
    Linear,
    /// 2^(1 − h).
    Exponential,
}

/// NAPE: scores of the first half of the heads have −slope·|i − j| added (ALiBi), the others have no positions at all.
///
/// Words: `nape`, `nape(slopes=exp)`.
///
/// # Source
/// Vasylenko et al. 2025 (arXiv 2506.16640), with the slopes of deep-spin/asentmax (`sparse_gemma.py`); the bias is
/// that of Press, Smith, Lewis 2022 (arXiv 2108.12409).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nape {
    /// Slopes of the biased heads.
    pub slopes: Slopes,
}

impl Nape {
    pub(crate) fn of(argument: Option<&str>) -> Option<Self> {
        let mut arguments = Arguments::of(argument)?;
        let slopes = match arguments.take::<String>("slopes")?.as_deref() {
            None | Some("linear") => Slopes::Linear,
            Some("exp") => Slopes::Exponential,
            Some(_) => return None,
        };
        arguments.are_all_taken().then_some(Self { slopes })
    }

    /// Of so many heads those that have a bias: the first.
    pub(crate) const fn n_biased(n_heads: usize) -> usize {
        n_heads / 2
    }

    /// The slope of each head, 0 without a bias.
    pub fn slopes(self, n_heads: usize) -> Vec<f32> {
        let slope = |head: usize| match self.slopes {
            _ if head >= Self::n_biased(n_heads) => 0.0,
            Slopes::Linear => 1.0 / (head + 1) as f32,
            Slopes::Exponential => 0.5f32.powi(head as i32),
        };
        (0..n_heads).map(slope).collect()
    }

    /// What is added to the scores, the last query being the last key.
    ///
    /// # Shapes
    /// - output: `[1, n_heads, seq_q, seq_kv]`
    pub(crate) fn bias(self, [n_heads, seq_q, seq_kv]: [usize; 3], device: &Device) -> Tensor<4> {
        let on_autodiff = device.is_autodiff();
        let device = device.clone().inner();
        let last = seq_kv as i64;
        let query = Tensor::<1, Int>::arange(last - seq_q as i64..last, &device);
        let key = Tensor::<1, Int>::arange(0..last, &device);
        let query = query.float().reshape([1, 1, seq_q, 1]);
        let distance = query - key.float().reshape([1, 1, 1, seq_kv]);
        let slopes: Vec<f32> = self
            .slopes(n_heads)
            .into_iter()
            .map(|slope| -slope)
            .collect();
        let slopes = TensorData::new(slopes, [1, n_heads, 1, 1]);
        let bias = distance.abs() * Tensor::from_data(slopes, &device);
        match on_autodiff {
            // A constant: no kernel is asked for its gradient.
            true => bias.autodiff(),
            false => bias,
        }
    }
}

impl fmt::Display for Nape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.slopes {
            Slopes::Linear => "nape",
            Slopes::Exponential => "nape(slopes=exp)",
        })
    }
}

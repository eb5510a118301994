//! The mappings and attention in f16 and bf16. Mappings are computed in f32 and rounded once; attention over few keys, or on a GPU, in
//! the type itself, and rounded at each step.
//!
//! ```sh
//! cargo run --release -p sparta-ops --example half_precision
//! ```

use burn::prelude::*;
use burn::tensor::{DType, Distribution};
use sparta_ops::attention::{AttentionOptions, Normalizer, sparse_attention};
use sparta_ops::entmax15;

fn main() {
    let device = Device::flex();
    device.seed(1);
    let scores = Tensor::<2>::random([64, 256], Distribution::Normal(0.0, 2.0), &device);
    let shape = [2, 4, 96, 32];
    let [query, key, value] =
        [0; 3].map(|_| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device));
    let attend = |dtype| {
        let [query, key, value] = [&query, &key, &value].map(|of| of.clone().cast(dtype));
        let options = AttentionOptions::new(Normalizer::Entmax15).causal();
        sparse_attention(query, key, value, options).context
    };
    // The unit roundoff: what rounding a number below 1 may change.
    for (dtype, name, roundoff) in [
        (DType::F16, "f16", 2f32.powi(-11)),
        (DType::BF16, "bf16", 2f32.powi(-8)),
    ] {
        let half = entmax15(scores.clone().cast(dtype), -1);
        assert_eq!(half.dtype(), dtype);
        // Rounding the scores moves the weights too: compare with those of the rounded scores in f32.
        let rounded = scores.clone().cast(dtype).cast(DType::F32);
        let error = distance(half.cast(DType::F32), entmax15(rounded, -1));
        println!(
            "{name:>5}: 1.5-entmax of 64 × 256, largest error {error:.1e} (the unit roundoff: {roundoff:.1e})"
        );
        assert!(error <= roundoff);
        let context = attend(dtype);
        assert_eq!(context.dtype(), dtype);
        let error = distance(context.cast(DType::F32), attend(DType::F32));
        println!("{name:>5}: causal attention of 2 × 4 × 96 × 32, largest error {error:.1e}");
        assert!(error < 64.0 * roundoff);
    }
}

fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

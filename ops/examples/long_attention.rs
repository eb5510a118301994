//! Attention over 16,384 tokens, forward and backward, without the 2 GiB that the scores of its two heads would take.
//!
//! ```sh
//! cargo run --release -p sparta-ops --example long_attention [TOKENS]
//! ```

use std::time::Instant;

use burn::prelude::*;
use burn::tensor::Distribution;
use sparta_ops::attention::{AttentionOptions, Implementation, Normalizer, sparse_attention};

const HEADS: usize = 2;
const D_HEAD: usize = 64;

fn main() {
    let tokens = std::env::args().nth(1).map_or(Ok(16_384), |n| n.parse());
    let tokens: usize = tokens.expect("a number of tokens");
    let device = Device::flex().autodiff();
    device.seed(1);
    let shape = [1, HEADS, tokens, D_HEAD];
    // Queries and keys of this width give scores as spread as those of trained heads.
    let random =
        || Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.5), &device).require_grad();
    let [query, key, value] = [random(), random(), random()];
    let scores = (HEADS * tokens * tokens * 4) as f64 / f64::from(1 << 30);
    println!("{tokens} tokens, {HEADS} heads: the scores alone are {scores:.2} GiB");
    for normalizer in [Normalizer::Softmax, Normalizer::Entmax15] {
        let name = format!("{normalizer:?}");
        let options = AttentionOptions::new(normalizer)
            .causal()
            .implementation(Implementation::Fused);
        let started = Instant::now();
        let output = sparse_attention(query.clone(), key.clone(), value.clone(), options);
        assert_eq!(output.implementation, Implementation::Fused);
        let gradients = output.context.sum().backward();
        let largest = query.grad(&gradients).expect("a gradient").abs().max();
        let largest = largest.into_scalar::<f32>();
        assert!(largest.is_finite());
        let seconds = started.elapsed().as_secs_f64();
        println!("{name:>10}: {seconds:.1} s forward and backward; largest gradient {largest:.3}");
    }
    if let Some(peak) = peak() {
        println!("largest memory of the whole program: {peak:.2} GiB");
        assert!(peak < scores || tokens < 8192);
    }
}

/// The largest resident memory of this process in GiB, where the system says.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / f64::from(1 << 20))
}

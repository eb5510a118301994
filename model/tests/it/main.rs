//! Tests of the networks, in one binary because each binary links all of Burn.

mod adaptive;
mod attention;
mod bert;
mod block_masks;
mod decode;
mod empty;
mod encoder;
mod fixture;
mod mechanism;
mod precision;
mod seq2seq;
mod transformer_xl;

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::prelude::*;
use burn::tensor::TensorData;
use sparta_model::LayerMask;

/// The values of a tensor, row by row.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_to_vec::<f32>()
        .expect("a float tensor")
}

/// Words of a batch, row by row.
pub fn words(ids: &[i32], batch: usize, device: &Device) -> Tensor<2, Int> {
    let data = TensorData::new(ids.to_vec(), [batch, ids.len() / batch]);
    Tensor::from_data(data, device)
}

/// Words that look random but are the same in every run.
pub fn some_words(n: usize, vocab_size: usize, seed: u64) -> Vec<i32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % vocab_size as u64) as i32
        })
        .collect()
}

/// Largest difference between two lists of the same length.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// A mask `[heads, rows, columns]` that is `true` where `hidden` says.
pub fn mask(
    shape: [usize; 3],
    device: &Device,
    hidden: impl Fn(usize, usize, usize) -> bool,
) -> LayerMask {
    let [heads, rows, columns] = shape;
    let cells: Vec<bool> = (0..heads * rows * columns)
        .map(|i| hidden(i / (rows * columns), i / columns % rows, i % columns))
        .collect();
    Tensor::from_data(TensorData::new(cells, shape), device).into()
}

/// What a panic of some work says.
pub fn refusal(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it is refused");
    *panic.downcast::<String>().expect("a message")
}

/// Runs a test in a process of its own: Burn's generator is one for the whole process, so that a
/// seed means something only where no other test draws from it.
pub fn alone(test: impl FnOnce()) {
    const CHILD: &str = "SPARTA_TEST_ALONE";
    let thread = std::thread::current();
    let name = thread.name().expect("tests run in named threads");
    // With one test thread, tests run in the main thread: alone already.
    if name == "main" || std::env::var_os(CHILD).is_some() {
        return test();
    }
    let program = std::env::current_exe().expect("the test binary");
    let output = std::process::Command::new(program)
        .args([name, "--exact", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("the test binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

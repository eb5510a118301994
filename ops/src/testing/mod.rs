//! What tests and benches share: the devices compiled in, the reference vectors, tolerances and a
//! finite-difference gradient check.

pub mod attention;

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::Deserialize;

use crate::attention::linear::features::gaussian;

/// A device that tests run on.
#[derive(Clone, Debug)]
pub struct TestDevice {
    /// The spelling of `--device`.
    pub name: &'static str,
    /// The device, without autodiff.
    pub device: Device,
    /// Whether it computes in f64.
    pub has_f64: bool,
    /// Whether a case costs so much that only a quick tier runs on it.
    pub slow: bool,
}

/// Every device compiled in. `flex` comes first.
pub fn devices() -> Vec<TestDevice> {
    let mut devices = Vec::new();
    let mut add = |name, device, has_f64, slow| {
        devices.push(TestDevice {
            name,
            device,
            has_f64,
            slow,
        });
    };
    #[cfg(feature = "flex")]
    add("flex", Device::flex(), true, false);
    #[cfg(feature = "ndarray")]
    #[allow(deprecated)] // supported until Burn removes it
    add("ndarray", Device::ndarray(), true, false);
    #[cfg(feature = "tch")]
    #[allow(deprecated)] // supported until Burn removes it
    add("tch", Device::libtorch(), true, true);
    #[cfg(feature = "wgpu")]
    add("wgpu", Device::wgpu(Default::default()), false, true);
    let _ = &mut add;
    devices
}

/// One row of `entmax_vectors.json`: 60-digit arithmetic, rounded to f64.
#[derive(Clone, Debug, Deserialize)]
pub struct EntmaxVector {
    /// Name of the scores.
    pub name: String,
    /// Scores.
    pub z: Vec<f64>,
    /// α.
    pub alpha: f64,
    /// Weights.
    pub p: Vec<f64>,
    /// Number of positive weights.
    pub support: usize,
    /// dp/dα, unless the derivative does not exist.
    pub dp_dalpha: Option<Vec<f64>>,
    /// ∂p_i/∂z_j, unless the derivative does not exist.
    pub jac: Option<Vec<Vec<f64>>>,
    /// Tsallis entropy of the weights.
    #[serde(rename = "entropy_H")]
    pub entropy: f64,
    /// Fenchel–Young loss for the first class.
    pub fy_loss_target0: f64,
}

impl EntmaxVector {
    /// Whether the scores lie exactly on a support change, where p is the square root of a rounding
    /// error and one-sided derivatives differ.
    pub fn on_support_change(&self) -> bool {
        self.alpha == 3.0 && ["readme1", "readme2a", "peaked"].contains(&self.name.as_str())
    }
}

/// A normmax row of `entmax_vectors.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct NormmaxVector {
    /// Name of the scores.
    pub name: String,
    /// Scores.
    pub z: Vec<f64>,
    /// α.
    pub alpha: f64,
    /// Weights.
    pub p: Vec<f64>,
}

/// A budget row of `entmax_vectors.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct BudgetVector {
    /// Name of the scores.
    pub name: String,
    /// Scores.
    pub z: Vec<f64>,
    /// Sum of the weights.
    pub budget: f64,
    /// Weights.
    pub p: Vec<f64>,
}

#[derive(Deserialize)]
struct Vectors {
    entmax: Vec<EntmaxVector>,
    normmax: Vec<NormmaxVector>,
    budget: Vec<BudgetVector>,
}

fn vectors() -> Vectors {
    let text = include_str!("../../tests/vectors/entmax_vectors.json");
    serde_json::from_str(text)
        .expect("tests/vectors/entmax_vectors.json is the file this crate was written with")
}

/// The reference vectors of the entmax family.
pub fn entmax_vectors() -> Vec<EntmaxVector> {
    vectors().entmax
}

/// The reference vectors of normmax.
pub fn normmax_vectors() -> Vec<NormmaxVector> {
    vectors().normmax
}

/// The reference vectors of the budget mapping.
pub fn budget_vectors() -> Vec<BudgetVector> {
    vectors().budget
}

/// A tensor of the given type from f64 values.
pub fn tensor<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
    Tensor::from_data(data, (device, dtype))
}

/// The values of a tensor in f64.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Fails with the worst element unless `|found − expected| ≤ absolute + relative·max|expected|`.
///
/// # Panics
/// If an element is further off, not finite, or the lengths differ.
pub fn assert_close(label: &str, found: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{label}: lengths differ");
    let largest = expected.iter().fold(0.0f64, |m, e| m.max(e.abs()));
    let limit = absolute + relative * largest;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let off = (f - e).abs();
        assert!(
            off <= limit,
            "{label}: element {i} is {f:e}, expected {e:e}; off by {off:e}, allowed {limit:e}"
        );
    }
}

/// The gradient of `f` at `x` by central differences, in f64.
pub fn central_differences(x: &[f64], step: f64, f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let centre = x[i];
            x[i] = centre + step;
            let above = f(&x);
            x[i] = centre - step;
            let below = f(&x);
            x[i] = centre;
            (above - below) / (2.0 * step)
        })
        .collect()
}

/// Compares the gradients of `f` in each of its inputs, given as values and shape, with central
/// differences, in f64 on flex. Returns the gradients, so that a test can see that they are not all 0.
///
/// # Panics
/// If an element is further off than `1e-5·max|expected| + 1e-7`.
#[cfg(feature = "flex")]
pub fn gradcheck<const D: usize>(
    label: &str,
    inputs: &[(Vec<f64>, [usize; D])],
    f: impl Fn(&[Tensor<D>]) -> Tensor<1>,
) -> Vec<Vec<f64>> {
    let on = |device: &Device, replaced: Option<(usize, &[f64])>| -> Vec<Tensor<D>> {
        let make = |(i, (values, shape)): (usize, &(Vec<f64>, [usize; D]))| {
            let values = match replaced {
                Some((j, other)) if i == j => other,
                _ => values,
            };
            tensor(values, *shape, DType::F64, device)
        };
        inputs.iter().enumerate().map(make).collect()
    };
    let plain = Device::flex();
    let tracked: Vec<Tensor<D>> = on(&plain.clone().autodiff(), None)
        .into_iter()
        .map(Tensor::require_grad)
        .collect();
    let grads = f(&tracked).sum().backward();
    let check = |(i, input): (usize, &Tensor<D>)| {
        let found = values(input.grad(&grads).expect("every input has a gradient"));
        let expected = central_differences(&inputs[i].0, 1e-5, |x| {
            values(f(&on(&plain, Some((i, x)))).sum())[0]
        });
        let label = format!("{label}, input {i}");
        assert_close(&label, &found, &expected, 1e-5, 1e-7);
        found
    };
    tracked.iter().enumerate().map(check).collect()
}

/// Deterministic standard-normal values, the same on every platform.
pub fn normal(n: usize, seed: u64) -> Vec<f64> {
    gaussian(n, seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

/// Number of rows of [`scores_of_every_scale`].
pub const SCALE_ROWS: usize = 9;

/// Scores `[9, n]` from tiny to wide, tied, some hidden, and a row with everything hidden.
pub fn scores_of_every_scale(n: usize) -> Vec<f64> {
    let scales = [1.0, 6.0, 1e-3, 100.0, 0.0, 2.0, 3.0, 1.0, 0.3];
    let mut scores = normal(SCALE_ROWS * n, n as u64);
    for (i, z) in scores.iter_mut().enumerate() {
        let row = i / n;
        *z *= scales[row];
        if row == 8 || (row == 7 && i % 3 == 0 && n > 1) {
            *z = f64::NEG_INFINITY;
        }
    }
    scores
}

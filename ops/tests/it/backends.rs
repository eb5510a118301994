//! Which backends this build tests, and that none that should be is missing.

use burn::tensor::{Tensor, TensorData};
use sparta_ops::testing::devices;

/// `SPARTA_REQUIRE_BACKENDS=flex,wgpu` makes a missing one a failure instead of a shorter list.
#[test]
fn every_required_backend_is_compiled_in_and_computes() {
    let mut tested = Vec::new();
    for device in devices() {
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device.device);
        let square = x.clone().matmul(x).into_data();
        square.assert_eq(&TensorData::from([[7.0f32, 10.0], [15.0, 22.0]]), false);
        tested.push(device.name);
    }
    println!("backends tested: {}", tested.join(", "));
    assert!(!tested.is_empty(), "no backend is compiled in");
    if let Ok(required) = std::env::var("SPARTA_REQUIRE_BACKENDS") {
        for name in required.split(',') {
            assert!(
                tested.contains(&name),
                "{name} should have been tested but is not compiled in; this build has {tested:?}"
            );
        }
    }
}

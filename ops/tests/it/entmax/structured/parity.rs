//! Weights and gradients of the authors' package (`tests/vectors/structured.py`).

use burn::tensor::{DType, Tensor};
use serde::Deserialize;
use sparta_ops::testing::{assert_close, devices, tensor, values};

use super::Map;

#[derive(Deserialize)]
struct Vectors {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    mapping: String,
    lambda: f64,
    scores: Vec<f64>,
    upstream: Vec<f64>,
    weights: Vec<f64>,
    grad: Vec<f64>,
}

#[test]
fn equals_the_authors_package_on_every_backend() {
    let text = include_str!("../../../vectors/structured_vectors.json");
    let Vectors { rows } = serde_json::from_str(text).expect("the file this test was written with");
    assert_eq!(rows.len(), 36);
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let mut types = vec![(DType::F32, 2e-6)];
        if device.has_f64 {
            types.push((DType::F64, 1e-12));
        }
        for (dtype, limit) in types {
            for row in &rows {
                let map = match row.mapping.as_str() {
                    "fusedmax" => Map::Fused,
                    "oscarmax" => Map::Oscar,
                    other => panic!("no mapping {other}"),
                };
                let n = row.scores.len();
                let z: Tensor<1> = tensor(&row.scores, [n], dtype, &autodiff).require_grad();
                let upstream: Tensor<1> = tensor(&row.upstream, [n], dtype, &autodiff);
                let p = map.of(z.clone(), row.lambda);
                let grads = (p.clone() * upstream).sum().backward();
                let label = format!("{} {dtype:?} {map:?} {} n {n}", device.name, row.lambda);
                assert_close(&label, &values(p.inner()), &row.weights, 0.0, limit);
                let grad = values(z.grad(&grads).expect("a gradient"));
                assert_close(&format!("{label}, gradient"), &grad, &row.grad, 0.0, limit);
            }
        }
    }
}

//! A classifier whose probabilities may be exactly zero: 1.5-entmax with its own loss in the place of softmax with
//! cross-entropy, which are two calls.
//!
//! ```sh
//! cargo run --release -p sparta-ops --example sparse_classifier
//! ```

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::{Distribution, TensorData};
use sparta_ops::entmax::support_size;
use sparta_ops::loss::{cross_entropy, entmax15_loss};
use sparta_ops::{entmax15, softmax};

/// Scores = W·x + b.
#[derive(Module, Debug)]
struct Classifier {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Classifier {
    fn scores(&self, points: Tensor<2>) -> Tensor<2> {
        points.matmul(self.weight.val()) + self.bias.val().unsqueeze()
    }
}

const CLASSES: usize = 6;
const POINTS: usize = 1200;

/// Points around six places on a circle, and the place of each.
fn points(device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let noise = Tensor::<2>::random([POINTS, 2], Distribution::Normal(0.0, 0.35), device);
    let labels: Vec<i64> = (0..POINTS).map(|i| (i % CLASSES) as i64).collect();
    let places = labels.iter().flat_map(|&label| {
        let angle = label as f32 / CLASSES as f32 * std::f32::consts::TAU;
        [2.0 * angle.cos(), 2.0 * angle.sin()]
    });
    let places = TensorData::new(places.collect::<Vec<f32>>(), [POINTS, 2]);
    let labels = Tensor::from_data(TensorData::new(labels, [POINTS]), device);
    (Tensor::from_data(places, device) + noise, labels)
}

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    let (points, labels) = points(&device);
    let start = Classifier {
        weight: Param::from_tensor(Tensor::zeros([2, CLASSES], &device)),
        bias: Param::from_tensor(Tensor::zeros([CLASSES], &device)),
    };
    for is_sparse in [false, true] {
        let mut model = start.clone();
        let mut adam = AdamConfig::new().init();
        for _ in 0..300 {
            let scores = model.scores(points.clone());
            let loss = match is_sparse {
                true => entmax15_loss(scores, labels.clone()),
                false => cross_entropy(scores, labels.clone()),
            };
            let gradients = GradientsParams::from_grads(loss.mean().backward(), &model);
            model = adam.step(0.05, model, gradients);
        }
        let scores = model.scores(points.clone());
        let weights = match is_sparse {
            true => entmax15(scores.clone(), -1),
            false => softmax(scores.clone(), -1),
        };
        let right = scores.argmax(1).squeeze_dim(1).equal(labels.clone());
        let accuracy = right.float().mean().into_scalar::<f32>();
        let support = support_size(weights, -1)
            .float()
            .mean()
            .into_scalar::<f32>();
        let name = if is_sparse { "1.5-entmax" } else { "softmax" };
        println!(
            "{name:>10}: accuracy {accuracy:.3}, {support:.2} of {CLASSES} classes have weight"
        );
        assert!(accuracy > 0.9);
        assert!((support < 3.0) == is_sparse);
    }
}

//! Layer normalisation against its formula in f64, forward and every gradient, on every backend.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};
use sparta_ops::{SpartaBackend, layer_norm};

const EPSILON: f64 = 1e-5;

/// One element; odd widths; more rows than a task has.
const SHAPES: [[usize; 2]; 5] = [[1, 1], [3, 7], [5, 16], [150, 37], [65, 128]];

struct Case {
    shape: [usize; 2],
    x: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    upstream: Vec<f64>,
}

impl Case {
    fn new([rows, n]: [usize; 2]) -> Self {
        let rounded = |n: usize, seed, scale: f64, centre: f64| -> Vec<f64> {
            let values = normal(n, seed);
            values
                .iter()
                .map(|x| f64::from((centre + scale * x) as f32))
                .collect()
        };
        Self {
            shape: [rows, n],
            x: rounded(rows * n, 1, 2.0, 0.7),
            gamma: rounded(n, 2, 0.3, 1.0),
            beta: rounded(n, 3, 0.5, 0.0),
            upstream: rounded(rows * n, 4, 1.0, 0.0),
        }
    }

    /// Output, and gradients in x, γ and β, of Σ upstream · output.
    fn expected(&self) -> [Vec<f64>; 4] {
        let [rows, n] = self.shape;
        let [mut output, mut of_x] = [vec![0.0; rows * n], vec![0.0; rows * n]];
        let [mut of_gamma, mut of_beta] = [vec![0.0; n], vec![0.0; n]];
        let size = n as f64;
        for i in 0..rows {
            let (x, g) = (&self.x[i * n..][..n], &self.upstream[i * n..][..n]);
            let mean = x.iter().sum::<f64>() / size;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / size;
            let deviation = (variance + EPSILON).sqrt();
            let normal: Vec<f64> = x.iter().map(|x| (x - mean) / deviation).collect();
            let scaled: Vec<f64> = g
                .iter()
                .zip(&self.gamma)
                .map(|(g, gamma)| g * gamma)
                .collect();
            let mean_scaled = scaled.iter().sum::<f64>() / size;
            let mean_product = scaled.iter().zip(&normal).map(|(a, x)| a * x).sum::<f64>() / size;
            for j in 0..n {
                output[i * n + j] = normal[j] * self.gamma[j] + self.beta[j];
                of_x[i * n + j] = (scaled[j] - mean_scaled - normal[j] * mean_product) / deviation;
                of_gamma[j] += g[j] * normal[j];
                of_beta[j] += g[j];
            }
        }
        [output, of_x, of_gamma, of_beta]
    }

    fn inputs(&self, dtype: DType, device: &Device) -> (Tensor<2>, Tensor<1>, Tensor<1>) {
        let [rows, n] = self.shape;
        (
            tensor(&self.x, [rows, n], dtype, device).require_grad(),
            tensor(&self.gamma, [n], dtype, device).require_grad(),
            tensor(&self.beta, [n], dtype, device).require_grad(),
        )
    }

    fn found(
        &self,
        dtype: DType,
        device: &Device,
        norm: impl Fn(Tensor<2>, Tensor<1>, Tensor<1>) -> Tensor<2>,
    ) -> [Vec<f64>; 4] {
        let (x, gamma, beta) = self.inputs(dtype, device);
        let output = norm(x.clone(), gamma.clone(), beta.clone());
        assert_eq!(output.dtype(), dtype);
        let upstream: Tensor<2> = tensor(&self.upstream, self.shape, dtype, device);
        let grads = (output.clone() * upstream).sum().backward();
        [
            values(output.inner()),
            values(x.grad(&grads).expect("a gradient")),
            values(gamma.grad(&grads).expect("a gradient")),
            values(beta.grad(&grads).expect("a gradient")),
        ]
    }
}

fn by_operation(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<2> {
    let (normal, _) = <Dispatch as SpartaBackend>::layer_norm_forward(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        EPSILON,
    );
    Tensor::from_dispatch(normal)
}

#[test]
fn values_and_gradients_equal_the_formula_on_every_backend() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let mut types = vec![(DType::F32, 1e-5)];
        if device.has_f64 {
            types.push((DType::F64, 1e-12));
        }
        if device.name == "flex" || device.name == "tch" {
            types.push((DType::BF16, 3e-2));
        }
        for (dtype, tolerance) in types {
            for shape in SHAPES {
                let case = Case::new(shape);
                let expected = case.expected();
                let by_function = case.found(dtype, &autodiff, |x, gamma, beta| {
                    layer_norm(x, gamma, beta, EPSILON)
                });
                let by_operation = case.found(dtype, &autodiff, by_operation);
                for (how, found) in [("function", by_function), ("operation", by_operation)] {
                    for (what, (found, expected)) in ["output", "x", "gamma", "beta"]
                        .iter()
                        .zip(found.iter().zip(&expected))
                    {
                        let label = format!("{} {dtype:?} {shape:?} {how}: {what}", device.name);
                        assert_close(&label, found, expected, tolerance, tolerance);
                    }
                }
            }
        }
    }
}

#[test]
fn the_gradients_are_those_of_the_value() {
    let inputs = [
        (normal(21, 3), [3, 7]),
        (normal(7, 4), [1, 7]),
        (normal(7, 5), [1, 7]),
    ];
    let grads = gradcheck("layer norm", &inputs, |x| {
        let [gamma, beta] = [&x[1], &x[2]].map(|row| row.clone().reshape([7]));
        let output = layer_norm(x[0].clone(), gamma, beta, EPSILON);
        (output.clone() * output.clone() * output).sum()
    });
    assert!(grads.iter().flatten().any(|g| g.abs() > 0.1));
}

#[test]
fn any_shape_and_a_part_of_a_tensor_will_do() {
    for device in devices() {
        let x: Tensor<3> = tensor(&normal(2 * 5 * 7, 2), [2, 5, 7], DType::F32, &device.device);
        let part = x.swap_dims(0, 1).slice([1..4, 0..2, 2..6]);
        let (gamma, beta) = (
            Tensor::ones([4], &device.device),
            Tensor::zeros([4], &device.device),
        );
        let found = layer_norm(part.clone(), gamma.clone(), beta.clone(), EPSILON);
        assert_eq!(found.dims(), [3, 2, 4]);
        let x = values(part);
        let expected: Vec<f64> = x
            .chunks(4)
            .flat_map(|row| {
                let mean = row.iter().sum::<f64>() / 4.0;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0;
                row.iter()
                    .map(move |x| (x - mean) / (variance + EPSILON).sqrt())
            })
            .collect();
        assert_close(device.name, &values(found), &expected, 1e-5, 1e-6);
        let none: Tensor<2> = Tensor::zeros([0, 4], &device.device);
        assert_eq!(layer_norm(none, gamma, beta, EPSILON).dims(), [0, 4]);
    }
}

/// Parameters stay in f32 where a network computes in a half type, and so do their gradients.
#[test]
fn rows_of_a_half_type_may_have_parameters_in_f32() {
    for device in devices() {
        if !["flex", "tch"].contains(&device.name) {
            continue;
        }
        let autodiff = device.device.clone().autodiff();
        let case = Case::new([3, 7]);
        let [output, of_x, of_gamma, of_beta] = case.expected();
        let norms: [fn(Tensor<2>, Tensor<1>, Tensor<1>) -> Tensor<2>; 2] = [
            |x, gamma, beta| layer_norm(x, gamma, beta, EPSILON),
            by_operation,
        ];
        for norm in norms {
            let (_, gamma, beta) = case.inputs(DType::F32, &autodiff);
            let (x, _, _) = case.inputs(DType::BF16, &autodiff);
            let found = norm(x.clone(), gamma.clone(), beta.clone());
            assert_eq!(found.dtype(), DType::BF16);
            let upstream: Tensor<2> = tensor(&case.upstream, [3, 7], DType::BF16, &autodiff);
            let grads = (found.clone() * upstream).sum().backward();
            let gradients = [gamma, beta].map(|row| row.grad(&grads).expect("a gradient"));
            assert!(gradients.iter().all(|of| of.dtype() == DType::F32));
            let gradients = gradients.map(values);
            let of = values(x.grad(&grads).expect("a gradient"));
            for (found, expected) in [
                (&values(found.inner()), &output),
                (&of, &of_x),
                (&gradients[0], &of_gamma),
                (&gradients[1], &of_beta),
            ] {
                assert_close(device.name, found, expected, 3e-2, 3e-2);
            }
        }
    }
}

/// Values far from 0 and alike: the variance of the differences from the mean, not of squares.
#[test]
fn a_large_mean_does_not_drown_the_variance() {
    for device in devices() {
        let x: Vec<f64> = (0..32).map(|j| 4096.0 + f64::from(j % 2)).collect();
        let x: Tensor<2> = tensor(&x, [1, 32], DType::F32, &device.device);
        let (gamma, beta) = (
            Tensor::ones([32], &device.device),
            Tensor::zeros([32], &device.device),
        );
        let found = values(layer_norm(x, gamma, beta, 0.0));
        for (j, y) in found.iter().enumerate() {
            let expected = if j % 2 == 0 { -1.0 } else { 1.0 };
            assert!((y - expected).abs() < 1e-4, "{}: {y} at {j}", device.name);
        }
    }
}

#[cfg(feature = "flex")]
#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new([500, 96]);
    let run = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build();
        pool.expect("a pool").install(|| {
            case.found(DType::F32, &Device::flex().autodiff(), |x, gamma, beta| {
                layer_norm(x, gamma, beta, EPSILON)
            })
        })
    };
    assert_eq!(run(1), run(3));
}

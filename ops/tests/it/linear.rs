//! Linear maps against sums in f64, forward and every gradient, on every backend: by the public function, which takes
//! Burn's own map where there are no kernels, and by the operation of the backend.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor};
use sparta_ops::SpartaBackend;
use sparta_ops::linear::{LinearActivation, linear};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

const ACTIVATIONS: [LinearActivation; 2] = [LinearActivation::Identity, LinearActivation::Relu];

/// One row and one column; less than a task; odd sizes of several tasks; many rows.
const SHAPES: [[usize; 3]; 5] = [
    [1, 1, 1],
    [3, 5, 4],
    [130, 33, 70],
    [257, 64, 48],
    [1040, 24, 17],
];

struct Case {
    shape: [usize; 3],
    x: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    upstream: Vec<f64>,
}

impl Case {
    fn new([m, k, n]: [usize; 3]) -> Self {
        let rounded = |n: usize, seed| -> Vec<f64> {
            normal(n, seed)
                .iter()
                .map(|x| f64::from(*x as f32))
                .collect()
        };
        Self {
            shape: [m, k, n],
            x: rounded(m * k, 1),
            weight: rounded(k * n, 2),
            bias: rounded(n, 3),
            upstream: rounded(m * n, 4),
        }
    }

    /// Output, and gradients in x, W and b, of Σ upstream · output.
    fn expected(&self, with_bias: bool, activation: LinearActivation) -> [Vec<f64>; 4] {
        let [m, k, n] = self.shape;
        let mut output = vec![0.0; m * n];
        let (mut of_x, mut of_weight, mut of_bias) =
            (vec![0.0; m * k], vec![0.0; k * n], vec![0.0; n]);
        for i in 0..m {
            for j in 0..n {
                let product = (0..k).map(|l| self.x[i * k + l] * self.weight[l * n + j]);
                let sum = product.sum::<f64>() + if with_bias { self.bias[j] } else { 0.0 };
                let is_cut = activation == LinearActivation::Relu && sum <= 0.0;
                if is_cut {
                    continue;
                }
                output[i * n + j] = sum;
                let grad = self.upstream[i * n + j];
                of_bias[j] += grad;
                for l in 0..k {
                    of_x[i * k + l] += grad * self.weight[l * n + j];
                    of_weight[l * n + j] += grad * self.x[i * k + l];
                }
            }
        }
        [output, of_x, of_weight, of_bias]
    }

    fn inputs(&self, dtype: DType, device: &Device) -> (Tensor<2>, Tensor<2>, Tensor<1>) {
        let [m, k, n] = self.shape;
        (
            tensor(&self.x, [m, k], dtype, device).require_grad(),
            tensor(&self.weight, [k, n], dtype, device).require_grad(),
            tensor(&self.bias, [n], dtype, device).require_grad(),
        )
    }

    fn check(
        &self,
        label: &str,
        dtype: DType,
        device: &Device,
        activation: LinearActivation,
        with_bias: bool,
        map: impl Fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>) -> Tensor<2>,
    ) {
        let [m, k, n] = self.shape;
        let tolerance = match dtype {
            DType::F64 => 1e-13,
            DType::F32 => 4e-6,
            _ => 2e-2,
        };
        let (x, weight, bias) = self.inputs(dtype, device);
        let output = map(x.clone(), weight.clone(), with_bias.then(|| bias.clone()));
        let upstream: Tensor<2> = tensor(&self.upstream, [m, n], dtype, device);
        let grads = (output.clone() * upstream).sum().backward();
        let [expected, of_x, of_weight, of_bias] = self.expected(with_bias, activation);
        let label = format!("{label} {dtype:?} {m}×{k}×{n} {activation:?} bias {with_bias}");
        let close = |what: &str, found: Vec<f64>, expected: &[f64]| {
            assert_close(
                &format!("{label}: {what}"),
                &found,
                expected,
                tolerance,
                tolerance,
            );
        };
        close("output", values(output.inner()), &expected);
        close("x", values(x.grad(&grads).expect("a gradient")), &of_x);
        close(
            "weight",
            values(weight.grad(&grads).expect("a gradient")),
            &of_weight,
        );
        if with_bias {
            close(
                "bias",
                values(bias.grad(&grads).expect("a gradient")),
                &of_bias,
            );
        }
    }
}

fn by_operation(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: LinearActivation,
) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => {
            <Dispatch as SpartaBackend>::linear_forward(x, weight, bias.into_dispatch(), activation)
        }
        None => <Dispatch as SpartaBackend>::product(x, weight),
    })
}

#[test]
fn values_and_gradients_equal_the_sums_on_every_backend() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let mut types = vec![DType::F32];
        if device.has_f64 {
            types.push(DType::F64);
        }
        if device.name == "flex" {
            types.push(DType::BF16);
        }
        for dtype in types {
            for shape in SHAPES {
                if device.slow && shape[0] > 300 || dtype == DType::BF16 && shape[0] > 3 {
                    continue;
                }
                let case = Case::new(shape);
                for activation in ACTIVATIONS {
                    case.check(
                        device.name,
                        dtype,
                        &autodiff,
                        activation,
                        true,
                        |x, w, b| linear(x, w, b, activation),
                    );
                    let label = format!("{}, operation", device.name);
                    case.check(&label, dtype, &autodiff, activation, true, |x, w, b| {
                        by_operation(x, w, b, activation)
                    });
                    case.check(
                        device.name,
                        dtype,
                        &autodiff,
                        activation,
                        false,
                        |x, w, b| linear(x, w, b, activation),
                    );
                }
                // Tied weights come transposed.
                let activation = LinearActivation::Identity;
                let label = format!("{}, transposed", device.name);
                case.check(&label, dtype, &autodiff, activation, true, |x, w, b| {
                    let copied = w.transpose() * 1.0;
                    linear(x, copied.transpose(), b, activation)
                });
            }
        }
    }
}

#[test]
fn leading_dimensions_and_parts_of_tensors_will_do() {
    for device in devices() {
        let x: Tensor<3> = tensor(
            &normal(4 * 6 * 10, 5),
            [4, 6, 10],
            DType::F32,
            &device.device,
        );
        let part = x.swap_dims(0, 1).slice([1..5, 1..3, 2..9]);
        let weight: Tensor<2> = tensor(&normal(9 * 8, 6), [9, 8], DType::F32, &device.device);
        let weight = weight.slice([1..8, 2..7]);
        let found = linear(
            part.clone(),
            weight.clone(),
            None,
            LinearActivation::Identity,
        );
        assert_eq!(found.dims(), [4, 2, 5]);
        let (x, w) = (values(part), values(weight));
        let expected: Vec<f64> = (0..8 * 5)
            .map(|at| (0..7).map(|l| x[at / 5 * 7 + l] * w[l * 5 + at % 5]).sum())
            .collect();
        assert_close(device.name, &values(found), &expected, 1e-5, 1e-6);
        let none: Tensor<2> = Tensor::zeros([0, 7], &device.device);
        let weight = Tensor::zeros([7, 5], &device.device);
        let bias = Some(Tensor::zeros([5], &device.device));
        assert_eq!(
            linear(none, weight, bias, LinearActivation::Relu).dims(),
            [0, 5]
        );
    }
}

#[test]
fn only_the_gradients_that_are_wanted_are_computed() {
    for device in devices() {
        let autodiff = device.device.clone().autodiff();
        let case = Case::new([5, 4, 3]);
        let [_, of_x, of_weight, _] = case.expected(false, LinearActivation::Identity);
        let map = |x: &Tensor<2>, w: &Tensor<2>| {
            let upstream: Tensor<2> = tensor(&case.upstream, [5, 3], DType::F32, &autodiff);
            let output = linear(x.clone(), w.clone(), None, LinearActivation::Identity);
            (output * upstream).sum().backward()
        };
        let x: Tensor<2> = tensor(&case.x, [5, 4], DType::F32, &autodiff);
        let w: Tensor<2> = tensor(&case.weight, [4, 3], DType::F32, &autodiff);
        let tracked = x.clone().require_grad();
        let grads = map(&tracked, &w);
        assert_close(
            "x",
            &values(tracked.grad(&grads).unwrap()),
            &of_x,
            1e-6,
            1e-6,
        );
        assert!(w.grad(&grads).is_none());
        let tracked = w.require_grad();
        let grads = map(&x, &tracked);
        assert_close(
            "w",
            &values(tracked.grad(&grads).unwrap()),
            &of_weight,
            1e-6,
            1e-6,
        );
    }
}

#[test]
fn the_gradients_are_those_of_the_value() {
    for activation in ACTIVATIONS {
        let inputs = [
            (normal(12, 3), [3, 4]),
            (normal(20, 4), [4, 5]),
            (normal(5, 5), [1, 5]),
        ];
        let grads = gradcheck("linear", &inputs, |x| {
            let bias = x[2].clone().reshape([5]);
            let output = linear(x[0].clone(), x[1].clone(), Some(bias), activation);
            (output.clone() * output).sum()
        });
        assert!(grads.iter().flatten().any(|g| g.abs() > 0.1));
    }
}

#[test]
fn a_nan_reaches_its_row_and_no_other() {
    for device in devices().into_iter().filter(|device| device.name != "wgpu") {
        let x: Tensor<2> = tensor(
            &[f64::NAN, 1.0, 1.0, 1.0],
            [2, 2],
            DType::F32,
            &device.device,
        );
        let weight: Tensor<2> = tensor(&[1.0, 2.0, 3.0, 4.0], [2, 2], DType::F32, &device.device);
        let bias: Tensor<1> = tensor(&[0.5, -10.0], [2], DType::F32, &device.device);
        let found = values(linear(x, weight, Some(bias), LinearActivation::Relu));
        assert!(
            found[0].is_nan() && found[1].is_nan(),
            "{}: {found:?}",
            device.name
        );
        assert_eq!(found[2..], [4.5, 0.0], "{}", device.name);
    }
}

#[cfg(feature = "flex")]
#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new([1040, 96, 130]);
    let run = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build();
        pool.expect("a pool").install(|| {
            let device = Device::flex().autodiff();
            let (x, w, b) = case.inputs(DType::F32, &device);
            let activation = LinearActivation::Relu;
            let output = linear(x.clone(), w.clone(), Some(b.clone()), activation);
            let grads = (output.clone() * output.clone()).sum().backward();
            [
                values(output.inner()),
                values(x.grad(&grads).unwrap()),
                values(w.grad(&grads).unwrap()),
                values(b.grad(&grads).unwrap()),
            ]
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(7));
}

//! `EntmaxLoss`: ignored rows, reductions, soft targets, smoothing, class weights, errors.

use burn::tensor::{DType, Device, Tensor};
use sparta_ops::loss::{LossError, Targets, entmax15_loss, sparsemax_loss};
use sparta_ops::module::{EntmaxLoss, EntmaxLossConfig, LossMapping, Reduction};
use sparta_ops::testing::{assert_close, devices, gradcheck, normal, tensor, values};

use super::classes;

const MAPPINGS: [LossMapping; 5] = [
    LossMapping::Softmax,
    LossMapping::Sparsemax,
    LossMapping::Entmax15,
    LossMapping::Entmax { alpha: 1.3 },
    LossMapping::Normmax { alpha: 2.0 },
];

fn config(mapping: LossMapping) -> EntmaxLossConfig {
    EntmaxLossConfig::new().with_mapping(mapping)
}

fn scores(device: &Device) -> Tensor<2> {
    tensor(&normal(20, 1), [4, 5], DType::F64, device)
}

/// Rows with `ignore_index`, whatever it is, count for nothing, and a mean over none is 0: there a
/// negative index other than −100 is out of bounds and the mean is NaN (issue 21).
#[test]
fn any_index_can_be_ignored() {
    for device in devices() {
        for mapping in MAPPINGS {
            let indices: &[i64] = if device.slow {
                &[-1]
            } else {
                &[-100, -1, 2, 77]
            };
            for &index in indices {
                let device = &device.device;
                let loss = |reduction| {
                    let config = config(mapping).with_ignore_index(Some(index));
                    config.with_reduction(reduction).init(device)
                };
                let z: Tensor<2> = tensor(&normal(20, 1), [4, 5], DType::F32, device);
                let targets = classes(&[0, index, 4, index], [4], device);
                let each = values(loss(Reduction::None).forward(z.clone(), targets.clone()));
                assert!(
                    each[1] == 0.0 && each[3] == 0.0 && each[0] > 0.0,
                    "{each:?}"
                );
                let kept = z.clone().slice([0..1, 0..5]);
                let alone = loss(Reduction::Sum).forward(kept, classes(&[0], [1], device));
                assert_close("kept", &each[..1], &values(alone), 1e-5, 1e-6);
                let sum = values(loss(Reduction::Sum).forward(z.clone(), targets.clone()))[0];
                let mean = values(loss(Reduction::Mean).forward(z.clone(), targets))[0];
                assert!((sum - each[0] - each[2]).abs() < 1e-5 && (mean - sum / 2.0).abs() < 1e-5);

                let autodiff = device.clone().autodiff();
                let z: Tensor<2> =
                    tensor(&normal(20, 1), [4, 5], DType::F32, &autodiff).require_grad();
                let none = classes(&[index; 4], [4], &autodiff);
                for smoothing in [0.0, 0.1] {
                    let config = config(mapping).with_ignore_index(Some(index));
                    let mean = config.with_label_smoothing(smoothing).init(&autodiff);
                    let mean = mean.forward(z.clone(), none.clone());
                    let grads = mean.clone().backward();
                    assert_eq!(values(mean.inner()), [0.0], "all ignored");
                    let grad = values(z.grad(&grads).expect("a gradient"));
                    assert!(grad.iter().all(|&g| g == 0.0), "{grad:?}");
                }
            }
        }
    }
}

/// test_losses::test_index_ignored: leaving out the class of the worst row lowers the sum.
#[test]
fn leaving_out_the_worst_lowers_the_sum() {
    let device = Device::flex();
    let z: Tensor<2> = tensor(&normal(120, 2), [20, 6], DType::F64, &device);
    let y: Vec<i64> = (0..20).map(|i| (i * 7) % 6).collect();
    let targets = classes(&y, [20], &device);
    for mapping in MAPPINGS {
        let config = config(mapping);
        let each = config.clone().with_reduction(Reduction::None).init(&device);
        let each = values(each.forward(z.clone(), targets.clone()));
        let worst = (0..20)
            .max_by(|&a, &b| each[a].total_cmp(&each[b]))
            .expect("rows");
        let sum = |index| {
            let config = config.clone().with_reduction(Reduction::Sum);
            let loss = config.with_ignore_index(Some(index)).init(&device);
            values(loss.forward(z.clone(), targets.clone()))[0]
        };
        assert!(sum(y[worst]) < sum(-100));
    }
}

/// A class is the distribution that has it alone, and smoothing is that distribution mixed with the
/// uniform one over the classes that are not hidden.
#[test]
fn soft_targets_and_label_smoothing() {
    let device = Device::flex();
    let mut flat = normal(20, 3);
    flat[7] = f64::NEG_INFINITY;
    let z: Tensor<2> = tensor(&flat, [4, 5], DType::F64, &device);
    let hard = classes(&[0, 3, 4, 1], [4], &device);
    let soft = |share: f64| -> Tensor<2> {
        let mut y = vec![0.0; 20];
        for (row, class) in [0, 3, 4, 1].into_iter().enumerate() {
            let hidden = usize::from(row == 1);
            for j in 0..5 {
                if flat[row * 5 + j].is_finite() {
                    y[row * 5 + j] = share / (5 - hidden) as f64;
                }
            }
            y[row * 5 + class] += 1.0 - share;
        }
        tensor(&y, [4, 5], DType::F64, &device)
    };
    for mapping in MAPPINGS {
        let config = config(mapping).with_reduction(Reduction::None);
        let plain = config.clone().init(&device);
        let smooth = config.with_label_smoothing(0.1).init(&device);
        let expected = values(plain.forward(z.clone(), soft(0.0)));
        let found = values(plain.forward(z.clone(), hard.clone()));
        assert_close(
            &format!("{mapping:?} one-hot"),
            &found,
            &expected,
            0.0,
            1e-12,
        );
        let expected = values(plain.forward(z.clone(), soft(0.1)));
        let found = values(smooth.forward(z.clone(), hard.clone()));
        assert!(
            found.iter().all(|l| *l < 100.0),
            "hidden classes get no share: {found:?}"
        );
        assert_close(&format!("{mapping:?} smooth"), &found, &expected, 0.0, 1e-6);
    }
}

/// Class weights multiply the losses and divide the mean.
#[test]
fn class_weights_multiply_losses_and_divide_the_mean() {
    let device = Device::flex();
    let weights = vec![1.0, 0.5, 2.0, 0.0, 3.0];
    for mapping in MAPPINGS {
        let config = config(mapping).with_class_weights(Some(weights.clone()));
        let of = |reduction| config.clone().with_reduction(reduction).init(&device);
        let targets = classes(&[0, 4, -100, 1], [4], &device);
        let plain = EntmaxLossConfig::new().with_mapping(mapping);
        let plain = plain.with_reduction(Reduction::None).init(&device);
        let each = values(plain.forward(scores(&device), targets.clone()));
        let expected = [each[0], 3.0 * each[1], 0.0, 0.5 * each[3]];
        let found = values(of(Reduction::None).forward(scores(&device), targets.clone()));
        assert_close(&format!("{mapping:?}"), &found, &expected, 1e-9, 1e-12);
        let mean = values(of(Reduction::Mean).forward(scores(&device), targets));
        let expected = [expected.iter().sum::<f64>() / 4.5];
        assert_close(&format!("{mapping:?} mean"), &mean, &expected, 1e-9, 1e-12);
        // Soft targets: the expected weight of the class.
        let y: Tensor<2> = tensor(
            &[0.5, 0.0, 0.5, 0.0, 0.0].repeat(4),
            [4, 5],
            DType::F64,
            &device,
        );
        let found = values(of(Reduction::None).forward(scores(&device), y.clone()));
        let expected = values(plain.forward(scores(&device), y) * 1.5);
        assert_close(&format!("{mapping:?} soft"), &found, &expected, 1e-9, 1e-12);
    }
}

/// Smoothing, weights and the mean together, differentiated.
#[test]
fn gradients_with_every_option() {
    let inputs = [(normal(20, 4), [4, 5])];
    for mapping in MAPPINGS {
        let found = gradcheck(&format!("{mapping:?}"), &inputs, |x| {
            let device = x[0].device();
            let loss = config(mapping)
                .with_ignore_index(Some(2))
                .with_label_smoothing(0.2)
                .with_class_weights(Some(vec![1.0, 0.5, 2.0, 0.25, 3.0]))
                .init(&device);
            loss.forward(x[0].clone(), classes(&[0, 4, 2, 1], [4], &device))
        });
        assert!(
            found[0].iter().any(|g| g.abs() > 1e-3),
            "the check is not vacuous"
        );
        assert!(
            found[0][10..15].iter().all(|&g| g == 0.0),
            "row 2 is ignored"
        );
    }
}

/// Scores of any rank: the losses there are for matrices only.
#[test]
fn any_rank_of_scores() {
    let device = Device::flex();
    let flat: Tensor<2> = tensor(&normal(60, 5), [12, 5], DType::F64, &device);
    let y: Vec<i64> = (0..12).map(|i| (i * 7) % 5).collect();
    let expected = values(entmax15_loss(flat.clone(), classes(&y, [12], &device)));
    let z = flat.clone().reshape([2, 3, 2, 5]);
    let found = entmax15_loss(z, classes(&y, [2, 3, 2], &device));
    assert_eq!(values(found), expected);
    let single: Tensor<1> = flat.slice([0..1, 0..5]).reshape([5]);
    let found = entmax15_loss(single, classes(&y[..1], [1], &device));
    assert_close("one row", &values(found), &expected[..1], 0.0, 1e-15);
}

#[test]
fn bad_targets_are_errors_that_name_both_shapes() {
    let device = Device::flex();
    let loss = EntmaxLossConfig::new().init(&device);
    let attempt = |loss: &EntmaxLoss, y: &[i64]| {
        loss.try_forward(scores(&device), classes(y, [y.len()], &device))
    };
    for (y, value, row) in [([0, 5, 1, 2], 5, 1), ([0, 1, 2, -1], -1, 3)] {
        let error = attempt(&loss, &y).expect_err("no such class");
        let expected = LossError::TargetOutOfRange {
            value,
            row,
            n_classes: 5,
            targets: vec![4],
            scores: vec![4, 5],
        };
        assert_eq!(error, expected);
        let text = error.to_string();
        assert!(
            text.contains("[4]") && text.contains("[4, 5]") && text.contains("0..5"),
            "{text}"
        );
    }
    let text = attempt(&loss, &[0, 1]).expect_err("no fit").to_string();
    assert!(
        text.contains("[2]") && text.contains("[4, 5]") && text.contains("[4]"),
        "{text}"
    );
    let y: Tensor<2> = tensor(&[0.3; 20], [4, 5], DType::F64, &device);
    let text = loss
        .try_forward(scores(&device), y)
        .expect_err("sum 1.5")
        .to_string();
    assert!(text.contains("row 0 has sum 1.5"), "{text}");
    let weights = EntmaxLossConfig::new()
        .with_class_weights(Some(vec![1.0; 3]))
        .init(&device);
    let text = attempt(&weights, &[0; 4])
        .expect_err("three weights")
        .to_string();
    assert!(
        text.contains("3 weights") && text.contains("5 classes"),
        "{text}"
    );
    let wrong = config(LossMapping::Entmax { alpha: -1.0 }).init(&device);
    let text = attempt(&wrong, &[0; 4]).expect_err("alpha").to_string();
    assert!(text.starts_with("alpha = -1"), "{text}");
}

/// The free functions and the module agree; unchecked targets below 0 are left out.
#[test]
fn the_module_is_the_function() {
    let device = Device::flex();
    let targets = classes(&[0, -3, 4, 1], [4], &device);
    let loss = config(LossMapping::Sparsemax)
        .with_check_targets(false)
        .with_reduction(Reduction::None)
        .init(&device);
    let found = values(loss.forward(scores(&device), targets.clone()));
    let expected = values(sparsemax_loss(scores(&device), targets));
    assert_close("module", &found, &expected, 0.0, 1e-15);
    assert_eq!(found[1], 0.0);
}

/// No row has no loss, and the mean of none is 0, whatever the rank: rows were counted into a dimension of another size.
#[test]
fn no_rows_have_no_loss() {
    for device in devices() {
        if device.name == "wgpu" {
            continue; // no target of no row is tried there
        }
        let device = &device.device;
        let none = || Tensor::<3>::zeros([2, 0, 5], device);
        let targets = || classes(&[], [2, 0], device);
        assert_eq!(entmax15_loss(none(), targets()).dims(), [0]);
        assert_eq!(entmax15_loss(none(), none()).dims(), [0]);
        for mapping in MAPPINGS {
            for smoothing in [0.0, 0.1] {
                let config = config(mapping)
                    .with_label_smoothing(smoothing)
                    .with_class_weights(Some(vec![1.0, 0.5, 2.0, 0.0, 3.0]));
                let of = |reduction| config.clone().with_reduction(reduction).init(device);
                for targets in [Targets::from(targets()), Targets::from(none())] {
                    let each = of(Reduction::None).forward(none(), targets.clone());
                    assert_eq!(each.dims(), [0], "{mapping:?}");
                    let mean = of(Reduction::Mean).forward(none(), targets);
                    assert_eq!(values(mean), [0.0], "{mapping:?}");
                }
            }
        }
    }
}

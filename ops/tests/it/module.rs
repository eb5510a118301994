//! The modules: any mapping, and α learned per head.

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor};
use sparta_ops::entmax::{budget_bisect, normmax_bisect};
use sparta_ops::module::{AlphaEntmaxConfig, EntmaxConfig, RowMapping};
use sparta_ops::testing::{assert_close, devices, normal, tensor, values};
use sparta_ops::{entmax, entmax15, fusedmax, oscarmax, softmax, sparsemax};

#[test]
fn every_mapping_along_any_dimension() {
    let device = Device::flex();
    let z: Tensor<3> = tensor(&normal(60, 1), [3, 4, 5], DType::F64, &device);
    for dim in [-1, 1, 0] {
        let z = || z.clone();
        let expected = [
            (RowMapping::Softmax, softmax(z(), dim)),
            (RowMapping::Sparsemax, sparsemax(z(), dim)),
            (RowMapping::Entmax15, entmax15(z(), dim)),
            (RowMapping::Entmax { alpha: 1.3 }, entmax(z(), 1.3, dim)),
            (
                RowMapping::Normmax { alpha: 1.3 },
                normmax_bisect(z(), 1.3, dim, None),
            ),
            (
                RowMapping::Fusedmax { lambda: 0.1 },
                fusedmax(z(), 0.1, dim),
            ),
            (
                RowMapping::Oscarmax { lambda: 0.05 },
                oscarmax(z(), 0.05, dim),
            ),
            (
                RowMapping::Budget { budget: 2.0 },
                budget_bisect(z(), 2.0, dim, None),
            ),
        ];
        for (mapping, expected) in expected {
            let module = EntmaxConfig::new()
                .with_mapping(mapping)
                .with_dim(dim as i64)
                .init();
            let expected = values(expected);
            assert_eq!(values(module.forward(z())), expected, "{mapping:?}");
            assert_eq!(
                values(module.try_forward(z()).expect("good arguments")),
                expected
            );
        }
    }
    assert_eq!(EntmaxConfig::new().init().num_params(), 0);
}

/// α = 1 + sigmoid(a), one per head, drawn from N(0, 1), readable, clamped if asked.
#[test]
fn alpha_per_head() {
    let device = Device::flex();
    let module = AlphaEntmaxConfig::new(vec![3]).init(&device);
    assert_eq!(module.num_params(), 3);
    let raw = values(module.raw_alpha.val());
    let alpha = values(module.alpha());
    for (a, alpha) in raw.iter().zip(&alpha) {
        assert!((1.0 + 1.0 / (1.0 + (-a).exp()) - alpha).abs() < 1e-6);
    }
    let z: Tensor<4> = tensor(&normal(2 * 3 * 4 * 6, 2), [2, 3, 4, 6], DType::F32, &device);
    let p = module.forward(z.clone(), -1);
    for (head, &alpha) in alpha.iter().enumerate() {
        let of = |x: Tensor<4>| x.slice([0..2, head..head + 1, 0..4, 0..6]);
        let expected = values(entmax(of(z.clone()), alpha, 3));
        assert_close(
            &format!("head {head}"),
            &values(of(p.clone())),
            &expected,
            0.0,
            1e-6,
        );
    }
    let spread = values(
        AlphaEntmaxConfig::new(vec![4000])
            .init(&device)
            .raw_alpha
            .val(),
    );
    let mean = spread.iter().sum::<f64>() / 4000.0;
    let variance = spread.iter().map(|a| (a - mean) * (a - mean)).sum::<f64>() / 4000.0;
    assert!(
        mean.abs() < 0.1 && (variance - 1.0).abs() < 0.1,
        "{mean} {variance}"
    );

    let clamped = AlphaEntmaxConfig::new(vec![100])
        .with_alpha_min(Some(1.6))
        .init(&device);
    assert!(
        values(clamped.alpha())
            .iter()
            .all(|&alpha| (1.6 - 1e-6..=2.0).contains(&alpha))
    );
}

/// A shape of the scores' rank is taken as it is; one that does not fit is an error.
#[test]
fn a_given_shape() {
    let device = Device::flex();
    let z: Tensor<2> = tensor(&normal(20, 3), [4, 5], DType::F32, &device);
    let per_row = AlphaEntmaxConfig::new(vec![4, 1]).init(&device);
    let alpha = per_row.alpha().reshape([4, 1]);
    assert_eq!(
        values(per_row.forward(z.clone(), 1)),
        values(entmax(z.clone(), alpha, 1))
    );
    let one = AlphaEntmaxConfig::new(vec![]).init(&device);
    assert_eq!(one.forward(z.clone(), 0).dims(), [4, 5]);
    for shape in [vec![3, 1], vec![5], vec![4, 1, 1]] {
        let module = AlphaEntmaxConfig::new(shape).init(&device);
        let error = module
            .try_forward(z.clone(), 1)
            .expect_err("no fit")
            .to_string();
        assert!(
            error.contains("alpha of shape") && error.contains("[4, 5]"),
            "{error}"
        );
    }
}

/// A bound that no α is above, or that is none: `clamp` panicked with words of its own, out of `try_forward` too.
#[test]
fn a_bound_above_every_alpha_is_refused() {
    let device = Device::flex();
    let z: Tensor<2> = tensor(&normal(20, 3), [4, 5], DType::F32, &device);
    for bad in [2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let expected = format!("alpha_min = {bad}: the lower bound of a learned alpha");
        let mut module = AlphaEntmaxConfig::new(vec![1]).init(&device);
        module.alpha_min = Some(bad);
        let error = module.try_forward(z.clone(), 1).expect_err("no bound");
        assert!(error.to_string().starts_with(&expected), "{error}");
        let config = AlphaEntmaxConfig::new(vec![1]).with_alpha_min(Some(bad));
        let init = std::panic::AssertUnwindSafe(|| config.init(&device));
        let said = std::panic::catch_unwind(init).expect_err("no bound");
        let said = said.downcast_ref::<String>().expect("a message");
        assert!(said.contains(&expected), "{said}");
    }
    let highest = AlphaEntmaxConfig::new(vec![3]).with_alpha_min(Some(2.0));
    assert_eq!(values(highest.init(&device).alpha()), [2.0; 3]);
}

/// Of scores without a row α cannot be laid out in rows.
#[test]
fn no_scores_are_no_weights() {
    for device in devices() {
        let device = &device.device;
        let module = AlphaEntmaxConfig::new(vec![4]).init(device);
        for shape in [[2, 4, 0, 7], [0, 4, 3, 7], [2, 4, 3, 0]] {
            let found = module.forward(Tensor::<4>::zeros(shape, device), -1);
            assert_eq!(found.dims(), shape);
        }
    }
    let device = Device::flex();
    let none = AlphaEntmaxConfig::new(vec![0]).init(&device);
    let found = none.forward(Tensor::<4>::zeros([2, 0, 3, 7], &device), -1);
    assert_eq!(found.dims(), [2, 0, 3, 7]);
}

/// Gradient descent finds an α: the weights of α = 1.8 are learned from scores and weights alone.
#[test]
fn alpha_can_be_learned() {
    let device = Device::flex().autodiff();
    let mut module = AlphaEntmaxConfig::new(vec![1]).init(&device);
    let z: Tensor<2> = tensor(&normal(200, 4), [20, 10], DType::F32, &device);
    let target = entmax(z.clone(), 1.8, 1);
    let mut optimizer = SgdConfig::new().init();
    for _ in 0..300 {
        let difference = module.forward(z.clone(), 1) - target.clone();
        let loss = (difference.clone() * difference).sum();
        let grads = GradientsParams::from_grads(loss.backward(), &module);
        module = optimizer.step(2.0, module, grads);
    }
    let alpha = values(module.alpha().inner())[0];
    assert!((alpha - 1.8).abs() < 1e-2, "{alpha}");
}

//! Kept positions with new ones behind them, against the elements one by one, on every backend.

use burn::tensor::{DType, Device, Int, Tensor};
use sparta_ops::attention::append_positions;
use sparta_ops::testing::{devices, normal, tensor, values};

struct Case {
    batch: usize,
    n_heads: usize,
    seq: usize,
    n_new: usize,
    d: usize,
    rows: Vec<i32>,
}

impl Case {
    fn new([batch, n_heads, seq, n_new, d]: [usize; 5], rows: &[i32]) -> Self {
        let rows = rows.to_vec();
        Self {
            batch,
            n_heads,
            seq,
            n_new,
            d,
            rows,
        }
    }

    /// Element `[i, h, p, j]` of all.
    fn element(&self, kept: &[f64], new: &[f64], [i, h, p, j]: [usize; 4]) -> f64 {
        match p.checked_sub(self.seq) {
            None => {
                let row = self.rows[i] as usize;
                kept[((row * self.n_heads + h) * self.seq + p) * self.d + j]
            }
            Some(p) => new[((i * self.n_heads + h) * self.n_new + p) * self.d + j],
        }
    }

    fn expected(&self, kept: &[f64], new: &[f64]) -> Vec<f64> {
        let mut all = Vec::new();
        for i in 0..self.rows.len() {
            for h in 0..self.n_heads {
                for p in 0..self.seq + self.n_new {
                    all.extend((0..self.d).map(|j| self.element(kept, new, [i, h, p, j])));
                }
            }
        }
        all
    }
}

fn cases() -> [Case; 4] {
    [
        Case::new([1, 1, 1, 1, 1], &[0]),
        Case::new([3, 2, 5, 1, 4], &[2, 0, 0, 2, 1]),
        Case::new([4, 3, 7, 2, 33], &[3, 3]),
        Case::new([2, 1, 3, 1, 8], &[1; 40]),
    ]
}

fn rounded(n: usize, seed: u64) -> Vec<f64> {
    // Of any type's values.
    (normal(n, seed).iter())
        .map(|x| (8.0 * x).round() / 8.0)
        .collect()
}

#[test]
fn every_row_has_the_positions_of_its_own_and_then_the_new_ones() {
    for device in devices() {
        for case in cases() {
            let of = |seq: usize| case.n_heads * seq * case.d;
            let kept = rounded(case.batch * of(case.seq), 1);
            let new = rounded(case.rows.len() * of(case.n_new), 2);
            let mut types = vec![DType::F32];
            if device.has_f64 {
                types.push(DType::F64);
            }
            if device.name == "flex" {
                types.extend([DType::BF16, DType::F16]);
            }
            for dtype in types {
                let rows = Tensor::<1, Int>::from_ints(case.rows.as_slice(), &device.device);
                let shape = [case.batch, case.n_heads, case.seq, case.d];
                let new_shape = [case.rows.len(), case.n_heads, case.n_new, case.d];
                let kept_tensor: Tensor<4> = tensor(&kept, shape, dtype, &device.device);
                let new_tensor: Tensor<4> = tensor(&new, new_shape, dtype, &device.device);
                let expected = case.expected(&kept, &new);
                let label = format!("{} {shape:?} {dtype:?}", device.name);
                let all = append_positions(kept_tensor.clone(), rows.clone(), new_tensor.clone());
                assert_eq!(values(all), expected, "{label}");
                // Views, as heads of a linear map's rows are: swapped twice, with a copy between.
                let view = |x: Tensor<4>| {
                    let [a, b, c, d] = x.dims();
                    x.swap_dims(1, 2)
                        .reshape([a, c, b * d])
                        .reshape([a, c, b, d])
                        .swap_dims(1, 2)
                };
                let all = append_positions(
                    view(kept_tensor.clone()),
                    rows.clone(),
                    view(new_tensor.clone()),
                );
                assert_eq!(values(all), expected, "{label}, views");
                // The last dimension apart.
                let apart = |x: Tensor<4>| {
                    let [a, b, c, d] = x.dims();
                    x.swap_dims(2, 3).reshape([a, b, d, c]).swap_dims(2, 3)
                };
                let all = append_positions(apart(kept_tensor), rows, apart(new_tensor));
                assert_eq!(values(all), expected, "{label}, transposed");
            }
        }
    }
}

#[test]
fn gradients_go_to_the_rows_they_come_from() {
    for device in devices() {
        let device = device.device.autodiff();
        let kept =
            Tensor::<4>::from_floats([[[[1.0]]], [[[2.0]]], [[[3.0]]]], &device).require_grad();
        let new = Tensor::<4>::from_floats([[[[4.0]]], [[[5.0]]]], &device).require_grad();
        let rows = Tensor::<1, Int>::from_ints([2, 2], &device);
        let all = append_positions(kept.clone(), rows, new.clone());
        let upstream =
            Tensor::<4>::from_floats([[[[1.0], [10.0]]], [[[100.0], [1000.0]]]], &device);
        let grads = (all * upstream).sum().backward();
        let of = |x: &Tensor<4>| values(x.grad(&grads).expect("a gradient"));
        assert_eq!(of(&kept), [0.0, 0.0, 101.0]);
        assert_eq!(of(&new), [10.0, 1000.0]);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let device = Device::flex();
    let kept = Tensor::<4>::zeros([2, 2, 3, 4], &device);
    let rows = |of: [i32; 1]| Tensor::<1, Int>::from_ints(of, &device);
    let refused = |rows: Tensor<1, Int>, shape: [usize; 4]| {
        let new = Tensor::<4>::zeros(shape, &device);
        let kept = kept.clone();
        let append = std::panic::AssertUnwindSafe(|| append_positions(kept, rows, new));
        let panic = std::panic::catch_unwind(append).expect_err("it does not fit");
        panic.downcast_ref::<String>().expect("a message").clone()
    };
    for shape in [[2, 2, 1, 4], [1, 3, 1, 4], [1, 2, 1, 5]] {
        let message = refused(rows([0]), shape);
        assert!(
            message.contains("do not go behind 1 rows of [2, 2, 3, 4]"),
            "{message}"
        );
    }
    for row in [2, -1] {
        let message = refused(rows([row]), [1, 2, 1, 4]);
        assert_eq!(message, format!("there is no row {row} in a batch of 2"));
    }
}

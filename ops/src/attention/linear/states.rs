//! The state before each chunk: prefix sums of what chunks add, of which gates leave a part.

use burn::tensor::{Bool, Tensor};

use crate::primitive::HIDDEN;

/// Chunks whose prefix sums are one matrix product. More are summed by groups of so many, so that time grows with the
/// chunks and not with their square; and no chunk is a slice of its own, whose gradient would be as large as all of them.
const GROUP: usize = 64;

/// `S_i = e^{a_{i−1}} S_{i−1} + U_{i−1}`: the state before each chunk, and after the last.
///
/// # Shapes
/// - S₀: `[rows, 1, width]`; U: `[rows, n, width]`; a: `[rows, n]`, not positive, 0 if not given
/// - states: `[rows, n + 1, width]`
pub(super) fn of_chunks(
    first: Tensor<3>,
    added: Tensor<3>,
    log_left: Option<Tensor<2>>,
) -> Tensor<3> {
    let [rows, n, width] = added.dims();
    if n <= GROUP {
        return of_group(first, added, log_left);
    }
    let (device, dtype) = (added.device(), added.dtype());
    let n_groups = n.div_ceil(GROUP);
    // Chunks that add nothing and leave everything.
    let missing = n_groups * GROUP - n;
    let behind = Tensor::zeros([rows, missing, width], (&device, dtype));
    let added = Tensor::cat(vec![added, behind], 1);
    let added = added.reshape([rows * n_groups, GROUP, width]);
    let log_left = log_left.map(|left| {
        let behind = Tensor::zeros([rows, missing], (&device, dtype));
        Tensor::cat(vec![left, behind], 1).reshape([rows * n_groups, GROUP])
    });

    let none = Tensor::zeros([rows * n_groups, 1, width], (&device, dtype));
    let alone = of_group(none, added, log_left.clone());
    let within = (alone.clone()).slice([0..rows * n_groups, 0..GROUP]);
    let totals = alone.slice([0..rows * n_groups, GROUP..GROUP + 1]);
    let left_of_group = (log_left.clone()).map(|left| left.sum_dim(1).reshape([rows, n_groups]));
    let of_groups = of_chunks(
        first,
        totals.reshape([rows, n_groups, width]),
        left_of_group,
    );

    let before = (of_groups.clone()).slice([0..rows, 0..n_groups]);
    let before = before.reshape([rows * n_groups, 1, width]);
    let before = match log_left {
        None => before,
        Some(left) => before * so_far(left).slice([0..rows * n_groups, 0..GROUP]).exp(),
    };
    let all = (within + before).reshape([rows, n_groups * GROUP, width]);
    let last = of_groups.slice([0..rows, n_groups..n_groups + 1]);
    Tensor::cat(vec![all.slice([0..rows, 0..n]), last], 1)
}

/// [`of_chunks`] as one product with `e^{A_{i−1} − A_j}` for j < i, A being the sums of a.
fn of_group(first: Tensor<3>, added: Tensor<3>, log_left: Option<Tensor<2>>) -> Tensor<3> {
    let [rows, n, _] = added.dims();
    let not_before = Tensor::<2, Bool>::tril_mask([n + 1, n], -1, &added.device());
    let not_before = not_before.reshape([1, n + 1, n]).expand([rows, n + 1, n]);
    match log_left {
        None => {
            let ones = Tensor::<3>::ones([rows, n + 1, n], (&added.device(), added.dtype()));
            first + ones.mask_fill(not_before, 0.0).matmul(added)
        }
        Some(left) => {
            let so_far = so_far(left);
            let after = (so_far.clone()).slice([0..rows, 1..n + 1]).swap_dims(1, 2);
            let between = (so_far.clone() - after).mask_fill(not_before, HIDDEN).exp();
            first * so_far.exp() + between.matmul(added)
        }
    }
}

/// The sum of a before each chunk, and of all: `[rows, n + 1, 1]`.
fn so_far(log_left: Tensor<2>) -> Tensor<3> {
    let [rows, _] = log_left.dims();
    let none = Tensor::zeros([rows, 1], (&log_left.device(), log_left.dtype()));
    Tensor::cat(vec![none, log_left.cumsum(1)], 1).unsqueeze_dim(2)
}

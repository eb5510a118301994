//! α and budgets: a number for all rows or a tensor with one for each, and what they may be.

use burn::tensor::{DType, Tensor, bf16, f16};

use super::EntmaxError;
use super::rows::last_dim_rows;

/// An argument of a mapping, α or a budget: a number, or a tensor broadcast over rows.
#[derive(Clone, Debug)]
// Made, moved once and taken apart: a box would only hide the tensor from its user.
#[allow(clippy::large_enum_variant)]
pub enum PerRow<const D: usize> {
    /// One value for all rows, without gradient.
    Number(f64),
    /// Size 1 along the normalised dimension and 1 or the scores' size along the others; has a
    /// gradient.
    Tensor(Tensor<D>),
}

impl<const D: usize> From<f64> for PerRow<D> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl<const D: usize> From<Tensor<D>> for PerRow<D> {
    fn from(tensor: Tensor<D>) -> Self {
        Self::Tensor(tensor)
    }
}

/// The name of an argument and the finite values it may take.
#[derive(Clone, Copy)]
pub(crate) struct Domain {
    argument: &'static str,
    needs: &'static str,
    contains: fn(f64) -> bool,
}

pub(crate) const ENTMAX_ALPHA: Domain = Domain {
    argument: "alpha",
    needs: "entmax needs a finite alpha > 0 (1 is softmax, 2 is sparsemax)",
    contains: |alpha| alpha > 0.0,
};

pub(crate) const ALPHA_MIN: Domain = Domain {
    argument: "alpha_min",
    needs: "the lower bound of a learned alpha is a finite number <= 2, the largest alpha",
    contains: |min| min <= 2.0,
};

pub(crate) const NORMMAX_ALPHA: Domain = Domain {
    argument: "alpha",
    needs: "normmax needs a finite alpha > 1",
    contains: |alpha| alpha > 1.0,
};

pub(crate) const BUDGET: Domain = Domain {
    argument: "budget",
    needs: "a budget is a finite number >= 0, the sum of the weights of a row",
    contains: |budget| budget >= 0.0,
};

pub(crate) const LAMBDA: Domain = Domain {
    argument: "lambda",
    needs: "fusedmax and oscarmax need a finite lambda >= 0 (0 is sparsemax)",
    contains: |lambda| lambda >= 0.0,
};

impl Domain {
    pub(crate) fn check(self, value: f64) -> Result<(), EntmaxError> {
        let Self {
            argument,
            needs,
            contains,
        } = self;
        match value.is_finite() && contains(value) {
            true => Ok(()),
            false => Err(EntmaxError::OutOfRange {
                argument,
                value,
                needs,
            }),
        }
    }
}

impl<const D: usize> PerRow<D> {
    /// Whether every value is in the domain; reads a tensor from its device, unless there are no scores that it is for.
    pub(crate) fn check(&self, domain: Domain, scores: &Tensor<D>) -> Result<(), EntmaxError> {
        match self {
            Self::Number(number) => domain.check(*number),
            Self::Tensor(_) if scores.dims().contains(&0) => Ok(()),
            Self::Tensor(tensor) => tensor
                .to_data()
                .iter::<f64>()
                .try_for_each(|value| domain.check(value)),
        }
    }

    /// The values as a column `[rows, 1]`, once their shape is known to fit; a number is checked. Of no rows it is made anew.
    pub(crate) fn column(
        self,
        domain: Domain,
        scores: &Tensor<D>,
        dim: usize,
    ) -> Result<Tensor<2>, EntmaxError> {
        let mut column = scores.dims();
        column[dim] = 1;
        let tensor = match self {
            Self::Number(number) => {
                domain.check(number)?;
                let rows = column.iter().product();
                let dtype = match scores.dtype() {
                    DType::F64 => DType::F64,
                    _ => DType::F32,
                };
                return Ok(Tensor::full([rows, 1], number, (&scores.device(), dtype)));
            }
            Self::Tensor(tensor) => tensor,
        };
        let sizes = tensor.dims();
        if !(0..D).all(|d| sizes[d] == 1 || sizes[d] == column[d]) {
            return Err(EntmaxError::Shape {
                argument: domain.argument,
                found: sizes.to_vec(),
                scores: scores.dims().to_vec(),
                dim,
            });
        }
        if column.contains(&0) {
            return Ok(Tensor::zeros([0, 1], (&tensor.device(), tensor.dtype())));
        }
        Ok(last_dim_rows(tensor.expand(column), dim))
    }
}

/// Reads from the device whether the scores hold NaN or +∞, which are none.
pub(crate) fn check_scores<const D: usize>(scores: &Tensor<D>) -> Result<(), EntmaxError> {
    if scores.dims().contains(&0) {
        return Ok(());
    }
    let largest = match scores.dtype() {
        DType::F64 => f64::MAX,
        DType::F16 => f16::MAX.to_f64(),
        DType::BF16 => bf16::MAX.to_f64(),
        _ => f32::MAX.into(),
    };
    let is_bad = scores.clone().is_nan();
    let is_bad = is_bad.bool_or(scores.clone().greater_elem(largest));
    let count = is_bad.int().sum().into_scalar::<i64>();
    if count == 0 {
        return Ok(());
    }
    let data = scores.to_data();
    let is_bad = |(_, score): &(usize, f64)| score.is_nan() || *score == f64::INFINITY;
    let first = data.iter::<f64>().enumerate().find(is_bad);
    let (index, value) = first.unwrap_or((0, f64::NAN));
    Err(EntmaxError::NotAScore {
        position: position(index, &scores.dims()),
        value,
        count: count as usize,
        shape: scores.dims().to_vec(),
    })
}

/// The indices of an element, given its index in row-major order.
fn position(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut position = vec![0; shape.len()];
    for (place, size) in position.iter_mut().zip(shape).rev() {
        *place = index % size;
        index /= size;
    }
    position
}

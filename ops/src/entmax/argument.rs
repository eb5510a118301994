//! α and budgets: a number for all rows or a tensor with one for each, and what they may be.

use burn::tensor::{DType, Tensor};

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
    /// Whether every value is in the domain; reads a tensor from its device.
    pub(crate) fn check(&self, domain: Domain) -> Result<(), EntmaxError> {
        match self {
            Self::Number(number) => domain.check(*number),
            Self::Tensor(tensor) => tensor
                .to_data()
                .iter::<f64>()
                .try_for_each(|value| domain.check(value)),
        }
    }

    /// The values as a column `[rows, 1]`, once their shape is known to fit; a number is checked.
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
        Ok(last_dim_rows(tensor.expand(column), dim))
    }
}

/// Reads from the device whether a tensor holds NaN.
pub(crate) fn no_nan<const D: usize>(
    argument: &'static str,
    tensor: &Tensor<D>,
) -> Result<(), EntmaxError> {
    if tensor.dims().contains(&0) {
        return Ok(());
    }
    let count = tensor.clone().is_nan().int().sum().into_scalar::<i64>();
    match count {
        0 => Ok(()),
        _ => Err(EntmaxError::NaN {
            argument,
            shape: tensor.dims().to_vec(),
            count: count as usize,
        }),
    }
}

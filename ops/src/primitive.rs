//! A thin wrapper of a backend's float primitive, so that formulas over any backend read as formulas.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, FloatDType, TensorMetadata, get_device_settings};
use burn::tensor::{DType, Shape, TensorData};

/// Scores at or below this value are hidden (WGSL has no −∞ literal).
pub const HIDDEN: f64 = -1e30;

/// The value at or below which a score of this type counts as hidden: [`HIDDEN`], or the minimum of
/// a type that cannot hold it.
pub(crate) fn hidden_at(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => -65504.0,
        _ => HIDDEN,
    }
}

/// A float array of backend `B`. Binary operations broadcast dimensions of size 1.
pub(crate) struct Array<B: Backend>(pub FloatTensor<B>);

impl<B: Backend> Clone for Array<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

macro_rules! binary {
    ($($name:ident => $float:ident),*) => {$(
        pub fn $name(&self, other: &Self) -> Self {
            Self(B::$float(self.0.clone(), other.0.clone()))
        }
    )*};
}

macro_rules! scalar {
    ($($name:ident => $float:ident),*) => {$(
        pub fn $name(&self, value: f64) -> Self {
            Self(B::$float(self.0.clone(), value.into()))
        }
    )*};
}

macro_rules! unary {
    ($($name:ident => $float:ident),*) => {$(
        pub fn $name(&self) -> Self {
            Self(B::$float(self.0.clone()))
        }
    )*};
}

impl<B: Backend> Array<B> {
    binary!(add => float_add, sub => float_sub, mul => float_mul, div => float_div);
    scalar!(add_scalar => float_add_scalar, scale => float_mul_scalar,
            at_least => float_clamp_min, at_most => float_clamp_max);
    unary!(exp => float_exp, log => float_log, sqrt => float_sqrt, recip => float_recip,
           erf => float_erf);

    pub fn squared(&self) -> Self {
        self.mul(self)
    }

    pub fn dtype(&self) -> DType {
        self.0.dtype()
    }

    pub fn shape(&self) -> Shape {
        self.0.shape()
    }

    pub fn cast(self, dtype: DType) -> Self {
        if self.dtype() == dtype {
            return self;
        }
        let dtype: FloatDType = dtype.into();
        Self(B::float_cast(self.0, dtype))
    }

    /// In f32 at least: half types are computed in f32.
    pub fn widen(self) -> Self {
        match self.dtype() {
            DType::F16 | DType::BF16 => self.cast(DType::F32),
            _ => self,
        }
    }

    pub fn sum(&self) -> Self {
        Self(B::float_sum_dim(self.0.clone(), 1))
    }

    pub fn max(&self) -> Self {
        Self(B::float_max_dim(self.0.clone(), 1))
    }

    pub fn cumsum(&self) -> Self {
        Self(B::float_cumsum(self.0.clone(), 1))
    }

    /// The `k` largest values of each row, descending.
    pub fn largest(&self, k: usize) -> Self {
        match k < self.shape()[1] {
            true => Self(B::float_topk(self.0.clone(), 1, k)),
            false => self.sort_descending(),
        }
    }

    pub fn sort_descending(&self) -> Self {
        Self(B::float_sort(self.0.clone(), 1, true))
    }

    /// `1, 2, …, n` along the last dimension, shape `[1, n]`.
    pub fn ranks(&self) -> Self {
        let n = self.shape()[1];
        let data = TensorData::new((1..=n).map(|i| i as f32).collect::<Vec<_>>(), [1, n]);
        Self(B::float_from_data(data, &self.0.device())).cast(self.dtype())
    }

    fn bool_dtype(&self) -> burn::tensor::BoolDType {
        get_device_settings::<B>(&self.0.device()).bool_dtype
    }

    /// A column `[rows, 1]` of one value.
    pub fn column(&self, value: f64) -> Self {
        let shape = Shape::from([self.shape()[0], 1]);
        let dtype = self.dtype().into();
        Self(B::float_full(shape, value.into(), &self.0.device(), dtype))
    }

    /// Where the value is NaN.
    pub fn is_nan(&self) -> BoolTensor<B> {
        B::float_is_nan(self.0.clone(), self.bool_dtype())
    }

    /// Where the value is +∞, in f32 at least.
    pub fn is_infinite(&self) -> BoolTensor<B> {
        let largest = match self.dtype() {
            DType::F64 => f64::MAX,
            _ => f32::MAX.into(),
        };
        B::float_greater_elem(self.0.clone(), largest.into(), self.bool_dtype())
    }

    /// Where the value is not > `limit`: NaN is not.
    pub fn is_not_above(&self, limit: f64) -> BoolTensor<B> {
        let above = B::float_greater_elem(self.0.clone(), limit.into(), self.bool_dtype());
        B::bool_not(above)
    }

    /// Where the value is < `limit`.
    pub fn is_below(&self, limit: f64) -> BoolTensor<B> {
        B::float_lower_elem(self.0.clone(), limit.into(), self.bool_dtype())
    }

    /// Where the value is ≤ `limit`.
    pub fn is_at_most(&self, limit: f64) -> BoolTensor<B> {
        B::float_lower_equal_elem(self.0.clone(), limit.into(), self.bool_dtype())
    }

    /// Where the value is ≤ the other's, of the same shape.
    pub fn is_at_most_of(&self, other: &Self) -> BoolTensor<B> {
        B::float_lower_equal(self.0.clone(), other.0.clone(), self.bool_dtype())
    }

    pub fn fill_where(self, mask: BoolTensor<B>, value: f64) -> Self {
        Self(B::float_mask_fill(self.0, mask, value.into()))
    }

    pub fn zero_where(self, mask: BoolTensor<B>) -> Self {
        self.fill_where(mask, 0.0)
    }

    /// `other` where the mask is true, `self` elsewhere; all of one shape.
    pub fn replace_where(self, mask: BoolTensor<B>, other: Self) -> Self {
        Self(B::float_mask_where(self.0, mask, other.0))
    }
}

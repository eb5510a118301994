//! In which number type networks multiply matrices and attend.

use std::cell::Cell;
use std::fmt;

use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::DType;
use serde::{Deserialize, Serialize};
use sparta_ops::linear::{LinearActivation, linear as linear_map};

/// The type of matrix products and of dot-product attention; parameters, and all else, are in f32.
///
/// Within [`Precision::within`] a network casts the operands of its linear maps, of the product with its output vocabulary, and the
/// queries, keys and values of dot-product attention; gradients go back through the casts, so that those of parameters are in
/// f32. In f32 stay what sums are long or differences small of: the stream between layers with residual sums and layer
/// normalisation, embeddings, row normalisers (whose scores are half), logits and losses, what a layer adds to scores or
/// multiplies them by until it is added, attention weights that are asked for or watched, with their scores, every mechanism
/// other than dot-product attention, and the small maps of BERT's heads.
///
/// bf16 has the range of f32 and 8 bits of precision; f16 has 11 and ends at 65504 and, for what keeps its precision, 6·10⁻⁵, so that
/// losses are multiplied by a large number before the gradients are taken.
///
/// # Source
/// Micikevicius et al. 2018, "Mixed Precision Training"; which operations are in which type is as in `torch.autocast`, but for
/// attention, where rows of scores go to their weights by one kernel.
///
/// ```
/// use burn::prelude::*;
/// use burn::tensor::{DType, Distribution};
/// use sparta_model::Precision;
/// use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig};
/// let device = Device::flex();
/// let attention = MultiHeadAttentionConfig::new(16, 2).init(&device);
/// let x = Tensor::<3>::random([1, 7, 16], Distribution::Default, &device);
/// let attend = || attention.forward(AttentionInput::self_attention(x.clone())).context;
/// assert_eq!(attend().dtype(), DType::F32);
/// assert_eq!(Precision::Bf16.within(attend).dtype(), DType::BF16);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision: nothing is cast.
    #[default]
    F32,
    /// 8 bits of precision.
    Bf16,
    /// 11 bits of precision.
    F16,
}

thread_local! {
    static NOW: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// The word in recipes and run records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Burn's name of it.
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Whether it is the type of parameters, so that nothing is cast.
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands a reference to it"
    )]
    pub fn is_full(&self) -> bool {
        *self == Self::F32
    }

    /// Does some work in which the networks that this thread calls compute in this type; a backward pass has the types of the
    /// forward pass wherever it runs.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let _restore = Restore(NOW.replace(self));
        work()
    }

    /// That of the work that this thread is at.
    pub fn now() -> Self {
        NOW.get()
    }
}

/// Puts what was before back, also after a panic.
struct Restore(Precision);

impl Drop for Restore {
    fn drop(&mut self) {
        NOW.set(self.0);
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tensor in the type of this thread's work; as it is where nothing is cast.
pub(crate) fn narrow<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match Precision::now() {
        Precision::F32 => tensor,
        half @ (Precision::Bf16 | Precision::F16) => tensor.cast(half.dtype()),
    }
}

/// A tensor in f32 where this thread's work made a half one of it.
pub(crate) fn widen<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match Precision::now() {
        Precision::F32 => tensor,
        Precision::Bf16 | Precision::F16 => tensor.cast(DType::F32),
    }
}

/// a·b in the type of this thread's work.
pub(crate) fn product<const D: usize>(a: Tensor<D>, b: Tensor<2>) -> Tensor<D> {
    linear_map(narrow(a), narrow(b), None, LinearActivation::Identity)
}

/// A linear map in the type of this thread's work.
pub(crate) fn linear<const D: usize>(map: &Linear, input: Tensor<D>) -> Tensor<D> {
    linear_to(map, input, LinearActivation::Identity)
}

/// [`linear`] with an activation behind it.
pub(crate) fn linear_to<const D: usize>(
    map: &Linear,
    input: Tensor<D>,
    activation: LinearActivation,
) -> Tensor<D> {
    let bias = map.bias.as_ref().map(|bias| narrow(bias.val()));
    linear_map(narrow(input), narrow(map.weight.val()), bias, activation)
}

/// A linear map in the type of its parameters.
pub(crate) fn linear_in_full<const D: usize>(map: &Linear, input: Tensor<D>) -> Tensor<D> {
    let bias = map.bias.as_ref().map(|bias| bias.val());
    linear_map(input, map.weight.val(), bias, LinearActivation::Identity)
}

/// Scores of a vocabulary: the product in the type of this thread's work, what is made of it in that of the bias or, without
/// one, of the rows.
pub(crate) fn scores(rows: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    match (Precision::now(), bias) {
        (Precision::F32, bias) => linear_map(rows, weight, bias, LinearActivation::Identity),
        (Precision::Bf16 | Precision::F16, None) => {
            let dtype = rows.dtype();
            product(rows, weight).cast(dtype)
        }
        (Precision::Bf16 | Precision::F16, Some(bias)) => {
            product(rows, weight).cast(bias.dtype()) + bias.unsqueeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_within_work_and_panics_put_back_what_was_before() {
        assert_eq!(Precision::now(), Precision::F32);
        Precision::Bf16.within(|| {
            assert_eq!(Precision::now(), Precision::Bf16);
            Precision::F16.within(|| assert_eq!(Precision::now(), Precision::F16));
            assert_eq!(Precision::now(), Precision::Bf16);
            let gone = std::panic::catch_unwind(|| Precision::F16.within(|| panic!("gone")));
            assert!(gone.is_err());
            assert_eq!(Precision::now(), Precision::Bf16);
            let elsewhere = std::thread::spawn(Precision::now).join();
            assert_eq!(elsewhere.unwrap(), Precision::F32);
        });
        assert_eq!(Precision::now(), Precision::F32);
    }
}

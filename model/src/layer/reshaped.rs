//! Shapes with sizes of 0.

use burn::prelude::*;

/// [`Tensor::reshape`] to a shape that is what it says: Burn reads a size of 0 as the size that the tensor has at its place.
///
/// # Panics
/// If the tensor has more or fewer elements.
pub(crate) fn reshaped<const D: usize, const D2: usize>(
    tensor: Tensor<D>,
    shape: [usize; D2],
) -> Tensor<D2> {
    if !shape.contains(&0) {
        return tensor.reshape(shape);
    }
    assert!(
        tensor.dims().contains(&0),
        "{:?} has elements, {shape:?} none",
        tensor.dims()
    );
    Tensor::zeros(shape, (&tensor.device(), tensor.dtype()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_of_zero_is_zero() {
        let device = Device::flex();
        let none = Tensor::<3>::zeros([2, 0, 3], &device);
        assert_eq!(reshaped(none.clone(), [0, 3]).dims(), [0, 3]);
        assert_eq!(reshaped(none, [1, 0, 5, 2]).dims(), [1, 0, 5, 2]);
        let some = Tensor::<1>::from_floats([1.0, 2.0], &device);
        assert_eq!(reshaped(some, [2, 1]).dims(), [2, 1]);
    }

    #[test]
    #[should_panic(expected = "[2] has elements, [0, 2] none")]
    fn nothing_is_lost() {
        reshaped(Tensor::<1>::zeros([2], &Device::flex()), [0, 2]);
    }
}

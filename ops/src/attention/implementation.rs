//! The implementations of attention, and the one place where a call's is chosen.

use burn::tensor::{DType, Device, Distribution, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{AttentionError, AttentionOptions};
use crate::backend::is_on_host;
use crate::entmax::Mapping;

/// Keys of a row, and queries, from which fused attention is no slower than its readable definition on a CPU:
/// measured with heads of 32 and 64 (`benches/attention`, the cases "where `auto` changes over").
const PAYS_FROM: [usize; 2] = [192, 16];

/// Keys of a row from which it is with a relative term, which the definition takes a product and a copy more for.
const PAYS_FROM_WITH_RELATIVE: usize = 128;

/// An implementation of attention, or the choice of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Implementation {
    /// Fused on a CPU, where the request has enough keys (192, or 128 with a relative term) and queries (16) for it to pay, by
    /// measurement. On a GPU, where the kernels have not been measured, the readable definition.
    #[default]
    Auto,
    /// The readable definition, which holds all scores at once: memory grows with `seq_q · seq_kv`.
    Reference,
    /// Kernels that hold one block of queries' scores at a time and skip what is zero: memory grows
    /// with `seq_q + seq_kv`. There are none for fusedmax and oscarmax, nor for a span of a row normaliser
    /// other than softmax; on a GPU there are none for a relative term and for the gradient of a bias or span.
    Fused,
}

impl Implementation {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Reference, Self::Fused];

    /// The implementation of a device: `auto` becomes `Fused` where there are kernels that were measured
    /// to pay, else `Reference`. A request may need more: see [`AttentionOptions::resolve`].
    ///
    /// # Errors
    /// [`AttentionError::NoKernels`] for `Fused` on a device without.
    pub fn on(self, device: &Device) -> Result<Self, AttentionError> {
        match (self, kernels(device)) {
            (Self::Reference, _) | (Self::Auto, Kernels::None | Kernels::Unmeasured) => {
                Ok(Self::Reference)
            }
            (Self::Auto, Kernels::Measured)
            | (Self::Fused, Kernels::Measured | Kernels::Unmeasured) => Ok(Self::Fused),
            (Self::Fused, Kernels::None) => Err(AttentionError::NoKernels {
                device: format!("{device:?}"),
            }),
        }
    }

    /// The name in recipes, flags and run records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
            Self::Fused => "fused",
        }
    }
}

impl std::str::FromStr for Implementation {
    type Err = AttentionError;

    fn from_str(name: &str) -> Result<Self, AttentionError> {
        Self::ALL
            .into_iter()
            .find(|implementation| implementation.as_str() == name)
            .ok_or_else(|| AttentionError::Implementation(name.to_owned()))
    }
}

impl AttentionOptions {
    /// The implementation that will compute this on a device, `Reference` or `Fused`, for so many queries
    /// and keys in f32 or a half type.
    ///
    /// # Errors
    /// If [`Implementation::Fused`] is asked for and cannot be had: with the weights, which it never
    /// holds ([`AttentionError::FusedWeights`]), on a device without kernels for it
    /// ([`AttentionError::NoKernels`]), or whose kernels do not serve the request
    /// ([`AttentionError::NoKernelFor`]). `Auto` takes the definition there.
    pub fn resolve(
        &self,
        device: &Device,
        sizes: [usize; 2],
    ) -> Result<Implementation, AttentionError> {
        self.resolve_for(device, DType::F32, sizes)
    }

    /// [`Self::resolve`] for a query of any type.
    pub(super) fn resolve_for(
        &self,
        device: &Device,
        dtype: DType,
        sizes @ [seq_q, seq_kv]: [usize; 2],
    ) -> Result<Implementation, AttentionError> {
        let n_keys = match self.relative {
            Some(_) => PAYS_FROM_WITH_RELATIVE,
            None => PAYS_FROM[0],
        };
        let pays = seq_kv >= n_keys && seq_q >= PAYS_FROM[1];
        if self.implementation == Implementation::Auto && (self.return_weights || !pays) {
            return Ok(Implementation::Reference);
        }
        let found = self.implementation.on(device)?;
        if found != Implementation::Fused {
            return Ok(found);
        }
        if self.return_weights {
            return Err(AttentionError::FusedWeights);
        }
        match (unserved(self, device, dtype, sizes), self.implementation) {
            (None, _) => Ok(Implementation::Fused),
            (Some(_), Implementation::Auto) => Ok(Implementation::Reference),
            (Some(request), Implementation::Reference | Implementation::Fused) => {
                Err(AttentionError::NoKernelFor {
                    request,
                    device: format!("{device:?}"),
                })
            }
        }
    }

    /// Draws the seed of dropout where kernels need one, and on a CPU; elsewhere it would wait for the device.
    pub(super) fn draw_seed(&mut self, device: &Device, implementation: Implementation) {
        let wants_one =
            implementation == Implementation::Fused || kernels(device) == Kernels::Measured;
        if self.dropout == 0.0 || self.dropout_seed.is_some() || !wants_one {
            return;
        }
        self.dropout_seed = Some(draw_seed(device));
    }
}

/// A seed of [`Dropout`](super::Dropout), by the generator of a device on the host.
pub(crate) fn draw_seed(device: &Device) -> u64 {
    let range = Distribution::Uniform(0.0, f64::from(i32::MAX));
    let drawn = Tensor::<1, Int>::random([2], range, &device.clone().inner());
    let halves: Vec<i64> = drawn.into_data().iter::<i64>().collect();
    halves
        .iter()
        .fold(0, |seed, &half| (seed << 32) ^ half as u64)
}

/// The fused kernels of a device.
#[derive(Clone, Copy, PartialEq)]
#[allow(dead_code)] // which of them there are depends on the backends compiled in
enum Kernels {
    None,
    /// They run, but nobody has measured on such a device where they pay.
    Unmeasured,
    Measured,
}

fn kernels(device: &Device) -> Kernels {
    if is_on_host(device) {
        return Kernels::Measured;
    }
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "cube")]
        burn::backend::DispatchDevice::Cube(_) => Kernels::Unmeasured,
        // Which variants there are depends on the features of Burn that are on.
        #[allow(unreachable_patterns)]
        _ => Kernels::None,
    }
}

/// The part of a request that the kernels of its device do not serve, in words.
fn unserved(
    options: &AttentionOptions,
    device: &Device,
    dtype: DType,
    sizes: [usize; 2],
) -> Option<String> {
    match (options.normalizer.fused_mapping(), &options.span) {
        (Err(name), _) => Some(format!("the row normaliser {name}")),
        // Only softmax's rows are those of other scores.
        (Ok(Mapping::Sparsemax | Mapping::Entmax15 | Mapping::Alpha(_)), Some(_)) => {
            Some("a span of a row normaliser other than softmax".to_owned())
        }
        (Ok(Mapping::Softmax), Some(_)) | (Ok(_), None) => {
            unserved_on(options, device, dtype, sizes)
        }
    }
}

/// The same of the kernels of a device; those of CPUs serve everything that any do.
#[cfg(feature = "cube")]
fn unserved_on(
    options: &AttentionOptions,
    device: &Device,
    dtype: DType,
    sizes: [usize; 2],
) -> Option<String> {
    use burn::backend::DispatchDevice;
    let device = device.clone().inner();
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => crate::cube::unserved(options, device, dtype, sizes),
        #[allow(unreachable_patterns)] // as above
        _ => None,
    }
}

#[cfg(not(feature = "cube"))]
fn unserved_on(_: &AttentionOptions, _: &Device, _: DType, _: [usize; 2]) -> Option<String> {
    None
}

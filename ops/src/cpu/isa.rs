//! Runs kernels with the best instruction set of the processor at hand.

/// Runs `f` as part of a function compiled for the best instruction set there is: everything
/// inlined into `f` is compiled once for each.
#[inline(always)]
pub(crate) fn dispatch<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has just said that it knows these instructions.
            return unsafe { avx512(f) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { avx2(f) };
        }
    }
    f()
}

/// What matrix products are built from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registers {
    /// 32 of 16 floats, with fused multiply-add.
    Wide,
    /// 16 of 8 floats, with fused multiply-add.
    Narrow,
    /// Whatever there is; a multiplication and an addition.
    Unknown,
}

/// [`dispatch`] of a function that is told what it is compiled for.
#[inline(always)]
pub(crate) fn dispatch_registers<R>(f: impl FnOnce(Registers) -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has just said that it knows these instructions.
            return unsafe {
                avx512(
                    #[inline(always)]
                    || f(Registers::Wide),
                )
            };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe {
                avx2_fma(
                    #[inline(always)]
                    || f(Registers::Narrow),
                )
            };
        }
    }
    match cfg!(target_arch = "aarch64") {
        true => f(Registers::Narrow),
        false => f(Registers::Unknown),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
fn avx512<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2_fma<R>(f: impl FnOnce() -> R) -> R {
    f()
}

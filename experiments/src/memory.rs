//! Memory of this process: what it keeps, and how much it took at most.

#![allow(unsafe_code, reason = "settings of the C library's allocator")]

/// Tells glibc's allocator to reuse large blocks rather than to unmap them.
///
/// A training step allocates and frees hundreds of tensors of megabytes. By default glibc maps
/// each from the kernel and unmaps it again, and a quarter of a step is spent on page faults.
/// Other allocators need nothing.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGEST: libc::c_int = libc::c_int::MAX;
        const SPARE: libc::c_int = 64 << 20;
        // SAFETY: mallopt takes two integers and changes only the allocator's own settings, under the allocator's lock; a
        // thread that allocates meanwhile does so by the old ones or the new. A setting it refuses stays as it was.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TOP_PAD, SPARE);
        }
    }
}

/// Gives back what [`keep_freed`] kept and forgets how much memory this process took at most so far, so that
/// [`largest_resident`] is about what comes after; whether the system could.
pub fn forget_largest() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes an integer, and returns unused pages to the system under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
    // Linux alone has the file; 5 resets the largest resident size.
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The largest resident memory of this process so far, in 10⁹ bytes, where the system says.
#[must_use]
pub fn largest_resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0 / 1e9)
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_before_is_forgotten() {
        const BYTES: usize = 400 << 20;
        let large = vec![1u8; BYTES];
        assert_eq!(std::hint::black_box(&large)[BYTES - 1], 1);
        let with = largest_resident().unwrap();
        drop(large);
        assert!(forget_largest());
        let without = largest_resident().unwrap();
        assert!(with - without > 0.3, "{with} {without}");
    }
}

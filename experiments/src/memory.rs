//! Keeps freed memory in the process instead of giving it back to the system after every tensor.

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
        // SAFETY: mallopt takes two integers and changes only the allocator's own settings; it is
        // called before any other thread exists. A setting it refuses stays as it was.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TOP_PAD, SPARE);
        }
    }
}

//! The threads that compute.

/// Makes the program's first thread one of Rayon's: what it computes in parallel begins without waking another to do it,
/// and there are as many threads as processors (or `RAYON_NUM_THREADS`), and not one more that waits.
///
/// A thread that ends must not be one of them, as those of a test harness do; then nothing happens.
pub(crate) fn compute_on_this_one() {
    if std::thread::current().name() == Some("main") {
        // Nobody has computed anything yet; if somebody had, the threads there are would do.
        let _ = (rayon::ThreadPoolBuilder::new().use_current_thread()).build_global();
    }
}

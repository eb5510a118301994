//! Bytes and sparsity in words.

use sparta_ops::pruning::Sparsity;

/// Memory that is free on this machine, in bytes.
pub(crate) fn available_memory() -> f64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let free = system.available_memory() as f64;
    match system.cgroup_limits() {
        Some(limits) => free.min(limits.free_memory as f64),
        None => free,
    }
}

/// Bytes as people read them.
pub(crate) fn gigabytes(bytes: f64) -> String {
    if bytes < 1e9 {
        format!("{:.0} MB", bytes / 1e6)
    } else {
        format!("{:.1} GB", bytes / 1e9)
    }
}

/// One line about what the mask of a row hides.
pub(crate) fn describe_sparsity(row: &str, sparsity: &Sparsity) -> String {
    let blocks = sparsity
        .blocks
        .iter()
        .map(|b| {
            format!(
                "{:.1} % of {}×{} blocks",
                100.0 * b.share,
                b.block_size,
                b.block_size
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "mask {row}: hides {:.1} % of the legal cells, {:.1} % of their uses, {blocks}",
        100.0 * sparsity.effective,
        100.0 * sparsity.token_weighted
    )
}

//! How Burn joins operations on a GPU into kernels.

/// Keeps Burn's fusion to one block of operations at a time, unless its configuration has been used
/// already; says whether it could. Call it before the first tensor of a GPU backend is made.
///
/// Burn 0.22.1 looks for fusions in several independent blocks at once. Where it then merges two of
/// them and one has a reduction, its fuser may look for a variable that is not there and panic
/// (`burn-cubecl-fusion`, `TraceFuser::block_local_input`): so it does in the backward pass of an
/// encoder–decoder. Other settings of a `burn.toml` hold. Without a GPU backend there is nothing to do.
pub fn one_block_at_a_time() -> bool {
    #[cfg(feature = "cube")]
    {
        use burn_std::config::{BurnConfig, RuntimeConfig};

        let found = BurnConfig::from_current_dir().override_from_env();
        let limited = serde_json::to_value(found).and_then(|mut config| {
            config["fusion"]["beam_search"]["max_blocks"] = 1.into();
            serde_json::from_value(config)
        });
        limited.is_ok_and(BurnConfig::try_set)
    }
    #[cfg(not(feature = "cube"))]
    true
}

#[cfg(all(test, feature = "cube"))]
mod tests {
    use super::*;

    /// The first call sets it, or finds that it is in use.
    #[test]
    fn a_second_call_changes_nothing() {
        one_block_at_a_time();
        assert!(!one_block_at_a_time());
    }
}

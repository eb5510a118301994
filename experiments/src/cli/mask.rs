//! `sparta mask`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use sparta_ops::attention::BLOCK_SIZES;
use sparta_ops::pruning::{
    AttentionType, BlockState, CellRule, GlobalMask, Grid, PruningError, StaticPattern,
};

use crate::io::print_line;
use crate::protocol::{available_memory, gigabytes};

/// Which pattern, of which layers.
#[derive(Debug, Args)]
pub(super) struct MaskOptions {
    /// fixed(l=16,c=2), strided(l=16,form=merged), local(w=16) or random(keep=0.25,seed=1); with first=visible a
    /// first position that sees all and is seen by all
    #[arg(value_name = "PATTERN")]
    pattern: StaticPattern,
    /// Type of attention, once for each: encoder-self, decoder-self
    #[arg(long = "type", value_name = "TYPE", required = true)]
    types: Vec<AttentionType>,
    /// Layers of each type
    #[arg(long, value_name = "N")]
    layers: usize,
    /// Heads of a layer
    #[arg(long, value_name = "N")]
    heads: usize,
    /// Longest sequence, or segment of a stream, in tokens
    #[arg(long, value_name = "N")]
    len: usize,
    /// Positions of memory before a decoder's segment
    #[arg(long, value_name = "N", default_value_t = 0)]
    memory: usize,
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl MaskOptions {
    /// Bytes that making the mask holds at once, at least: a bit for each cell, a row of bits for those that are legal, and
    /// a byte for each cell of one layer while its heads are laid out.
    fn least_bytes(&self) -> f64 {
        let (layers, heads, len) = (self.layers as f64, self.heads as f64, self.len as f64);
        let of_type = |kind: &AttentionType| match kind {
            AttentionType::DecoderSelf => len * (self.memory as f64 + len),
            AttentionType::EncoderSelf | AttentionType::Cross => len * len,
        };
        let cells = self.types.iter().map(of_type);
        let largest = cells.clone().fold(0.0, f64::max);
        let grids: f64 = cells.sum();
        // Of a small grid more than its cells.
        let heads_of = layers * heads * self.types.len() as f64;
        layers * (heads + 1.0) * grids / 8.0
            + heads * largest
            + heads_of * size_of::<Vec<u64>>() as f64
    }
}

/// Writes the mask, and says what it hides.
///
/// # Errors
/// A pattern that the layers cannot have, a mask that memory cannot hold, a file that is there, or cannot be written.
pub(super) fn run(options: &MaskOptions) -> Result<()> {
    let MaskOptions {
        pattern,
        types,
        layers,
        heads,
        len,
        memory,
        out,
    } = options;
    for (name, n) in [("layers", layers), ("heads", heads), ("len", len)] {
        ensure!(*n > 0, "`--{name}` is 0: give at least 1");
    }
    let has_memory = |kind: &AttentionType| *kind == AttentionType::DecoderSelf;
    ensure!(
        *memory == 0 || types.iter().any(has_memory),
        "`--memory {memory}` is of decoder-self attention: add `--type decoder-self`, or leave it out"
    );
    let least = options.least_bytes();
    let free = available_memory();
    ensure!(
        least < free,
        "a mask of {layers} layers of {heads} heads over sequences of {len} tokens{} needs at least {}, and {} are free: \
         lower `--len`, `--heads`, `--layers`{}",
        match memory {
            0 => String::new(),
            memory => format!(" and a memory of {memory}"),
        },
        gigabytes(least),
        gigabytes(free),
        if *memory > 0 { " or `--memory`" } else { "" }
    );
    let grid = |kind: AttentionType| {
        let (n_cols, rule) = match kind {
            AttentionType::DecoderSelf => (memory + len, CellRule::Causal { memory: *memory }),
            // Of another sequence: refused below, by what a pattern is.
            AttentionType::EncoderSelf | AttentionType::Cross => (*len, CellRule::Full),
        };
        Grid {
            n_heads: *heads,
            n_rows: *len,
            n_cols,
            rule,
        }
    };
    let of_layer = |kind: AttentionType| (0..*layers).map(move |layer| ((kind, layer), grid(kind)));
    let grids: Vec<_> = types.iter().copied().flat_map(of_layer).collect();
    let mask = GlobalMask::from_static(*pattern, grids)?;
    if out.exists() {
        // The same mask may be what a disk that failed after writing has left.
        ensure!(
            GlobalMask::load(out).is_ok_and(|there| there == mask),
            "{} is there already: delete it, or give another `--out`",
            out.display()
        );
    } else {
        mask.save(out)?;
    }
    describe(&mask, types, out)
}

fn describe(mask: &GlobalMask, types: &[AttentionType], out: &Path) -> Result<()> {
    print_line(format!(
        "{}: {}, {:.2} % of legal cells hidden",
        out.display(),
        mask.kind(),
        100.0 * mask.p()
    ))?;
    for &kind in types {
        let grid = mask.grid(kind, 0)?;
        let skipped = BLOCK_SIZES.map(|size| blocks_skipped(mask, kind, grid, size));
        let skipped: Vec<String> = skipped
            .into_iter()
            .map(|share| Ok(format!("{:.1}", 100.0 * share?)))
            .collect::<Result<_, PruningError>>()?;
        print_line(format!(
            "{kind}: {grid}; % of blocks of 16, 32, 64 and 128 that kernels skip: {}",
            skipped.join(", ")
        ))?;
    }
    Ok(())
}

/// The share of blocks with a legal cell that are hidden whole.
fn blocks_skipped(
    mask: &GlobalMask,
    kind: AttentionType,
    grid: &Grid,
    size: usize,
) -> Result<f64, PruningError> {
    let layout = mask.block_layout(kind, 0, grid.n_rows, grid.n_cols, size)?;
    let count = |state| -> usize {
        let heads = 0..layout.n_heads();
        heads.map(|head| layout.count(head, state)).sum()
    };
    let hidden = count(BlockState::Hidden);
    let legal = hidden + count(BlockState::Partial) + count(BlockState::Visible);
    Ok(hidden as f64 / legal.max(1) as f64)
}

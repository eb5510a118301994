//! Cases from masks that were pruned from trained models.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use sparta_ops::attention::{BlockMask, Implementation};
use sparta_ops::pruning::{AttentionType, BlockState, CellRule, GlobalMask, Grid, MaskKind};

use crate::arguments::refuse;
use crate::case::{Case, Op, Other};

/// Edge of the blocks that masks of cells are cut into.
const BLOCK: usize = 64;

/// One attention type of a mask, the heads of all layers side by side.
#[derive(Debug)]
pub struct Pruned {
    /// `ap-p80/effective=79.98/blocks64=3.12`: the file; per cent of the legal cells, and of the blocks
    /// with a legal cell, that are hidden.
    pub name: String,
    /// Nominal fraction.
    pub p: f64,
    pub n_heads: usize,
    pub seq_q: usize,
    pub seq_kv: usize,
    pub causal: bool,
    block: usize,
    /// `[n_heads, seq_q, seq_kv]`, whole blocks if every legal cell of theirs is.
    hidden: Vec<bool>,
}

impl Pruned {
    pub fn block_mask(&self, device: &Device) -> BlockMask {
        let shape = [self.n_heads, self.seq_q, self.seq_kv];
        let cell = |head, i, j| self.hidden[(head * self.seq_q + i) * self.seq_kv + j];
        BlockMask::new(self.block, shape, cell, device).expect("a block size")
    }

    /// The masks of a file, one an attention type.
    fn read(path: &Path) -> Vec<Self> {
        let mask =
            GlobalMask::load(path).unwrap_or_else(|error| refuse(format!("--masks: {error}")));
        let mut types: Vec<_> = mask.layers().map(|(kind, _)| kind).collect();
        types.dedup();
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        let named = |kind| match types.len() {
            1 => file.to_string(),
            _ => format!("{file}/{kind}"),
        };
        let made = types.iter().map(|&kind| Self::of(&mask, kind, named(kind)));
        made.collect()
    }

    fn of(mask: &GlobalMask, kind: AttentionType, name: String) -> Self {
        let block = match mask.kind() {
            MaskKind::ApBlocks { block_size } => block_size,
            MaskKind::Ap | MaskKind::Random { .. } | MaskKind::Static { .. } => BLOCK,
        };
        let layers = mask.layers().filter(|(of, _)| *of == kind);
        let layers: Vec<usize> = layers.map(|(_, layer)| layer).collect();
        let grid = *mask.grid(kind, layers[0]).expect("a layer of the mask");
        let Grid {
            n_heads,
            n_rows,
            n_cols,
            rule,
        } = grid;
        let (mut hidden, mut cells, mut blocks) = (Vec::new(), [0, 0], [0, 0]);
        for &layer in &layers {
            let layout = mask.block_layout(kind, layer, n_rows, n_cols, block);
            let layout = layout.expect("a layer of the mask");
            let of_layer = mask.cells(kind, layer, n_rows, n_cols);
            let mut of_layer = of_layer.expect("a layer of the mask").into_iter();
            for head in 0..n_heads {
                let n_illegal = layout.count(head, BlockState::Illegal);
                blocks[0] += layout.count(head, BlockState::Hidden);
                blocks[1] += layout.head(head).len() - n_illegal;
                for (row, col) in (0..n_rows).flat_map(|i| (0..n_cols).map(move |j| (i, j))) {
                    let is_hidden = of_layer.next().expect("as many cells");
                    let is_legal = rule.is_legal(row, col);
                    cells[0] += usize::from(is_legal && is_hidden);
                    cells[1] += usize::from(is_legal);
                    let skipped = match layout.state(head, row / block, col / block) {
                        Some(BlockState::Hidden | BlockState::Illegal) => true,
                        Some(BlockState::Partial | BlockState::Visible) | None => false,
                    };
                    hidden.push(is_hidden || skipped);
                }
            }
        }
        let share = |[part, all]: [usize; 2]| 100.0 * part as f64 / all.max(1) as f64;
        Self {
            name: format!(
                "{name}/effective={:.2}/blocks{block}={:.2}",
                share(cells),
                share(blocks)
            ),
            p: mask.p(),
            n_heads: n_heads * layers.len(),
            seq_q: n_rows,
            seq_kv: n_cols,
            causal: match rule {
                CellRule::Causal { .. } => true,
                CellRule::Full => false,
            },
            block,
            hidden,
        }
    }
}

/// The files of a folder, and of a run's folders of masks, by name.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir)
        .unwrap_or_else(|error| refuse(format!("--masks: cannot read {}: {error}", dir.display())));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder that can be read").path())
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect();
    files.sort();
    files
}

/// A case for each mask below a folder: a run, or its `masks`; ends the bench where there is none, or one cannot be read.
pub fn cases(dir: &Path) -> Vec<Case> {
    let is_mask = |path: &PathBuf| {
        let folder = path.parent().and_then(Path::file_name);
        let is_there = path.parent() == Some(dir) || folder.is_some_and(|name| name == "masks");
        is_there && path.extension().is_some_and(|end| end == "safetensors")
    };
    let found: Vec<PathBuf> = files(dir).into_iter().filter(is_mask).collect();
    if found.is_empty() {
        refuse(format!(
            "no mask below --masks {}: give the folder of a run, or its seed-1/masks",
            dir.display()
        ));
    }
    let mut cases: Vec<Case> = Vec::new();
    for pruned in found.iter().flat_map(|path| Pruned::read(path)) {
        // It lives as long as the cases do: to the end of the program.
        let pruned: &'static Pruned = Box::leak(Box::new(pruned));
        for op in [Op::Softmax, Op::Entmax15] {
            let case = |p| Case {
                op,
                implementation: Implementation::Fused,
                other: Other::Dense,
                shape: [2, pruned.n_heads, pruned.seq_q, 64],
                causal: pruned.causal,
                p,
                sigma: 1.0,
                clustered: false,
                relative: false,
                pruned: Some(pruned),
                half: false,
            };
            // The dense kernel once a shape, for its memory.
            let dense = case(0.0);
            if cases.iter().all(|case| case.label() != dense.label()) {
                cases.push(dense);
            }
            cases.push(case(pruned.p));
        }
    }
    cases
}

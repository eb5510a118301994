//! Mean attention and the masks made from it: pictures, sparsity, and overlap.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, GlobalMask, MaskKind, SparsityReport, Weighing,
};
use sparta_results::figure::{
    BlocksLeft, Grid, HeadPattern, MaskSparsity, OverlapFigure, PatternFigure, Source,
    SparsityFigure,
};

use super::Made;
use super::overlap::overlaps;
use crate::protocol::Arm;

/// The nominal p of the mask beside a pattern, where there is one of at most that.
pub(super) const SHOWN_P: f64 = 0.8;
/// Sizes of blocks whose share is shown. Not [`sparta_ops::attention::BLOCK_SIZES`]: kept figures, the published ones
/// among them, have a panel for each of these.
const BLOCK_SIZES: [usize; 3] = [16, 32, 64];

/// One dense model of the run, with what figures call it.
pub(in crate::analysis) struct Observed {
    /// Its folder.
    pub(in crate::analysis) arm: Arm,
    /// Its row normaliser, as figures name it.
    pub(in crate::analysis) variant: String,
    /// Its data set, where a run has several.
    pub(in crate::analysis) dataset: String,
}

/// A mask of a model.
pub(super) struct MaskFile {
    pub(super) mask: GlobalMask,
    pub(super) types: Vec<AttentionType>,
}

impl MaskFile {
    /// The masks of a model, by type, what p is a share of, kind and p.
    pub(super) fn all(arm: &Arm) -> Result<Vec<Self>> {
        let folder = arm.folder.masks();
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let is_mask = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
        let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).filter(is_mask).collect();
        paths.sort();
        let mut masks = Vec::new();
        for path in paths {
            let mask = GlobalMask::load(&path)?;
            ensure!(
                mask.model() == arm.folder.model_name(),
                "{} was made from another model; delete it and make it again with the subcommand `prune`",
                path.display()
            );
            let mut types: Vec<AttentionType> = mask.layers().map(|(kind, _)| kind).collect();
            types.dedup();
            masks.push(Self { mask, types });
        }
        let key = |of: &Self| {
            let kind = (of.mask.weighing(), order(of.mask.kind()));
            (of.types.len(), of.types.clone(), kind)
        };
        masks.sort_by(|a, b| {
            let by_p = || a.mask.p().total_cmp(&b.mask.p());
            key(a).cmp(&key(b)).then_with(by_p)
        });
        Ok(masks)
    }

    /// Whether the mask is AP's, of these types together, its p a share of that.
    pub(super) fn is_ap_of(&self, types: &[AttentionType], weighing: Weighing) -> bool {
        let mask = &self.mask;
        mask.kind() == MaskKind::Ap && mask.weighing() == weighing && self.types == types
    }

    fn words(&self) -> String {
        match self.mask.weighing() {
            Weighing::Cells => words(self.mask.kind()),
            Weighing::Uses => format!("{} by uses", words(self.mask.kind())),
        }
    }
}

/// Place among kinds, and what tells masks of a kind apart.
const fn order(kind: MaskKind) -> (u8, u64) {
    match kind {
        MaskKind::Ap => (0, 0),
        MaskKind::ApBlocks { block_size } => (1, block_size as u64),
        MaskKind::Random { seed } => (2, seed),
        MaskKind::Static { .. } => (3, 0),
    }
}

fn words(kind: MaskKind) -> String {
    match kind {
        MaskKind::Ap => "AP".to_owned(),
        MaskKind::ApBlocks { block_size } => format!("AP, blocks of {block_size}"),
        MaskKind::Random { seed } => format!("random (seed {seed})"),
        MaskKind::Static { pattern } => pattern.to_string(),
    }
}

/// What the patterns and masks of a run give.
#[derive(Default)]
pub(in crate::analysis) struct Patterns {
    /// A figure for each attention type and model.
    pub(in crate::analysis) patterns: Vec<PatternFigure>,
    /// What masks hide.
    pub(in crate::analysis) sparsity: Option<SparsityFigure>,
    /// How far masks agree.
    pub(in crate::analysis) overlap: Option<OverlapFigure>,
    /// What is missing of them.
    pub(in crate::analysis) missing: Vec<String>,
}

/// The figures of patterns: of the models of one seed (`shown`), and of the masks of all (`all`).
///
/// # Errors
/// A file that is damaged, or of another model.
pub(in crate::analysis) fn pattern(
    run: &str,
    shown: &[Observed],
    all: &[Observed],
) -> Result<Made<Patterns>> {
    let mut made = Patterns::default();
    let mut sparsities = Vec::new();
    let mut without = Vec::new();
    for of in shown {
        let path = of.arm.folder.pattern();
        if !path.exists() {
            without.push(of.variant.as_str());
            continue;
        }
        let pattern = AttentionPattern::load(&path)?;
        ensure!(
            pattern.header().model == of.arm.folder.model_name(),
            "{} was observed on another model; delete it and make it again with the subcommand `observe`",
            path.display()
        );
        let masks = MaskFile::all(&of.arm)?;
        if masks.is_empty() {
            let none = format!("{} has no mask: nothing is pruned of it", of.variant);
            made.missing.push(none);
        }
        let source = observed_on(run, &pattern);
        let several = shown.len() > 1;
        made.patterns
            .extend(of_types(of, &pattern, &masks, &source, several)?);
        for file in &masks {
            let mask = match several {
                true => format!("{}, {}", of.variant, file.words()),
                false => file.words(),
            };
            for more in sparsity(mask, file, &pattern)? {
                // Pruned alone or together with another type, a type has the same thresholds and the same mask.
                if !sparsities.contains(&more) {
                    sparsities.push(more);
                }
            }
        }
    }
    if made.patterns.is_empty() {
        return Ok(Err(format!(
            "the attention of {} was not observed (no pattern.safetensors); run the stage `observe` of the same program",
            without.join(", ")
        )));
    }
    for variant in without {
        let none = format!("the attention of {variant} was not observed: nothing is pruned of it");
        made.missing.push(none);
    }
    let source = made.patterns[0].source.clone();
    made.sparsity = (!sparsities.is_empty()).then_some(SparsityFigure {
        source: source.clone(),
        masks: sparsities,
    });
    let matrices = overlaps(all)?;
    match matrices.is_empty() {
        true => made.missing.push(
            "no two masks to compare: the run has one seed, normaliser, data set and p of each attention".to_owned(),
        ),
        false => made.overlap = Some(OverlapFigure { source, matrices }),
    }
    Ok(Ok(made))
}

/// What a pattern was observed on; its header says `corpus:split:number`.
fn observed_on(run: &str, pattern: &AttentionPattern) -> Source {
    let corpus = &pattern.header().corpus;
    let mut parts = corpus.rsplitn(2, ':');
    let n: Option<u64> = parts.next().and_then(|n| n.parse().ok());
    let name = parts.next().filter(|_| n.is_some()).unwrap_or(corpus);
    let name = name.replace(':', ", ");
    // A decoder alone reads a text without sequences, and its header counts the tokens.
    let mut kinds = pattern.header().grids.keys().map(|(kind, _)| *kind);
    let is_stream = kinds.all(|kind| kind == AttentionType::DecoderSelf);
    let (corpus, n_sequences) = match (n, is_stream) {
        (Some(n), true) => (format!("{name}, {n} tokens"), None),
        (n, _) => (name, n),
    };
    Source {
        run: run.to_owned(),
        corpus,
        n_sequences,
    }
}

/// A figure for each attention type of a model.
fn of_types(
    of: &Observed,
    pattern: &AttentionPattern,
    masks: &[MaskFile],
    source: &Source,
    several: bool,
) -> Result<Vec<PatternFigure>> {
    let mut layers: BTreeMap<AttentionType, usize> = BTreeMap::new();
    for &(kind, _) in pattern.header().grids.keys() {
        *layers.entry(kind).or_default() += 1;
    }
    let mut figures = Vec::new();
    for (kind, n_layers) in layers {
        let mask = shown_mask(masks, kind);
        let n_heads: usize = (0..n_layers)
            .filter_map(|layer| pattern.header().grids.get(&(kind, layer)))
            .map(|grid| grid.n_heads)
            .sum();
        let n_grids = if mask.is_some() { 2 * n_heads } else { n_heads };
        let report = mask.map(|of| SparsityReport::new(&of.mask, pattern));
        let report = report.transpose()?;
        let mut heads = Vec::new();
        for layer in 0..n_layers {
            let hidden = mask.map(|of| &of.mask);
            let side = Grid::side(n_grids);
            heads.extend(of_layer(pattern, hidden, (kind, layer), side)?);
        }
        for head in &mut heads {
            let of_head = report
                .iter()
                .flat_map(|report| &report.heads)
                .find(|of| (of.attention_type, of.layer, of.head) == (kind, head.layer, head.head));
            head.effective = of_head.map(|of| of.sparsity.effective);
        }
        figures.push(PatternFigure {
            source: source.clone(),
            attention: kind.to_string(),
            variant: of.variant.clone(),
            named_by_variant: several,
            mask: mask.map(|of| {
                let types: Vec<&str> = of.types.iter().map(|of| of.as_str()).collect();
                let p = 100.0 * of.mask.p();
                let p = match of.mask.weighing() {
                    Weighing::Cells => format!("p = {p} %"),
                    Weighing::Uses => format!("p = {p} % by uses"),
                };
                match types.as_slice() {
                    [_] => p,
                    several => format!("{p} of {} together", several.join(" and ")),
                }
            }),
            heads,
        });
    }
    Ok(figures)
}

/// The mask to show beside the pattern of a type: by cells and of that type alone if there is one, and of p = 80 % or the next
/// below.
fn shown_mask(masks: &[MaskFile], kind: AttentionType) -> Option<&MaskFile> {
    let all = || {
        let is_ap = |of: &&MaskFile| of.mask.kind() == MaskKind::Ap;
        masks
            .iter()
            .filter(is_ap)
            .filter(|of| of.types.contains(&kind))
    };
    let weighing = all().map(|of| of.mask.weighing()).min()?;
    let mine = || all().filter(|of| of.mask.weighing() == weighing);
    let n_types = mine().map(|of| of.types.len()).min()?;
    let of_fewest = || mine().filter(|of| of.types.len() == n_types);
    let mut below = of_fewest().filter(|of| of.mask.p() <= SHOWN_P + 1e-9);
    below.next_back().or_else(|| of_fewest().next())
}

/// The heads of a layer, within the cells that were observed.
fn of_layer(
    pattern: &AttentionPattern,
    mask: Option<&GlobalMask>,
    (kind, layer): (AttentionType, usize),
    side: usize,
) -> Result<Vec<HeadPattern>> {
    let grid = *pattern
        .header()
        .grids
        .get(&(kind, layer))
        .with_context(|| format!("the pattern has no {kind} layer {layer}"))?;
    let mut bounds = (0, 0);
    for row in 0..grid.n_rows {
        for col in 0..grid.n_cols {
            if pattern.count(kind, layer, row, col)? > 0 {
                bounds = (bounds.0.max(row + 1), bounds.1.max(col + 1));
            }
        }
    }
    let (rows, cols) = bounds;
    let hidden = mask.map(|mask| mask.cells(kind, layer, rows, cols));
    let hidden = hidden.transpose()?;
    let mut heads = Vec::with_capacity(grid.n_heads);
    for head in 0..grid.n_heads {
        let mean = |row, col| {
            let mean = pattern.mean(kind, layer, head, row, col).ok().flatten();
            mean.filter(|_| grid.rule.is_legal(row, col))
                .map(|mean| mean as f32)
        };
        let is_hidden = |cells: &[bool], row: usize, col: usize| {
            let cell = cells[(head * rows + row) * cols + col];
            grid.rule
                .is_legal(row, col)
                .then_some(f32::from(u8::from(cell)))
        };
        heads.push(HeadPattern {
            layer,
            head,
            mean: Grid::of(rows, cols, side, mean),
            hidden: hidden
                .as_deref()
                .map(|cells| Grid::of(rows, cols, side, |row, col| is_hidden(cells, row, col))),
            effective: None,
        });
    }
    Ok(heads)
}

/// What a mask hides of each attention type.
fn sparsity(
    mask: String,
    file: &MaskFile,
    pattern: &AttentionPattern,
) -> Result<Vec<MaskSparsity>> {
    let report = SparsityReport::new(&file.mask, pattern)?;
    let of_type = |&kind: &AttentionType| {
        let heads = || report.heads.iter().filter(|of| of.attention_type == kind);
        let by_layer = |value: &dyn Fn(&sparta_ops::pruning::Sparsity) -> f64| {
            let mut layers: Vec<Vec<f64>> = Vec::new();
            for of in heads() {
                if layers.len() <= of.layer {
                    layers.push(Vec::new());
                }
                if let Some(layer) = layers.last_mut() {
                    layer.push(value(&of.sparsity));
                }
            }
            layers
        };
        let left = |block_size: usize| BlocksLeft {
            block_size,
            left: by_layer(&|sparsity| {
                let of_size = sparsity
                    .blocks
                    .iter()
                    .find(|of| of.block_size == block_size);
                of_size.map_or(1.0, |of| 1.0 - of.share)
            }),
        };
        MaskSparsity {
            mask: mask.clone(),
            attention: kind.to_string(),
            nominal: file.mask.p(),
            effective: by_layer(&|sparsity| sparsity.effective),
            token_weighted: by_layer(&|sparsity| sparsity.token_weighted),
            blocks: BLOCK_SIZES.map(left).into(),
        }
    };
    Ok(file.types.iter().map(of_type).collect())
}

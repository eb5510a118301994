//! Patterns and masks of an arm: thresholds, files, and the checks that they belong together.

use anyhow::{Context, Result, bail, ensure};
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, GlobalMask, Grid, Semantics, Sparsity, SparsityReport,
    StaticPattern,
};
use sparta_results::MaskFamily;

use super::cost::{describe_sparsity, gigabytes};
use super::folder::ArmFolder;
use super::rows::Row;
use super::run::Run;
use crate::recipe::Recipe;

/// One type of attention in a network: its layers and their cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionLayers {
    /// The type.
    pub kind: AttentionType,
    /// Layers that have it.
    pub n_layers: usize,
    /// The cells of each.
    pub grid: Grid,
    /// The cells of it that the network sees, if a static pattern hides others.
    pub pattern: Option<StaticPattern>,
}

impl AttentionLayers {
    /// Bytes of its mean: an f64 for every cell and head, and one for the cell.
    fn bytes(&self) -> f64 {
        let Grid {
            n_heads,
            n_rows,
            n_cols,
            ..
        } = self.grid;
        let cells = (n_heads + 1) as f64 * n_rows as f64 * n_cols as f64;
        8.0 * self.n_layers as f64 * cells
    }
}

/// That the mean attention of these layers fits into so many bytes, before anything is trained for it.
///
/// # Errors
/// Layers that certainly do not, with their cells.
pub(super) fn check_pattern_memory(layers: &[AttentionLayers], free: f64) -> Result<()> {
    let needed: f64 = layers.iter().map(AttentionLayers::bytes).sum();
    let of = |of: &AttentionLayers| format!("{} of {} layers ({})", of.kind, of.n_layers, of.grid);
    ensure!(
        needed < free,
        "the mean attention of {} needs {}, and {} are free: make the sequences shorter, or leave its masks out of `[prune]`",
        layers.iter().map(of).collect::<Vec<_>>().join(", "),
        gigabytes(needed),
        gigabytes(free)
    );
    Ok(())
}

impl<R: Recipe> Run<'_, R> {
    /// The mean attention of an arm's dense model.
    ///
    /// # Errors
    /// One that is missing, damaged or of another model.
    pub(crate) fn load_pattern(&self, arm: &ArmFolder) -> Result<AttentionPattern> {
        let path = arm.pattern();
        let program = R::PROGRAM;
        if !path.exists() {
            bail!(
                "no attention pattern of seed {} ({} is missing); run `{program} observe` with the \
                 same `--recipe` and `--out` first",
                arm.seed(),
                path.display()
            );
        }
        let pattern = AttentionPattern::load(&path)?;
        if pattern.header().model != arm.model_name() {
            bail!(
                "{} was observed on another model; delete it and run `{program} observe` again",
                path.display()
            );
        }
        Ok(pattern)
    }

    /// Thresholds the pattern: the mask of every row that has one.
    ///
    /// # Errors
    /// A pattern that is missing, or cannot be thresholded so.
    pub(crate) fn make_masks(&self, arm: &ArmFolder, rows: &[Row]) -> Result<()> {
        let masked = || rows.iter().filter(|row| row.mask.is_some());
        if masked().all(|row| arm.mask(&row.name()).exists()) {
            return Ok(());
        }
        let threshold = self.recipe.threshold();
        let whole = self.load_pattern(arm)?;
        let mut before: Option<(&Row, GlobalMask)> = None;
        for row in masked() {
            let name = row.name();
            let pattern = whole.only(&row.pruned.types);
            let ap = before.as_ref().map(|(_, mask)| mask);
            let how = (threshold.scope, threshold.semantics);
            let Some(mask) = row.make_mask(&pattern, ap, how, arm.seed())? else {
                continue;
            };
            let sparsity = SparsityReport::new(&mask, &pattern)?.total;
            if row.number.is_none() {
                let unobserved = describe_unobserved(&sparsity, mask.semantics());
                self.note(&(describe_sparsity(&name, &sparsity) + &unobserved));
                if sparsity.hidden_cells == 0 {
                    self.note(&format!("{name} hides no legal cell: it must equal p = 0"));
                }
            }
            if matches!(row.mask, Some(MaskFamily::Ap { .. })) {
                if let Some((other, _)) =
                    before.filter(|(r, m)| r.pruned == row.pruned && same_cells(m, &mask))
                {
                    self.note(&format!(
                        "{name} hides the same cells as {}: they must be equal",
                        other.name()
                    ));
                }
                before = Some((row, mask.clone()));
            }
            let path = arm.mask(&name);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            }
            mask.save(path)?;
        }
        Ok(())
    }

    /// The mask of a row, none at p = 0, checked against the attention that a network has.
    ///
    /// # Errors
    /// One that is missing, damaged, of another model, or does not fit.
    pub(crate) fn load_mask(
        &self,
        arm: &ArmFolder,
        row: &Row,
        attention: &[AttentionLayers],
    ) -> Result<Option<GlobalMask>> {
        if row.mask.is_none() {
            return Ok(None);
        }
        let (name, program) = (row.name(), R::PROGRAM);
        let path = arm.mask(&name);
        if !path.exists() {
            bail!(
                "no mask `{name}` of seed {} ({} is missing); run `{program} prune` with the same \
                 `--recipe` and `--out` first",
                arm.seed(),
                path.display(),
            );
        }
        let mask = GlobalMask::load(&path)?;
        check_fits(&mask, &row.pruned.types, attention)
            .with_context(|| format!("mask {}", path.display()))?;
        row.check_mask(&mask, arm)?;
        Ok(Some(mask))
    }
}

/// How many cells the threshold says nothing of, because no observed example used them, and what becomes of them; nothing
/// where every cell was observed.
fn describe_unobserved(sparsity: &Sparsity, semantics: Semantics) -> String {
    let Sparsity {
        legal_cells,
        unobserved_cells,
        ..
    } = *sparsity;
    if unobserved_cells == 0 {
        return String::new();
    }
    let so = match semantics {
        Semantics::Corrected => "are left visible, so that p is a share of the others",
        Semantics::Paper => "are hidden whatever p is",
    };
    format!(
        "; {:.1} % of the legal cells were never observed and {so}",
        100.0 * unobserved_cells as f64 / legal_cells as f64
    )
}

/// Checks that a network has the layers of a mask, with as many cells, and that the mask has those of its types.
///
/// # Errors
/// The first type and layer that do not fit.
fn check_fits(
    mask: &GlobalMask,
    types: &[AttentionType],
    attention: &[AttentionLayers],
) -> Result<()> {
    for of in attention.iter().filter(|of| types.contains(&of.kind)) {
        for layer in 0..of.n_layers {
            mask.grid(of.kind, layer)?;
        }
    }
    for (kind, layer) in mask.layers() {
        let layers = attention.iter().find(|layers| layers.kind == kind);
        let n_layers = layers.map_or(0, |layers| layers.n_layers);
        ensure!(
            layer < n_layers,
            "the mask has {kind} layer {layer}; the network has {n_layers} {kind} layers"
        );
        if let Some(AttentionLayers { grid, .. }) = layers {
            mask.check_shape(kind, layer, grid.n_heads, grid.n_rows, grid.n_cols)?;
        }
    }
    Ok(())
}

/// Whether two masks of one model hide the same cells.
fn same_cells(a: &GlobalMask, b: &GlobalMask) -> bool {
    a.layers().all(|(kind, layer)| {
        let cells = |mask: &GlobalMask| {
            let grid = mask.grid(kind, layer).ok()?;
            mask.cells(kind, layer, grid.n_rows, grid.n_cols).ok()
        };
        cells(a).is_some() && cells(a) == cells(b)
    })
}

#[cfg(test)]
mod tests {
    use sparta_ops::pruning::{CellRule, PatternHeader, Placement, Scope};

    use super::*;

    #[test]
    fn a_mean_that_does_not_fit_into_memory_is_told_before_it_is_made() {
        let layers = |n: usize| AttentionLayers {
            kind: AttentionType::DecoderSelf,
            n_layers: 2,
            grid: Grid {
                n_heads: 3,
                n_rows: n,
                n_cols: 2 * n,
                rule: CellRule::Full,
            },
            pattern: None,
        };
        // 8 bytes for each of 3 heads, and for how often each cell was seen.
        let bytes = 8.0 * 2.0 * 4.0 * 100.0 * 200.0;
        check_pattern_memory(&[layers(100)], bytes + 1.0).unwrap();
        let error = check_pattern_memory(&[layers(100)], bytes).unwrap_err();
        let error = error.to_string();
        for said in ["decoder-self of 2 layers", "needs 1 MB", "shorter"] {
            assert!(error.contains(said), "{said}: {error}");
        }
        check_pattern_memory(&[layers(100_000)], 24e9).unwrap_err();
    }

    /// Of 16 cells no example reaches 4.
    #[test]
    fn cells_that_no_example_used_are_told_with_what_becomes_of_them() {
        let kind = AttentionType::EncoderSelf;
        let grid = Grid {
            n_heads: 1,
            n_rows: 4,
            n_cols: 4,
            rule: CellRule::Full,
        };
        let mut pattern = AttentionPattern::new(PatternHeader::new("c", "m").with(kind, 0, grid));
        let mut words = |shape, semantics| {
            pattern
                .observe(kind, 0, &[0.25; 8], shape, &Placement::default())
                .unwrap();
            let mask = GlobalMask::from_pattern(&pattern, 0.5, Scope::Layer, semantics).unwrap();
            let sparsity = SparsityReport::new(&mask, &pattern).unwrap().total;
            describe_unobserved(&sparsity, mask.semantics())
        };
        assert_eq!(words([1, 1, 2, 4], Semantics::Corrected), "");
        assert_eq!(
            words([1, 1, 4, 2], Semantics::Corrected),
            "; 25.0 % of the legal cells were never observed and are left visible, so that p is a share of the others"
        );
        assert_eq!(
            words([1, 1, 4, 2], Semantics::Paper),
            "; 25.0 % of the legal cells were never observed and are hidden whatever p is"
        );
    }
}

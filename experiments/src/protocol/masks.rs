//! Patterns and masks of a branch: thresholds, files, and the checks that they belong together.

use std::path::Path;

use anyhow::{Context, Result, bail};
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, GlobalMask, Scope, Semantics, SparsityReport,
};

use super::cost::describe_sparsity;
use super::folder::ArmFolder;
use super::rows::Row;
use super::run::Run;
use crate::recipe::{Recipe, ScopeName, SemanticsName, Threshold};

/// The threshold scope of the recipe.
#[must_use]
pub fn scope(name: ScopeName) -> Scope {
    match name {
        ScopeName::Layer => Scope::Layer,
        ScopeName::Head => Scope::Head,
        ScopeName::Model => Scope::Model,
    }
}

/// The semantics of the recipe.
#[must_use]
pub fn semantics(name: SemanticsName) -> Semantics {
    match name {
        SemanticsName::Corrected => Semantics::Corrected,
        SemanticsName::Paper => Semantics::Paper,
    }
}

/// A row with a mask: its name and what the mask may hide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaskedRow {
    /// Name in files.
    pub(crate) name: String,
    /// Share and draw.
    pub(crate) row: Row,
    /// Attention types that are pruned; the others stay whole.
    pub(crate) types: Vec<AttentionType>,
}

impl<R: Recipe> Run<'_, R> {
    pub(crate) fn load_pattern(&self, branch: &ArmFolder) -> Result<AttentionPattern> {
        let path = branch.pattern();
        let program = R::PROGRAM;
        if !path.exists() {
            bail!(
                "no attention pattern of seed {} ({} is missing); run `{program} observe` with the \
                 same `--recipe` and `--out` first",
                branch.seed(),
                path.display()
            );
        }
        let pattern = AttentionPattern::load(&path)?;
        if pattern.header().model != branch.model_name() {
            bail!(
                "{} was observed on another model; delete it and run `{program} observe` again",
                path.display()
            );
        }
        Ok(pattern)
    }

    /// Thresholds the pattern: the AP mask of every row, its random masks and those of blocks after it.
    pub(crate) fn make_masks(
        &self,
        branch: &ArmFolder,
        rows: &[MaskedRow],
        threshold: Threshold,
    ) -> Result<()> {
        if rows.iter().all(|row| branch.mask(&row.name).exists()) {
            return Ok(());
        }
        let whole = self.load_pattern(branch)?;
        let mut latest = None;
        let mut before: Option<(&MaskedRow, GlobalMask)> = None;
        for masked in rows {
            let MaskedRow { name, row, types } = masked;
            let pattern = whole.only(types);
            let p = f64::from(row.p()) / 100.0;
            let scope = scope(threshold.scope);
            let mask = match (row, row.mask_seed(branch.seed()), &latest) {
                (_, Some(mask_seed), Some(ap)) => GlobalMask::random_like(ap, mask_seed),
                (_, Some(_), None) => bail!("{name} has no AP mask before it"),
                (&Row::Blocks { size, .. }, None, _) => {
                    GlobalMask::from_pattern_in_blocks(&pattern, p, scope, size)?
                }
                (Row::Dense | Row::Ap { .. } | Row::Random { .. }, None, _) => {
                    GlobalMask::from_pattern(&pattern, p, scope, semantics(threshold.semantics))?
                }
            };
            let sparsity = SparsityReport::new(&mask, &pattern)?.total;
            if row.mask_seed(branch.seed()).is_none() {
                self.note(&describe_sparsity(name, &sparsity));
                if sparsity.hidden_cells == 0 {
                    self.note(&format!("{name} hides no legal cell: it must equal p = 0"));
                }
            }
            if matches!(row, Row::Ap { .. }) {
                if let Some((other, _)) =
                    before.filter(|(r, m)| r.types == *types && same_cells(m, &mask))
                {
                    self.note(&format!(
                        "{name} hides the same cells as {}: they must be equal",
                        other.name
                    ));
                }
                before = Some((masked, mask.clone()));
                latest = Some(mask.clone());
            }
            let path = branch.mask(name);
            make_folder_of(&path)?;
            mask.save(path)?;
        }
        Ok(())
    }

    /// The mask of a row, none at p = 0; `fits` checks it against the model.
    pub(crate) fn load_mask(
        &self,
        branch: &ArmFolder,
        row: &Row,
        name: &str,
        fits: impl FnOnce(&GlobalMask) -> Result<()>,
    ) -> Result<Option<GlobalMask>> {
        if *row == Row::Dense {
            return Ok(None);
        }
        let path = branch.mask(name);
        if !path.exists() {
            bail!(
                "no mask `{name}` of seed {} ({} is missing); run `{} prune` with the same \
                 `--recipe` and `--out` first",
                branch.seed(),
                path.display(),
                R::PROGRAM
            );
        }
        let mask = GlobalMask::load(&path)?;
        fits(&mask).with_context(|| format!("mask {}", path.display()))?;
        if mask.model() != branch.model_name() {
            bail!(
                "{} was made from another model; delete it and run `{} prune` again",
                path.display(),
                R::PROGRAM
            );
        }
        Ok(Some(mask))
    }
}

fn make_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display())),
        None => Ok(()),
    }
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

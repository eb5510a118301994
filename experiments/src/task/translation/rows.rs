//! Which attention is pruned of which model, and the lines of the tables they stand in.

use sparta_model::layer::MechanismsByType;
use sparta_ops::pruning::AttentionType;
use sparta_results::MaskRows;

use crate::protocol::variant::{folder_name, prunable};
use crate::protocol::{Label, Pruned, Row, Variant};
use crate::recipe::translation::{PrunedName, TranslationRecipe};
use crate::recipe::{LayoutName, Recipe};

impl PrunedName {
    fn pruned(self) -> Pruned {
        let (name, types) = match self {
            Self::EncoderSelf => ("encoder-self", vec![AttentionType::EncoderSelf]),
            Self::DecoderSelf => ("decoder-self", vec![AttentionType::DecoderSelf]),
            Self::Cross => ("cross", vec![AttentionType::Cross]),
            Self::SelfOnly => (
                "self",
                vec![AttentionType::EncoderSelf, AttentionType::DecoderSelf],
            ),
        };
        Pruned { name, types }
    }

    /// Name in the published tables, and in ours.
    fn label(self) -> &'static str {
        match self {
            Self::EncoderSelf => "enc-self",
            Self::DecoderSelf => "dec-self",
            Self::Cross => "cross",
            Self::SelfOnly => "self-attention",
        }
    }
}

/// A dense model for each choice of mechanisms, in a folder of its name; lines of the table name it themselves.
pub(super) fn variants(recipe: &TranslationRecipe) -> Vec<Variant> {
    let variant = |&mechanisms: &MechanismsByType| {
        let pruned = recipe.prune.of(mechanisms).iter();
        let pruned: Vec<Pruned> = pruned.map(|name| name.pruned()).collect();
        Variant {
            folder: folder_name(mechanisms),
            mechanisms,
            is_one_of_several: false,
            dataset: 0,
            pruned: prunable(mechanisms, &pruned),
        }
    };
    recipe.model.normalizers.iter().map(variant).collect()
}

/// A line of the table that a model stands in.
pub(super) struct TableLine<'a> {
    pub(super) label: Label,
    /// What the record's name adds, where a model stands in several lines.
    pub(super) file: &'static str,
    /// The published table beside it.
    pub(super) paper: &'a str,
}

/// The lines of the table that a model stands in: a dense model in that of its normaliser, p = 0 in that of every type,
/// since it is the control of each, and a model under a mask in that of its types.
pub(super) fn lines<'a>(
    recipe: &'a TranslationRecipe,
    of: &Variant,
    row: Option<&Row>,
) -> Vec<TableLine<'a>> {
    let Some(row) = row else {
        return vec![TableLine {
            label: Label {
                row: of.mechanisms.label(),
                p: Some(0.0),
                rows: MaskRows::True,
            },
            file: "",
            paper: &recipe.paper.normalizers,
        }];
    };
    let all = recipe.prune.of(of.mechanisms).iter();
    let all: Vec<PrunedName> = all
        .copied()
        .filter(|name| of.pruned.contains(&name.pruned()))
        .collect();
    let is_control = row.mask.is_none();
    if is_control && recipe.layout() == LayoutName::Mechanism {
        // One control of the mechanism, whatever is pruned of it.
        return vec![TableLine {
            label: Label {
                row: format!("{}, trained on without a mask", of.mechanisms.label()),
                p: Some(0.0),
                rows: MaskRows::True,
            },
            file: "",
            paper: &recipe.paper.by_type,
        }];
    }
    // Where nothing of the decoder is hidden, there are no rows to choose.
    let writes = |kind: &AttentionType| match kind {
        AttentionType::EncoderSelf => false,
        AttentionType::DecoderSelf | AttentionType::Cross => true,
    };
    let scored = match !is_control && row.pruned.types.iter().any(writes) {
        true => recipe.prune.rows.scored(),
        false => &[MaskRows::True],
    };
    let of_type = |&name: &PrunedName| {
        let line = |&rows: &MaskRows| TableLine {
            label: Label {
                row: line_label(recipe, of, name.label()),
                p: Some(f64::from(row.p)),
                rows,
            },
            file: match rows {
                MaskRows::True if is_control && all.len() > 1 => name.label(),
                MaskRows::Paper if scored.len() > 1 => "paper-rows",
                MaskRows::True | MaskRows::Paper => "",
            },
            paper: match name {
                PrunedName::SelfOnly => &recipe.paper.self_only,
                PrunedName::EncoderSelf | PrunedName::DecoderSelf | PrunedName::Cross => {
                    &recipe.paper.by_type
                }
            },
        };
        scored.iter().map(line).collect::<Vec<_>>()
    };
    let shown = |name: &&PrunedName| is_control || name.pruned() == row.pruned;
    all.iter().filter(shown).flat_map(of_type).collect()
}

/// Name of a line: what is pruned, and of which model if not of the first; among mechanisms always which.
fn line_label(recipe: &TranslationRecipe, of: &Variant, pruned: &str) -> String {
    match recipe.layout() {
        LayoutName::Mechanism => return format!("{}, {pruned}", of.mechanisms.label()),
        LayoutName::P => {}
    }
    match recipe.model.normalizers.first() == Some(&of.mechanisms) {
        true => pruned.to_owned(),
        false => format!("{pruned} ({})", of.mechanisms.label()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_table_fine_tunes_twelve_models() {
        let recipe = TranslationRecipe::load("small/iwslt", &[]).unwrap();
        let names: Vec<Vec<String>> = variants(&recipe)
            .iter()
            .map(|of| {
                let rows = Row::all(&of.pruned, recipe.masks());
                rows.iter().map(Row::name).collect()
            })
            .collect();
        let [softmax, entmax15, alpha_entmax] = names.as_slice() else {
            panic!("{names:?}");
        };
        assert_eq!(
            *softmax,
            [
                "p0",
                "encoder-self-ap-p40",
                "encoder-self-ap-p80",
                "decoder-self-ap-p40",
                "decoder-self-ap-p80",
                "cross-ap-p40",
                "cross-ap-p80",
                "self-ap-p40",
                "self-ap-p80",
            ]
        );
        assert_eq!(*entmax15, ["p0", "self-ap-p40", "self-ap-p80"]);
        assert!(alpha_entmax.is_empty());
    }

    #[test]
    fn the_control_stands_in_the_line_of_every_type() {
        let recipe = TranslationRecipe::load("small/iwslt", &[]).unwrap();
        let [softmax, entmax15, _] = &variants(&recipe)[..] else {
            panic!("three normalisers");
        };
        let of = |variant: &Variant, i: usize| -> Vec<(String, &str)> {
            let rows = Row::all(&variant.pruned, recipe.masks());
            let lines = lines(&recipe, variant, Some(&rows[i]));
            lines.into_iter().map(|l| (l.label.row, l.file)).collect()
        };
        let names = ["enc-self", "dec-self", "cross", "self-attention"];
        assert_eq!(of(softmax, 0), names.map(|n| (n.to_owned(), n)));
        assert_eq!(of(softmax, 3), [("dec-self".to_owned(), "")]);
        assert_eq!(
            of(entmax15, 0),
            [("self-attention (1.5-entmax)".to_owned(), "")]
        );
    }

    /// The rows of the released code have lines of their own where a mask hides something of the decoder, and a run that is there
    /// is joined by them.
    #[test]
    fn rows_of_the_released_code_stand_beside_the_right_ones() {
        let load = |set: &str| TranslationRecipe::load("small/iwslt", &[set.to_owned()]).unwrap();
        let both = load("prune.rows=both");
        let of_row = |recipe: &TranslationRecipe, name: &str| -> Vec<(String, MaskRows, &str)> {
            let softmax = &variants(recipe)[0];
            let rows = Row::all(&softmax.pruned, recipe.masks());
            let row = rows.iter().find(|row| row.name() == name).unwrap();
            let lines = lines(recipe, softmax, Some(row)).into_iter();
            lines
                .map(|line| (line.label.row, line.label.rows, line.file))
                .collect()
        };
        let line = |row: &str, rows, file| (row.to_owned(), rows, file);
        assert_eq!(
            of_row(&both, "cross-ap-p80"),
            [
                line("cross", MaskRows::True, ""),
                line("cross", MaskRows::Paper, "paper-rows")
            ]
        );
        assert_eq!(of_row(&both, "self-ap-p40").len(), 2);
        let encoder = [line("enc-self", MaskRows::True, "")];
        assert_eq!(of_row(&both, "encoder-self-ap-p80"), encoder);
        assert_eq!(of_row(&both, "p0").len(), 4);
        let [right, paper] = ["prune.rows=true", "prune.rows=paper"].map(load);
        assert_eq!(
            of_row(&paper, "cross-ap-p80"),
            [line("cross", MaskRows::Paper, "")]
        );
        assert_eq!(both.hash(), right.hash());
        assert_ne!(paper.hash(), right.hash());
        assert!(both.choice().ends_with("--set prune.rows=both"));
    }

    /// Types that masks cannot prune stay whole, and a row of such alone is a dense model.
    #[test]
    fn of_mechanisms_by_type_what_can_be_is_pruned() {
        let sets = [
            "model.normalizers=[\"softmax\", \"decoder=rfa(m=4) cross=rfa(m=4)\", \"rfa(m=4)\"]",
            "prune.p=[0, 40]",
            "prune.random_masks=[0, 0]",
            "prune.softmax=[]",
            "prune.entmax15=[]",
            "prune.others=[\"encoder_self\", \"self\"]",
        ]
        .map(str::to_owned);
        let recipe = TranslationRecipe::load("small/iwslt", &sets).unwrap();
        let found: Vec<(String, Vec<&str>)> = variants(&recipe)
            .into_iter()
            .map(|of| (of.folder, of.pruned.iter().map(|set| set.name).collect()))
            .collect();
        let folder = "decoder-rfa-m-4_cross-rfa-m-4";
        let expected = [
            ("softmax".to_owned(), vec![]),
            (folder.to_owned(), vec!["encoder-self"]),
            ("rfa-m-4".to_owned(), vec![]),
        ];
        assert_eq!(found, expected);
        let by_type = &variants(&recipe)[1];
        let rows = Row::all(&by_type.pruned, recipe.masks());
        let labels = rows
            .iter()
            .flat_map(|row| lines(&recipe, by_type, Some(row)));
        let labels: Vec<String> = labels.map(|line| line.label.row).collect();
        assert_eq!(labels, ["enc-self (decoder=rfa(m=4) cross=rfa(m=4))"; 2]);
    }
}

//! What a sweep shows: each dense model of a point with its validation loss and scores over the seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use sparta_results::evidence::Interval;
use sparta_results::render::{Align, Table};

use super::Plan;
use super::dense::{Dense, LossSignature, Measure, dense_models};
use super::plan::PLAN;
use crate::io::{terminal_width, write_text};
use crate::protocol::Variant;

/// The table of a folder that holds a sweep, which is also written there; none of another folder. Records and runs that
/// cannot be read, or are of another recipe, are named and left out.
///
/// # Errors
/// A plan that cannot be read; a disk that refuses.
pub(crate) fn write_if_sweep(folder: &Path) -> Result<Option<(String, Vec<PathBuf>)>> {
    if !folder.join(PLAN).is_file() {
        return Ok(None);
    }
    let plan = Plan::load(folder)?;
    let (dense, left_out) = dense_models(&plan, folder)?;
    let columns = columns(&dense);
    let mut printed = table(&plan, &dense, &columns, |of| of.head.clone());
    printed.notes = columns.iter().map(Column::note).collect();
    printed.notes.push(words(&dense, &columns));
    printed.notes.extend(left_out);
    // Files of numbers have no notes: their heads carry the signatures.
    let signed = table(&plan, &dense, &columns, Column::head_with_signature);
    let [md, csv] = ["SWEEP.md", "SWEEP.csv"].map(|name| folder.join(name));
    write_text(&md, &format!("# Sweep\n\n{}", printed.to_markdown()))?;
    write_text(&csv, &signed.to_csv()?)?;
    let text = printed.to_terminal(terminal_width()).trim_end().to_owned();
    Ok(Some((text, vec![md, csv])))
}

/// What the numbers of a column are; numbers of different signatures are of different columns.
#[derive(Debug, Clone, PartialEq)]
enum Content {
    /// Validation losses.
    Loss(LossSignature),
    /// A score.
    Score(Measure),
}

impl Content {
    fn name(&self) -> &'static str {
        match self {
            Self::Loss(_) => "validation loss",
            Self::Score(measure) => measure.metric.as_str(),
        }
    }

    fn signature(&self) -> String {
        match self {
            Self::Loss(signature) => signature.to_string(),
            Self::Score(measure) => measure.signature.clone(),
        }
    }

    /// The number of a dense model.
    fn cell(&self, of: &Dense) -> String {
        match self {
            Self::Loss(signature)
                if of.is_of_one_signature() && *signature == of.loss_signature() =>
            {
                spread(&of.losses, 4, of.losses.len())
            }
            Self::Loss(_) => NOTHING.to_owned(),
            Self::Score(measure) => {
                let values = of.scores().find(|(known, _)| *known == measure);
                let values = values.map_or(&[][..], |(_, values)| values);
                spread(values, 2, of.losses.len().max(values.len()))
            }
        }
    }
}

/// A column of numbers.
#[derive(Debug)]
struct Column {
    head: String,
    content: Content,
}

impl Column {
    fn note(&self) -> String {
        format!("{}; signature `{}`", self.head, self.content.signature())
    }

    fn head_with_signature(&self) -> String {
        format!("{} [{}]", self.head, self.content.signature())
    }
}

/// A column for each signature, in the order of the points; of equal heads the second gets ` #2`, and so on.
fn columns(dense: &[Dense]) -> Vec<Column> {
    let mut contents: Vec<Content> = Vec::new();
    for of in dense {
        let has_mean = !of.losses.is_empty() && of.is_of_one_signature();
        let loss = has_mean.then(|| Content::Loss(of.loss_signature()));
        let scores = of
            .scores()
            .map(|(measure, _)| Content::Score(measure.clone()));
        for content in loss.into_iter().chain(scores) {
            if !contents.contains(&content) {
                contents.push(content);
            }
        }
    }
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    let column = |content: Content| {
        let n = seen.entry(content.name()).or_default();
        *n += 1;
        let head = match *n {
            1 => content.name().to_owned(),
            n => format!("{} #{n}", content.name()),
        };
        Column { head, content }
    };
    contents.into_iter().map(column).collect()
}

/// A line for each dense model of a point.
fn table(
    plan: &Plan,
    dense: &[Dense],
    columns: &[Column],
    head: impl Fn(&Column) -> String,
) -> Table {
    let keys = plan.grid.iter().map(|axis| (axis.key.clone(), Align::Left));
    let names = [("dense model", Align::Left), ("seeds", Align::Right)];
    let names = names.map(|(name, align)| (name.to_owned(), align));
    let numbers = columns.iter().map(|column| (head(column), Align::Right));
    let mut table = Table::new(keys.chain(names).chain(numbers));
    for of in dense {
        let values = of.point.0.iter().map(|set| {
            let value = set.split_once('=').map_or("", |(_, value)| value);
            value.to_owned()
        });
        let names = [
            of.variant.words(),
            format!("{}/{}", of.losses.len(), of.n_seeds),
        ];
        let numbers = columns.iter().map(|column| column.content.cell(of));
        table.push(values.chain(names).chain(numbers).collect::<Vec<String>>());
    }
    table
}

/// A cell without a number.
const NOTHING: &str = "–";

/// Mean ± standard deviation (n − 1), and of how many where some of `n` values are not there.
fn spread(values: &[f64], digits: usize, n: usize) -> String {
    let spread = match Interval::of(values).map(|of| (of.mean, of.sd)) {
        None => return NOTHING.to_owned(),
        Some((mean, None)) => format!("{mean:.digits$}"),
        Some((mean, Some(sd))) => format!("{mean:.digits$} ± {sd:.digits$}"),
    };
    match values.len() == n {
        true => spread,
        false => format!("{spread} ({} of {n})", values.len()),
    }
}

/// The dense models of one variant whose validation losses compare: these choose among their points.
struct Comparable<'a> {
    variant: &'a Variant,
    loss: LossSignature,
    models: Vec<&'a Dense>,
}

impl Comparable<'_> {
    fn has(&self, of: &Dense) -> bool {
        self.variant.words() == of.variant.words() && self.loss == of.loss_signature()
    }

    /// The model of least validation loss.
    fn best(&self) -> Option<&Dense> {
        let models = self.models.iter().copied();
        models.min_by(|a, b| a.mean_loss().total_cmp(&b.mean_loss()))
    }
}

fn comparable(dense: &[Dense]) -> Vec<Comparable<'_>> {
    let mut all: Vec<Comparable<'_>> = Vec::new();
    for of in dense.iter().filter(|of| of.may_be_chosen()) {
        match all.iter_mut().find(|known| known.has(of)) {
            Some(known) => known.models.push(of),
            None => all.push(Comparable {
                variant: &of.variant,
                loss: of.loss_signature(),
                models: vec![of],
            }),
        }
    }
    all
}

/// Whether other points have the same dense model with losses that these do not compare with.
fn is_split(of: &Comparable<'_>, all: &[Comparable<'_>]) -> bool {
    let is_same = |other: &&Comparable<'_>| other.variant.words() == of.variant.words();
    all.iter().filter(is_same).count() > 1
}

/// Which points the validation data choose; scores of test data choose nothing.
fn words(dense: &[Dense], columns: &[Column]) -> String {
    let all = comparable(dense);
    let choices = choices(&all, dense, columns);
    let chosen = match (all.is_empty(), choices.is_empty()) {
        (true, _) => "no point has all its seeds trained and scored yet".to_owned(),
        (false, true) => "no two points compare by validation loss".to_owned(),
        (false, false) => format!(
            "least validation loss (which may choose, as the score may not): {}",
            choices.join("; ")
        ),
    };
    let split = match all.iter().any(|of| is_split(of, &all)) {
        false => "",
        true => {
            " No choice is made between points of different signatures: their validation losses are of other data, tokens or \
             output layers, and do not compare."
        }
    };
    format!(
        "Dense models; {chosen}.{split}{}{}",
        mixed(dense),
        missing(dense)
    )
}

/// The points whose seeds have no mean.
fn mixed(dense: &[Dense]) -> String {
    let mixed = dense.iter().filter(|of| !of.is_of_one_signature());
    let points: BTreeSet<String> = mixed.map(|of| of.point.to_string()).collect();
    match points.is_empty() {
        true => String::new(),
        false => format!(
            " The seeds of {} are of different data or tokenizers, and their losses have no mean.",
            points.into_iter().collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The points that are chosen, each among those that compare.
fn choices(all: &[Comparable<'_>], dense: &[Dense], columns: &[Column]) -> Vec<String> {
    let names = dense.iter().map(|of| of.variant.words());
    let is_one = names.collect::<BTreeSet<String>>().len() == 1;
    let choice = |of: &Comparable<'_>| {
        let is_split = is_split(of, all);
        // Nothing is chosen of one.
        let best = of.best().filter(|_| !is_split || of.models.len() > 1)?;
        let variant = (!is_one).then_some(of.variant);
        let column = is_split.then(|| column_of(&of.loss, columns));
        Some(choice(best, variant, column.flatten()))
    };
    all.iter().filter_map(choice).collect()
}

/// The column of the losses of a signature.
fn column_of<'a>(loss: &LossSignature, columns: &'a [Column]) -> Option<&'a Column> {
    columns.iter().find(|column| match &column.content {
        Content::Loss(signature) => signature == loss,
        Content::Score(_) => false,
    })
}

/// A point that is chosen, after the variant and the column that it is chosen in, where there are several.
fn choice(best: &Dense, variant: Option<&Variant>, column: Option<&Column>) -> String {
    let variant = variant.map(Variant::words);
    let column = column.map(|column| column.head.clone());
    let among: Vec<String> = variant.into_iter().chain(column).collect();
    match among.is_empty() {
        true => best.point.to_string(),
        false => format!("{}: {}", among.join(", "), best.point),
    }
}

/// How many dense models have no validation loss.
fn missing(dense: &[Dense]) -> String {
    let all: usize = dense.iter().map(|of| of.n_seeds).sum();
    let there: usize = dense.iter().map(|of| of.losses.len()).sum();
    match all - there {
        0 => String::new(),
        n => format!(" {n} of {all} dense models have no validation loss yet."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::dense::OfSeed;
    use crate::sweep::plan::Point;
    use sparta_results::Metric;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(spread(&[1.0, 2.0, 3.0], 2, 3), "2.00 ± 1.00");
        assert_eq!(spread(&[1.5], 4, 1), "1.5000");
        assert_eq!(spread(&[1.5], 4, 2), "1.5000 (1 of 2)");
        assert_eq!(spread(&[], 4, 2), "–");
    }

    /// Dense models of two seeds: a value of `train.lr`, the signature of their score, and losses with scores.
    fn dense(lr: &str, normalizers: &[&str], signature: &str, seeds: &[(f64, f64)]) -> Vec<Dense> {
        let point = Point(vec![format!("train.lr={lr}")]);
        let mechanisms: Vec<_> = normalizers.iter().map(|of| of.parse().unwrap()).collect();
        let variants = Variant::each(&mechanisms, (0, ""), (&[], |_| true));
        let of_variant = |variant: Variant| {
            let mut of = Dense::new((point.clone(), variant), 2, None);
            for &(loss, score) in seeds {
                let measure = Measure {
                    metric: Metric::Perplexity,
                    signature: signature.to_owned(),
                };
                of.add(OfSeed {
                    loss: Some(loss),
                    tokenizers: None,
                    scores: [(measure, score)].into(),
                });
            }
            of
        };
        variants.into_iter().map(of_variant).collect()
    }

    fn said(dense: &[Dense]) -> String {
        words(dense, &columns(dense))
    }

    #[test]
    fn validation_chooses_among_points_with_all_their_seeds() {
        let lines = [
            dense("1", &["softmax"], "PPL", &[(3.0, 9.0), (4.0, 9.0)]),
            dense("2", &["softmax"], "PPL", &[(3.5, 1.0), (3.6, 1.0)]),
            dense("3", &["softmax"], "PPL", &[(1.0, 0.5)]),
        ];
        let lines: Vec<Dense> = lines.into_iter().flatten().collect();
        assert!(
            said(&lines).contains("not): train.lr=1."),
            "{}",
            said(&lines)
        );
        assert!(
            said(&lines).contains("1 of 6 dense models"),
            "{}",
            said(&lines)
        );
        assert!(said(&lines[2..]).contains("no point has all"));
    }

    #[test]
    fn losses_of_different_signatures_choose_nothing_between_them() {
        let losses = |loss: f64| [(loss, 30.0), (loss, 30.0)];
        let [a, b, c] = [
            dense("1", &["softmax"], "PPL|vocab:1000", &losses(3.0)),
            dense("2", &["softmax"], "PPL|vocab:4000", &losses(5.0)),
            dense("3", &["softmax"], "PPL|vocab:4000", &losses(4.0)),
        ];
        let two: Vec<Dense> = a.into_iter().chain(b).collect();
        let heads: Vec<String> = columns(&two).iter().map(|of| of.head.clone()).collect();
        let each = [
            "validation loss",
            "perplexity",
            "validation loss #2",
            "perplexity #2",
        ];
        assert_eq!(heads, each);
        let words = said(&two);
        assert!(words.contains("no two points compare"), "{words}");
        assert!(words.contains("do not compare"), "{words}");
        assert!(!words.contains("train.lr="), "{words}");
        // Points of one signature choose among themselves.
        let three: Vec<Dense> = two.into_iter().chain(c).collect();
        let words = said(&three);
        assert!(
            words.contains("not): validation loss #2: train.lr=3. No"),
            "{words}"
        );
    }

    #[test]
    fn each_dense_model_of_a_point_is_chosen_by_itself() {
        let of = |lr: &str, loss: f64| {
            dense(
                lr,
                &["softmax", "entmax15"],
                "PPL",
                &[(loss, 9.0), (loss, 9.0)],
            )
        };
        let mut lines: Vec<Dense> = of("1", 3.0).into_iter().chain(of("2", 4.0)).collect();
        lines[3].losses = vec![1.0, 1.0];
        let words = said(&lines);
        assert!(
            words.contains("softmax: train.lr=1; entmax15: train.lr=2."),
            "{words}"
        );
        assert!(!words.contains("do not compare"), "{words}");
    }
}

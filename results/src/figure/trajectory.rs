//! α of every head over training.

use serde::{Deserialize, Serialize};

use super::Figure;
use super::check::Check;
use super::layout::{PanelGrid, Slot, distinct};
use super::source::Source;
use super::table::Lines;
use crate::attention::{REAL_DROP, Trajectory};
use crate::chart::{Axis, Colour, Key, Line, Mark, Page, Panel, SERIES, attention_name, head_name};
use crate::error::Result;

/// Learned α of every head against training steps, one panel for each attention type (AST, figure
/// "Trajectories of α values"). File: `trajectory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrajectoryFigure {
    /// What was measured.
    pub source: Source,
    /// Training steps at which α was written down, rising.
    pub steps: Vec<u64>,
    /// Every head of every attention type.
    pub heads: Vec<HeadTrajectory>,
    /// Published heads.
    pub published: Vec<PublishedHead>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadTrajectory {
    /// Attention type.
    pub attention: String,
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// α at each of the steps.
    pub alphas: Vec<f64>,
}

/// What was published of one head's trajectory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedHead {
    /// Corpus.
    pub corpus: String,
    /// Attention type.
    pub attention: String,
    /// Layer, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// What the head was found to do.
    pub role: Option<String>,
    /// α at the start.
    pub start: f64,
    /// Lowest α.
    pub min: f64,
    /// α at the end.
    pub end: f64,
}

impl HeadTrajectory {
    /// Start, lowest and end of the head's α; none without a step.
    pub fn trajectory(&self) -> Option<Trajectory> {
        let start = *self.alphas.first()?;
        Some(Trajectory {
            start,
            min: self.alphas.iter().copied().fold(start, f64::min),
            end: *self.alphas.last()?,
        })
    }

    fn is_marked(&self) -> bool {
        let trajectory = self.trajectory();
        trajectory.is_some_and(|of| of.starts_dense_ends_sparse())
    }
}

impl PublishedHead {
    fn trajectory(&self) -> Trajectory {
        Trajectory {
            start: self.start,
            min: self.min,
            end: self.end,
        }
    }
}

/// How many heads the picture names.
const LISTED: usize = 9;
const PLAIN: Line = Line {
    colour: Colour(0x8a, 0xb4, 0xd0),
    width: 1.2,
    dash: "",
    mark: Mark::None,
};
const MARKED: Line = Line {
    colour: SERIES[1],
    width: 2.2,
    dash: "",
    mark: Mark::None,
};

impl Figure for TrajectoryFigure {
    fn name(&self) -> String {
        "trajectory".to_owned()
    }

    fn check(&self) -> Result<()> {
        let check = Check::of(self.name());
        check.that(!self.heads.is_empty() && !self.steps.is_empty(), || {
            "no α was written down in training; train with the normaliser `alpha-entmax` and this version".into()
        })?;
        let steps: Vec<f64> = self.steps.iter().map(|&step| step as f64).collect();
        check.rising("training steps", &steps)?;
        for of in &self.heads {
            let name = format!("{}, {}", of.attention, head_name(of.layer, of.head));
            check.within(&name, of.alphas.iter().copied(), 1.0, 2.0)?;
            check.that(of.alphas.len() == self.steps.len(), || {
                let (found, steps) = (of.alphas.len(), self.steps.len());
                format!("{name}: {found} values of α at {steps} steps")
            })?;
        }
        let published = self.published.iter();
        let published = published.flat_map(|of| [of.start, of.min, of.end]);
        check.within("published α", published, 1.0, 2.0)
    }

    fn csv(&self) -> Result<String> {
        let head = [
            "source",
            "attention",
            "layer",
            "head",
            "step",
            "alpha",
            "starts_dense_ends_sparse",
        ];
        let mut lines = Lines::new(&head);
        for of in &self.heads {
            let place = [of.layer, of.head].map(|at| at.to_string());
            for (step, alpha) in self.steps.iter().zip(&of.alphas) {
                let mut line = vec!["ours".to_owned(), of.attention.clone()];
                line.extend(place.clone());
                line.extend([step.to_string(), alpha.to_string()]);
                line.push(of.is_marked().to_string());
                lines.push(line);
            }
        }
        for of in &self.published {
            for (step, alpha) in [("start", of.start), ("lowest", of.min), ("end", of.end)] {
                let mut line = vec![of.corpus.clone(), of.attention.clone()];
                line.extend([of.layer, of.head].map(|at| at.to_string()));
                line.extend([step.to_owned(), alpha.to_string()]);
                line.push(of.trajectory().starts_dense_ends_sparse().to_string());
                lines.push(line);
            }
        }
        lines.finish()
    }

    fn svg(&self) -> Result<String> {
        self.check()?;
        let mut page = Page::new("α of every head over training");
        page.note(&self.source.line());
        page.legend(&[
            Key::Line("one head".to_owned(), PLAIN),
            Key::Line(
                format!(
                    "first denser (α falls by more than {REAL_DROP}), in the end sparser than it began"
                )
                    .to_owned(),
                MARKED,
            ),
        ]);
        let types = distinct(self.heads.iter().map(|of| &of.attention));
        let published = self.published.iter();
        let published: Vec<&PublishedHead> = published
            .filter(|of| types.contains(&of.attention.as_str()))
            .collect();
        let corpora = distinct(published.iter().map(|of| &of.corpus));
        let mut rows = vec![format!("ours, {}", self.source.run)];
        rows.extend(
            corpora
                .iter()
                .map(|corpus| format!("paper, {corpus}: published heads")),
        );
        let grid = PanelGrid {
            columns: types.iter().map(|of| attention_name(of)).collect(),
            rows,
            height: 205.0,
        };
        grid.draw(&mut page, |slot| {
            let of_type = types[slot.column];
            match slot.row.checked_sub(1).map(|at| corpora[at]) {
                None => self.draw(slot, of_type),
                Some(corpus) => {
                    let is_there =
                        |of: &&&PublishedHead| of.attention == of_type && of.corpus == corpus;
                    draw_published(slot, published.iter().filter(is_there).copied());
                }
            }
        });
        let marked = self.heads.iter().filter(|of| of.is_marked());
        let name = |of: &HeadTrajectory| {
            let path = of.trajectory().map(|of| [of.start, of.min, of.end]);
            let path = path
                .unwrap_or_default()
                .map(|alpha| format!("{alpha:.2}"))
                .join(" → ");
            let head = head_name(of.layer, of.head);
            format!("{} {head} ({path})", attention_name(&of.attention))
        };
        let marked: Vec<String> = marked.map(name).collect();
        let listed = &marked[..marked.len().min(LISTED)];
        let more = match marked.len() - listed.len() {
            0 => String::new(),
            more => format!("; and {more} more, in the csv"),
        };
        let n = self.heads.len();
        page.note(&match marked.len() {
            0 => format!(
                "None of our {n} heads becomes denser first and ends sparser than it began."
            ),
            some => format!(
                "{some} of our {n} heads become denser first and end sparser than they began \
                 (start → lowest → end): {}{more}.",
                listed.join("; ")
            ),
        });
        for of in &published {
            let role = of
                .role
                .as_ref()
                .map_or(String::new(), |role| format!(", {role}"));
            let alphas = [of.start, of.min, of.end]
                .map(|alpha| format!("{alpha:.3}"))
                .join(" → ");
            page.note(&format!(
                "paper, {}: {} {}{role}: {alphas}",
                of.corpus,
                attention_name(&of.attention),
                head_name(of.layer, of.head)
            ));
        }
        Ok(page.finish())
    }
}

fn alpha_axis(slot: &Slot<'_>) -> Axis {
    Axis::linear(if slot.is_left { "α" } else { "" }, 1.0, 2.0, 5)
}

impl TrajectoryFigure {
    fn draw(&self, slot: Slot<'_>, of_type: &str) {
        let last = self.steps.last().map_or(1.0, |&step| step as f64).max(1.0);
        let y = alpha_axis(&slot);
        let x = Axis::linear("training step", 0.0, last, 4);
        let mut panel = Panel::new(slot.svg, slot.frame, &slot.title, x, y);
        // Marked heads lie above the others.
        for marked in [false, true] {
            for of in &self.heads {
                if of.attention == of_type && of.is_marked() == marked {
                    let points = self.steps.iter().zip(&of.alphas);
                    let points: Vec<_> = points
                        .map(|(&step, &alpha)| Some((step as f64, alpha)))
                        .collect();
                    panel.line(&points, if marked { MARKED } else { PLAIN });
                }
            }
        }
    }
}

fn draw_published<'a>(slot: Slot<'_>, heads: impl Iterator<Item = &'a PublishedHead>) {
    let y = alpha_axis(&slot);
    let names = ["start", "lowest", "end"].map(str::to_owned);
    let mut panel = Panel::new(
        slot.svg,
        slot.frame,
        &slot.title,
        Axis::places("", names),
        y,
    );
    let mut heads = heads.peekable();
    if heads.peek().is_none() {
        panel.empty("no head published");
    }
    for of in heads {
        let points = [of.start, of.min, of.end];
        let points: Vec<_> = (points.into_iter().enumerate())
            .map(|(at, alpha)| Some((at as f64, alpha)))
            .collect();
        let line = if of.trajectory().starts_dense_ends_sparse() {
            MARKED
        } else {
            PLAIN.width(2.0)
        };
        panel.line(
            &points,
            Line {
                mark: Mark::Circle,
                ..line
            },
        );
    }
}

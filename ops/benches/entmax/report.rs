//! The files of a run: raw.csv (every call), summary.csv, summary.md, versions.txt, vectors.csv.

use std::fmt::{self, Display, Formatter, Write};
use std::path::Path;

use crate::case::Case;

/// A case on a device, measured.
pub struct Row {
    case: Case,
    device: &'static str,
    /// Milliseconds of every call.
    pub ours: Vec<f64>,
    pub peer: Vec<f64>,
    /// Largest difference of ours and the peer's, over weights (or losses) and gradients in scores.
    max_abs_diff: Option<f64>,
    /// Largest error of each output, of ours and of the peer's, against f64.
    errors: Vec<(f64, Option<f64>)>,
}

impl Row {
    pub fn new(
        case: &Case,
        device: &'static str,
        ours: &[Vec<f64>],
        peer: Option<&[Vec<f64>]>,
        exact: &[Vec<f64>],
    ) -> Self {
        let error = |i: usize| {
            let theirs = peer.map(|peer| difference(&peer[i], &exact[i]));
            (difference(&ours[i], &exact[i]), theirs)
        };
        let compared = peer.map(|peer| {
            let differences = ours.iter().zip(peer).take(2).map(|(a, b)| difference(a, b));
            differences.fold(0.0, f64::max)
        });
        if let Some(off) = compared {
            assert!(
                off < 1e-3,
                "{}: {off:e} between ours and the peer's",
                case.label()
            );
        }
        Self {
            case: *case,
            device,
            ours: Vec::new(),
            peer: Vec::new(),
            max_abs_diff: compared,
            errors: (0..exact.len()).map(error).collect(),
        }
    }

    fn ratio(&self) -> Option<f64> {
        (!self.peer.is_empty()).then(|| median(&self.peer) / median(&self.ours))
    }

    fn csv(&self) -> String {
        let or_empty = |x: Option<String>| x.unwrap_or_default();
        format!(
            "{},{},f32,{},{:.4},{},{},{},{}\n",
            self.case.name(),
            self.case.shape(),
            self.device,
            median(&self.ours),
            or_empty(self.ratio().map(|_| format!("{:.4}", median(&self.peer)))),
            or_empty(self.ratio().map(|ratio| format!("{ratio:.2}"))),
            or_empty(self.ratio().map(|_| self.case.peer_name().to_owned())),
            or_empty(self.max_abs_diff.map(|off| format!("{off:.2e}"))),
        )
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<8} {:<42} {:9.3} ms",
            self.device,
            self.case.label(),
            median(&self.ours)
        )?;
        if let Some(ratio) = self.ratio() {
            write!(f, "   peer {:9.3} ms   {ratio:7.2}x", median(&self.peer))?;
        }
        for (ours, peer) in &self.errors {
            write!(f, "   {ours:.1e}")?;
            if let Some(peer) = peer {
                write!(f, "/{peer:.1e}")?;
            }
        }
        Ok(())
    }
}

/// A whole run.
#[derive(Default)]
pub struct Report {
    pub rows: Vec<Row>,
    pub versions: String,
    pub vectors: String,
}

impl Report {
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut summary =
            String::from("case,shape,dtype,device,ours_ms,peer_ms,ratio,peer,max_abs_diff\n");
        let mut raw = String::from("case,shape,dtype,device,who,call,ms\n");
        for row in &self.rows {
            summary += &row.csv();
            for (who, times) in [("ours", &row.ours), ("peer", &row.peer)] {
                for (call, ms) in times.iter().enumerate() {
                    let (case, shape) = (row.case.name(), row.case.shape());
                    let line = format!("{case},{shape},f32,{},{who},{call},{ms:.4}\n", row.device);
                    raw += &line;
                }
            }
        }
        std::fs::write(dir.join("summary.csv"), summary)?;
        std::fs::write(dir.join("raw.csv"), raw)?;
        std::fs::write(dir.join("summary.md"), self.markdown())?;
        std::fs::write(dir.join("vectors.csv"), &self.vectors)?;
        std::fs::write(dir.join("versions.txt"), &self.versions)
    }

    fn markdown(&self) -> String {
        let mut text = String::from(
            "Medians in milliseconds. Errors are the largest against f64, ours / the peer's, of the \
             weights (or losses), of the gradient in the scores and of that in α.\n\n\
             | device | case | shape | ours | peer | ratio | errors |\n|---|---|---|--:|--:|--:|---|\n",
        );
        for row in &self.rows {
            let mut errors = String::new();
            for (ours, peer) in &row.errors {
                write!(errors, " {ours:.0e}").expect("text grows");
                if let Some(peer) = peer {
                    write!(errors, " / {peer:.0e};").expect("text grows");
                }
            }
            let peer = row
                .ratio()
                .map(|r| (format!("{:.2}", median(&row.peer)), format!("{r:.1}×")));
            let (peer, ratio) = peer.unwrap_or_default();
            writeln!(
                text,
                "| {} | {} | {} | {:.2} | {peer} | {ratio} |{errors} |",
                row.device,
                row.case.name(),
                row.case.shape(),
                median(&row.ours),
            )
            .expect("text grows");
        }
        text
    }
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    match times.len() % 2 {
        0 => 0.5 * (times[middle - 1] + times[middle]),
        _ => times[middle],
    }
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // NaN is the largest of differences.
    off.fold(0.0, |m, x| if x <= m { m } else { x })
}

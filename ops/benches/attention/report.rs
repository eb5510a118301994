//! The files of a run: raw.csv (every call), summary.csv, versions.txt.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use crate::case::Case;

/// A case on a device, measured.
pub struct Row {
    case: Case,
    device: &'static str,
    /// Milliseconds of every call.
    pub ours: Vec<f64>,
    pub peer: Vec<f64>,
    /// Of ours, outputs included; none on a GPU, whose memory is not the host's.
    pub peak_bytes: Option<usize>,
    /// Largest difference, over the context and the gradients in query, key and value.
    max_abs_diff: Option<f64>,
    /// Milliseconds of an earlier run.
    pub baseline: Option<f64>,
}

impl Row {
    pub fn new(case: &Case, device: &'static str) -> Self {
        Self {
            case: *case,
            device,
            ours: Vec::new(),
            peer: Vec::new(),
            peak_bytes: None,
            max_abs_diff: None,
            baseline: None,
        }
    }

    /// Compares outputs, where both sides compute the same.
    ///
    /// # Panics
    /// If they are further apart than rounding can explain.
    pub fn compare(&mut self, ours: &[Vec<f64>], peer: &[Vec<f64>]) {
        if !self.case.is_compared() {
            return;
        }
        let (mut largest, mut size) = (0.0f64, 0.0f64);
        for (a, b) in ours.iter().zip(peer).take(4) {
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(b) {
                let off = (a - b).abs();
                // NaN is the largest of differences.
                largest = if off <= largest { largest } else { off };
                size = size.max(b.abs());
            }
        }
        let label = self.case.label();
        let limit = self.case.tolerance(size);
        assert!(
            largest < limit,
            "{label}: {largest:e} between the two sides"
        );
        self.max_abs_diff = Some(largest);
    }

    /// What was timed, as the first columns of a summary say it.
    pub fn key(&self) -> [String; 5] {
        [
            self.case.name(),
            self.case.shape_name(),
            (100.0 * self.case.p).to_string(),
            self.case.dtype().name().to_owned(),
            self.device.to_owned(),
        ]
    }

    fn ratio(&self) -> Option<f64> {
        (!self.peer.is_empty()).then(|| least(&self.peer) / least(&self.ours))
    }

    fn summary(&self) -> [String; 10] {
        let peer = self.ratio().map(|ratio| {
            let peer = least(&self.peer);
            (
                format!("{peer:.3}"),
                format!("{ratio:.2}"),
                self.case.peer_name(),
            )
        });
        let (peer, ratio, name) = peer.unwrap_or_default();
        let [case, shape, p, dtype, device] = self.key();
        [
            case,
            shape,
            p,
            dtype,
            device,
            format!("{:.3}", least(&self.ours)),
            peer,
            ratio,
            name,
            self.peak_bytes
                .map_or(String::new(), |bytes| bytes.to_string()),
        ]
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ours = least(&self.ours);
        let label = self.case.label();
        write!(f, "{:<8} {label:<42} {ours:9.2} ms", self.device)?;
        if let Some(bytes) = self.peak_bytes {
            write!(f, " {:6.1} MiB", bytes as f64 / (1 << 20) as f64)?;
        }
        if let Some(ratio) = self.ratio() {
            let (name, peer) = (self.case.peer_name(), least(&self.peer));
            write!(f, "   {name} {peer:9.2} ms   {ratio:6.2}x")?;
        }
        if let Some(earlier) = self.baseline {
            write!(f, "   baseline {earlier:9.2} ms   {:6.2}x", earlier / ours)?;
        }
        if let Some(off) = self.max_abs_diff {
            write!(f, "   {off:.0e}")?;
        }
        Ok(())
    }
}

/// A whole run.
#[derive(Default)]
pub struct Report {
    pub rows: Vec<Row>,
    pub versions: String,
}

impl Report {
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut summary = csv::Writer::from_path(dir.join("summary.csv"))?;
        summary.write_record([
            "case",
            "shape",
            "p",
            "dtype",
            "device",
            "ours_ms",
            "peer_ms",
            "ratio",
            "peer",
            "peak_bytes",
        ])?;
        let mut raw = csv::Writer::from_path(dir.join("raw.csv"))?;
        raw.write_record(["case", "shape", "p", "device", "peer", "who", "call", "ms"])?;
        for row in &self.rows {
            summary.write_record(row.summary())?;
            for (who, times) in [("ours", &row.ours), ("peer", &row.peer)] {
                for (call, ms) in times.iter().enumerate() {
                    let case = &row.case;
                    raw.write_record([
                        case.name(),
                        case.shape_name(),
                        (100.0 * case.p).to_string(),
                        row.device.to_owned(),
                        case.peer_name(),
                        who.to_owned(),
                        call.to_string(),
                        format!("{ms:.4}"),
                    ])?;
                }
            }
        }
        summary.flush()?;
        raw.flush()?;
        std::fs::write(dir.join("versions.txt"), &self.versions)
    }
}

/// The fastest call: what others do on the machine only ever adds.
fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

//! Summaries of the attention bench:
//! `case,shape,p,dtype,device,ours_ms,peer_ms,ratio,peer,peak_bytes`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Result, ResultsError};
use crate::record::write_atomic;
use crate::render::svg;

/// The peer of a case that is timed against the same kernel without its mask.
pub const DENSE: &str = "ours-dense";

/// One line of a summary.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BenchRow {
    /// What was computed: `entmax15/blocks`, or
    /// `softmax/causal/ap-p80/effective=79.98/blocks64=3.12` under the mask of a trained model.
    pub case: String,
    /// `BATCHxHEADSxQUERIES[xKEYS]xWIDTH/sSIGMA`.
    pub shape: String,
    /// Nominal p: the percentage of cells that is hidden.
    pub p: f64,
    /// Type of the numbers.
    pub dtype: String,
    /// Where.
    pub device: String,
    /// Milliseconds of forward and backward.
    pub ours_ms: f64,
    /// The same of the peer.
    pub peer_ms: Option<f64>,
    /// `peer_ms / ours_ms`.
    pub ratio: Option<f64>,
    /// What it was timed against.
    pub peer: Option<String>,
    /// The most memory that was held beyond the inputs, in bytes; outputs included.
    pub peak_bytes: f64,
}

/// Sizes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BenchShape {
    /// Examples.
    pub batch: usize,
    /// Heads.
    pub n_heads: usize,
    /// Queries.
    pub seq_q: usize,
    /// Keys.
    pub seq_kv: usize,
    /// Width of a head.
    pub d_head: usize,
}

impl BenchRow {
    /// Reads a summary.
    ///
    /// # Errors
    /// [`ResultsError::Io`] for a file that cannot be read, [`ResultsError::Csv`] for one that is
    /// no summary, [`ResultsError::Empty`] for one without a line.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        let text =
            fs::read_to_string(path).map_err(|source| ResultsError::io("read", path, source))?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<Self> = reader.deserialize().collect::<csv::Result<_>>()?;
        match rows.is_empty() {
            true => Err(ResultsError::Empty),
            false => Ok(rows),
        }
    }

    /// The sizes; `None` for a shape of another bench.
    pub fn sizes(&self) -> Option<BenchShape> {
        let sizes = self.shape.split('/').next()?.split('x');
        let sizes: Vec<usize> = sizes.map(|n| n.parse().ok()).collect::<Option<_>>()?;
        let (batch, n_heads, seq_q, seq_kv, d_head) = match sizes[..] {
            [batch, heads, seq, d] => (batch, heads, seq, seq, d),
            [batch, heads, seq_q, seq_kv, d] => (batch, heads, seq_q, seq_kv, d),
            _ => return None,
        };
        Some(BenchShape {
            batch,
            n_heads,
            seq_q,
            seq_kv,
            d_head,
        })
    }

    /// Time saved against the same kernel without the mask, in percent (negative: faster); `None`
    /// where something else was the peer.
    pub fn time_change(&self) -> Option<f64> {
        let is_dense = self.peer.as_deref() == Some(DENSE);
        self.peer_ms
            .filter(|_| is_dense)
            .map(|dense| 100.0 * (self.ours_ms / dense - 1.0))
    }

    /// The row's mask: what was computed under blocks chosen at random or the masks of a trained
    /// model, by the kind of the latter (`softmax/causal, ap`); `None` for a row without a mask.
    pub fn series(&self) -> Option<String> {
        if let Some(name) = self.case.strip_suffix("/blocks") {
            return Some(format!("{name}, blocks"));
        }
        let (name, _) = self.case.split_once("/effective=")?;
        let (name, mask) = name.rsplit_once('/')?;
        let kind = mask.rsplit_once("-p").map_or(mask, |(kind, _)| kind);
        Some(format!("{name}, {kind}"))
    }
}

/// Draws time and memory of a summary, a file beside it for each device: `summary.svg`, or
/// `summary-DEVICE.svg` where there are several. Returns the files.
///
/// # Errors
/// As [`BenchRow::read`]; [`ResultsError::Plot`] if drawing fails.
pub fn plot(summary: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let summary = summary.as_ref();
    let rows = BenchRow::read(summary)?;
    let devices: BTreeSet<&str> = rows.iter().map(|row| row.device.as_str()).collect();
    let stem = summary.file_stem().unwrap_or_default().to_string_lossy();
    let mut files = Vec::new();
    for device in &devices {
        let of_device: Vec<BenchRow> = (rows.iter())
            .filter(|row| row.device == *device)
            .cloned()
            .collect();
        let name = match devices.len() {
            1 => format!("{stem}.svg"),
            _ => format!("{stem}-{}.svg", device.replace([':', '/'], "-")),
        };
        let path = summary.with_file_name(name);
        write_atomic(&path, svg::cost(&of_device)?.as_bytes())?;
        files.push(path);
    }
    Ok(files)
}

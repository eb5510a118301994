//! The file of a checkpoint: a header, tensors, and the sha256 of both.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use burn::tensor::{DType, TensorData};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sparta_datasets::source::Sha256Hex;
use sparta_model::current_path;
use sparta_ops::attention::Calls;

use super::super::loss_scale::LossScale;
use super::super::patience::Waited;
use super::{Identity, TrainedBy, keep};
use crate::io::write_atomic;

pub(super) const FORMAT: &str = "sparta-checkpoint-1";

/// The entry of the metadata of a file: what it belongs to and where it stands, as JSON whose last value is the sha256
/// of the others and of every tensor, which files of earlier versions lack. One entry, because several have no order.
const HEADER: &str = "sparta";
pub(super) const CHECKSUM: &str = ",\"sha256\":\"";

#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) identity: Identity,
    pub(super) step: u64,
    pub(super) seconds: f64,
    /// The bits of the sum, because decimal digits may not read back to the same number.
    pub(super) window_bits: u64,
    pub(super) window_len: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attention: Option<Calls>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) by: Vec<TrainedBy>,
    /// Only of checkpoints that were saved in a validation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) owes_validation: bool,
    /// Only of trainings that may end early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) patience: Option<Waited>,
    /// Only of trainings in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) loss_scale: Option<LossScale>,
    pub(super) times: BTreeMap<String, usize>,
}

pub(super) struct Stored<'a>(Cow<'a, TensorData>);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0.as_bytes())
    }
    fn data_len(&self) -> usize {
        self.0.as_bytes().len()
    }
}

pub(super) fn stored(data: &TensorData) -> Stored<'_> {
    if data.dtype() == DType::F32 {
        Stored(Cow::Borrowed(data))
    } else {
        Stored(Cow::Owned(data.clone().convert::<f32>()))
    }
}

pub(super) fn write_tensors(
    path: &Path,
    tensors: Vec<(String, Stored<'_>)>,
    header: &Header,
) -> Result<()> {
    let header = serde_json::to_string(header).context("cannot write the checkpoint header")?;
    let parts: Vec<Part<'_>> = tensors
        .iter()
        .map(|(name, stored)| (name.as_str(), stored.shape(), stored.data()))
        .collect();
    // Without its end, behind which the checksum goes.
    let header = header.strip_suffix('}').unwrap_or(&header);
    let checksum = checksum(header, parts);
    let header = format!("{header}{CHECKSUM}{checksum}\"}}");
    let metadata = HashMap::from([(HEADER.to_owned(), header)]);
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .with_context(|| format!("cannot write {}", path.display()))?;
    write_atomic(path, |out| out.write_all(&bytes))?;
    keep(path);
    Ok(())
}

/// Name, shape and bytes of a tensor.
type Part<'a> = (&'a str, &'a [usize], Cow<'a, [u8]>);

/// sha256 of a header and of tensors, whatever their order.
fn checksum(header: &str, mut tensors: Vec<Part<'_>>) -> String {
    tensors.sort_by_key(|(name, ..)| *name);
    let mut hasher = Sha256Hex::new();
    hasher.update(header.as_bytes());
    for (name, shape, bytes) in tensors {
        hasher.update(format!("\n{name} {shape:?} ").as_bytes());
        hasher.update(&bytes);
    }
    hasher.finish()
}

/// What trained a model so far, by the header of its checkpoint alone; none of a file that has no such header.
pub(super) fn read_by(path: &Path) -> Option<Vec<TrainedBy>> {
    let mut file = fs::File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let mut header = Vec::new();
    let length = u64::from_le_bytes(length);
    file.take(length).read_to_end(&mut header).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    let text = header.get("__metadata__")?.get(HEADER)?.as_str()?;
    serde_json::from_str::<Header>(text).ok().map(|of| of.by)
}

pub(super) fn read_tensors(path: &Path) -> Result<(Header, BTreeMap<String, TensorData>)> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let damaged = |what: String| {
        anyhow!(
            "{} is not a readable checkpoint ({what}); delete it to start this run again",
            path.display()
        )
    };
    // What somebody else wrote is not to be deleted.
    let foreign = |what: &str| {
        anyhow!(
            "{} is no checkpoint or model of this program ({what}): put back the one that belongs there, or move the file \
             away to start this run again",
            path.display()
        )
    };
    // A header stands in braces behind its length.
    if bytes.get(8).is_some_and(|byte| *byte != b'{') {
        return Err(foreign("it is no safetensors file"));
    }
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER))
        .ok_or_else(|| foreign("no Sparta header"))?;
    let mut header: Header = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    if let Some(scale) = header.loss_scale.filter(|scale| !scale.is_possible()) {
        return Err(damaged(format!("its loss scale is none: {scale:?}")));
    }
    if header.format != FORMAT {
        return Err(damaged(format!(
            "format {} and not {FORMAT}",
            header.format
        )));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
    if let Some((header, expected)) = text.rsplit_once(CHECKSUM) {
        let views = tensors.tensors();
        let parts = views
            .iter()
            .map(|(name, view)| (name.as_str(), view.shape(), Cow::Borrowed(view.data())));
        let found = checksum(header, parts.collect());
        if expected.strip_suffix("\"}") != Some(found.as_str()) {
            return Err(damaged(
                "its content is not what was written: the sha256 differs".to_owned(),
            ));
        }
    }
    // Files of earlier versions have earlier paths.
    header.times = (header.times.into_iter())
        .map(|(path, time)| (current_path(&path), time))
        .collect();
    let mut found = BTreeMap::new();
    for (name, view) in tensors.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(format!(
                "`{name}` is {:?} and not f32",
                view.dtype()
            )));
        }
        let values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        found.insert(
            current_path(&name),
            TensorData::new(values, view.shape().to_vec()),
        );
    }
    Ok((header, found))
}

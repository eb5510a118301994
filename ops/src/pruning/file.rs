//! The files of patterns and masks: safetensors, written atomically, the same bytes every time.
//!
//! The header's `__metadata__` holds `format`, `version`, `checksum` (FNV-1a 64 of the tensors'
//! bytes in the order of their names), what the format adds, and `metadata_checksum` (of all of
//! this), which files of earlier versions lack; any safetensors reader opens the file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use atomicwrites::{AllowOverwrite, AtomicFile};
use safetensors::{Dtype, SafeTensors, View};

use super::cells::{Grid, LayerKey, layer_name, parse_layer_name};
use super::error::PruningError;
use super::static_pattern::StaticPattern;

/// A named tensor of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredArray {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl StoredArray {
    pub(super) fn f64(shape: Vec<usize>, values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self {
            dtype: Dtype::F64,
            shape,
            bytes,
        }
    }

    pub(super) fn u64(shape: Vec<usize>, values: &[u64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self {
            dtype: Dtype::U64,
            shape,
            bytes,
        }
    }

    fn chunks(&self) -> impl Iterator<Item = [u8; 8]> + '_ {
        self.bytes
            .chunks_exact(8)
            .map(|c| std::array::from_fn(|i| c[i]))
    }

    pub(super) fn to_f64(&self) -> Vec<f64> {
        self.chunks().map(f64::from_le_bytes).collect()
    }

    pub(super) fn to_u64(&self) -> Vec<u64> {
        self.chunks().map(u64::from_le_bytes).collect()
    }
}

impl View for &StoredArray {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The content of a file, without format, version and checksum.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Document {
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) arrays: BTreeMap<String, StoredArray>,
}

impl Document {
    /// Adds the grid of a layer to the metadata.
    pub(super) fn insert_grid(&mut self, key: LayerKey, grid: &Grid) {
        self.metadata
            .insert(format!("grid.{}", layer_name(key)), grid.to_string());
    }

    pub(super) fn insert_static(&mut self, key: LayerKey, pattern: Option<StaticPattern>) {
        if let Some(pattern) = pattern {
            let name = format!("static.{}", layer_name(key));
            self.metadata.insert(name, pattern.to_string());
        }
    }

    /// The static pattern of a layer, where it has one.
    pub(super) fn static_pattern(
        &self,
        path: &Path,
        key: LayerKey,
    ) -> Result<Option<StaticPattern>, PruningError> {
        let name = format!("static.{}", layer_name(key));
        let is_there = self.metadata.contains_key(&name);
        is_there.then(|| self.pattern(path, &name)).transpose()
    }

    /// A static pattern whose settings are in range; `Corrupt` if it is missing or none.
    pub(super) fn pattern(&self, path: &Path, key: &str) -> Result<StaticPattern, PruningError> {
        let pattern: StaticPattern = self.parse(path, key)?;
        match pattern.check() {
            Ok(()) => Ok(pattern),
            Err(error) => Err(corrupt(path, format!("`{key}` is `{pattern}`: {error}"))),
        }
    }

    /// A metadata entry, parsed; `Corrupt` if it is missing or does not parse.
    pub(super) fn parse<T: std::str::FromStr>(
        &self,
        path: &Path,
        key: &str,
    ) -> Result<T, PruningError> {
        let text = self.text(path, key)?;
        text.parse()
            .map_err(|_| corrupt(path, format!("`{key}` is `{text}`")))
    }

    /// A metadata entry; `Corrupt` if it is missing.
    pub(super) fn text(&self, path: &Path, key: &str) -> Result<&str, PruningError> {
        let value = self.metadata.get(key).map(String::as_str);
        value.ok_or_else(|| corrupt(path, format!("`{key}` is missing in the header")))
    }

    /// The grids of all layers.
    pub(super) fn grids(&self, path: &Path) -> Result<BTreeMap<LayerKey, Grid>, PruningError> {
        let mut grids = BTreeMap::new();
        for name in self.metadata.keys() {
            let Some(layer) = name.strip_prefix("grid.") else {
                continue;
            };
            let key = parse_layer_name(layer)
                .ok_or_else(|| corrupt(path, format!("`{name}` names no attention")))?;
            let grid: Grid = self.parse(path, name)?;
            // Of no cells a file can hold as many as it likes.
            if [grid.n_heads, grid.n_rows, grid.n_cols].contains(&0) {
                return Err(corrupt(path, format!("`{name}` is `{grid}`")));
            }
            grids.insert(key, grid);
        }
        Ok(grids)
    }

    /// An array of the given type and shape.
    pub(super) fn array(
        &self,
        path: &Path,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
    ) -> Result<&StoredArray, PruningError> {
        let array = self
            .arrays
            .get(name)
            .ok_or_else(|| corrupt(path, format!("tensor `{name}` is missing")))?;
        if array.dtype != dtype || array.shape != shape {
            let found = format!("{:?} {:?}", array.dtype, array.shape);
            return Err(corrupt(
                path,
                format!("tensor `{name}` is {found}, not {dtype:?} {shape:?}"),
            ));
        }
        Ok(array)
    }
}

/// The error for a file that does not fit together.
pub(super) fn corrupt(path: &Path, reason: String) -> PruningError {
    PruningError::Corrupt {
        path: path.to_path_buf(),
        reason,
    }
}

/// Writes the document to `path`, which holds either the old content or all of the new.
pub(super) fn write(
    path: &Path,
    format: &'static str,
    version: u32,
    document: &Document,
) -> Result<(), PruningError> {
    let mut metadata = document.metadata.clone();
    metadata.insert("format".into(), format.into());
    metadata.insert("version".into(), version.to_string());
    metadata.insert("checksum".into(), checksum(&document.arrays));
    metadata.insert(OF_METADATA.into(), metadata_checksum(&metadata));
    let body = safetensors::serialize(&document.arrays, None)
        .map_err(|error| io(path, "write", std::io::Error::other(error)))?;
    let bytes = with_metadata(&body, &metadata);

    AtomicFile::new(path, AllowOverwrite)
        .write(|file| file.write_all(&bytes))
        .map_err(|error| io(path, "write", error.into()))
}

/// Reads a document and checks its format, version and checksum.
pub(super) fn read(
    path: &Path,
    format: &'static str,
    version: u32,
) -> Result<Document, PruningError> {
    let bytes = fs::read(path).map_err(|cause| io(path, "read", cause))?;
    let other = |found: String| PruningError::WrongFormat {
        path: path.to_path_buf(),
        expected: format,
        found,
    };
    // What never was such a file is not to be deleted, and cannot be made again.
    if !begins_as_safetensors(&bytes) {
        return Err(other("it is no safetensors file".to_owned()));
    }
    let unreadable = |error| corrupt(path, format!("{error}"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(unreadable)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(unreadable)?;

    let found: HashMap<String, String> = header.metadata().clone().unwrap_or_default();
    let metadata: BTreeMap<String, String> = found.into_iter().collect();
    match metadata.get("format") {
        Some(found) if found == format => {}
        found => {
            let found = found.map_or("nothing about its format".to_string(), |f| format!("`{f}`"));
            return Err(other(format!("its header says {found}")));
        }
    }
    let found = metadata.get("version").map_or("", String::as_str);
    if found != version.to_string() {
        let (path, found) = (path.to_path_buf(), format!("`{found}`"));
        return Err(PruningError::Version {
            path,
            format,
            found,
            supported: version,
        });
    }

    let arrays: BTreeMap<String, StoredArray> = tensors
        .iter()
        .map(|(name, view)| {
            let (dtype, shape) = (view.dtype(), view.shape().to_vec());
            (
                name.to_string(),
                StoredArray {
                    dtype,
                    shape,
                    bytes: view.data().to_vec(),
                },
            )
        })
        .collect();
    if metadata.get("checksum") != Some(&checksum(&arrays)) {
        return Err(corrupt(
            path,
            "its checksum does not fit its content".into(),
        ));
    }
    // Files of earlier versions lack it.
    let found = metadata.get(OF_METADATA);
    if found.is_some_and(|found| *found != metadata_checksum(&metadata)) {
        return Err(corrupt(path, "its checksum does not fit its header".into()));
    }
    Ok(Document { metadata, arrays })
}

/// Whether bytes are the first of a safetensors file, or may be those of one that was cut: the length of a header that
/// can be held, less than 2³², then the header, in braces.
fn begins_as_safetensors(bytes: &[u8]) -> bool {
    let is_text_byte = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let is_text = !bytes.is_empty() && bytes.iter().take(8).all(is_text_byte);
    !is_text
        && bytes.iter().skip(4).take(4).all(|byte| *byte == 0)
        && bytes.get(8).is_none_or(|byte| *byte == b'{')
}

fn io(path: &Path, action: &'static str, cause: std::io::Error) -> PruningError {
    PruningError::Io {
        action,
        path: path.to_path_buf(),
        cause,
    }
}

/// The entry of [`metadata_checksum`].
const OF_METADATA: &str = "metadata_checksum";

/// FNV-1a over the bytes of all arrays in the order of their names.
fn checksum(arrays: &BTreeMap<String, StoredArray>) -> String {
    fnv_1a(arrays.values().flat_map(|array| &array.bytes))
}

/// FNV-1a over all other entries in the order of their keys, each key and value with a byte behind that no text has.
fn metadata_checksum(metadata: &BTreeMap<String, String>) -> String {
    let entries = metadata.iter().filter(|(key, _)| *key != OF_METADATA);
    let texts = entries.flat_map(|(key, value)| [key, value]);
    fnv_1a(texts.flat_map(|text| text.as_bytes().iter().chain(&[0xFF])))
}

/// The FNV-1a 64 of some bytes, as 16 hexadecimal digits.
fn fnv_1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    format!("{hash:016x}")
}

/// Puts `__metadata__` into a serialised file without one.
///
/// The safetensors crate writes its metadata in the random order of a `HashMap`; the same mask
/// should be the same file, so the entry is written here in the order of its keys.
fn with_metadata(body: &[u8], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let (length, rest) = body.split_at(8);
    let length = u64::from_le_bytes(std::array::from_fn(|i| length[i])) as usize;
    let (tensors, data) = rest.split_at(length);
    let tensors = String::from_utf8_lossy(tensors);
    let tensors = tensors.trim_end().trim_start_matches('{');

    let entries: Vec<String> = metadata
        .iter()
        .map(|(key, value)| format!("{}:{}", json(key), json(value)))
        .collect();
    let comma = if tensors == "}" { "" } else { "," };
    let mut header = format!(
        "{{\"__metadata__\":{{{}}}{comma}{tensors}",
        entries.join(",")
    );
    header.extend(std::iter::repeat_n(
        ' ',
        header.len().next_multiple_of(8) - header.len(),
    ));

    let mut bytes = Vec::with_capacity(8 + header.len() + data.len());
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A JSON string.
fn json(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "\\\"".to_string(),
        '\\' => "\\\\".to_string(),
        c if c < ' ' => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

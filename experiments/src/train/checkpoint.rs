//! Checkpoints: one safetensors file with the model, the optimiser, the state of the objective and
//! where it stands; and model files, which hold the parameters alone.
//!
//! Tensor names: `model.<path>`, `adam.first.<path>`, `adam.second.<path>`, `carried.<name>`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sparta_datasets::source::Sha256Hex;
use sparta_model::current_path;
use sparta_ops::attention::Calls;

use super::loss_scale::LossScale;
use super::optimizer::SavedMoments;
use super::patience::Waited;
use crate::io::write_atomic;

const FORMAT: &str = "sparta-checkpoint-1";

/// The entry of the metadata of a file: what it belongs to and where it stands, as JSON whose last value is the sha256
/// of the others and of every tensor, which files of earlier versions lack. One entry, because several have no order.
const HEADER: &str = "sparta";
const CHECKSUM: &str = ",\"sha256\":\"";

/// What this process saved last, or went on from.
static KEPT: Mutex<Option<PathBuf>> = Mutex::new(None);

fn keep(path: &Path) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
}

/// What this process saved last, or went on from, if it is there: where a run that fails goes on by `--resume`.
#[must_use]
pub fn kept() -> Option<PathBuf> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.clone().filter(|path| path.exists())
}

/// What a checkpoint belongs to; a file made for something else is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Hash of the recipe.
    pub recipe_hash: String,
    /// Seed of the run.
    pub seed: u64,
    /// Name of what is trained: `dense`, `ap-p80`, …
    pub run: String,
}

/// Everything that training needs to go on as if it had never stopped.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What it belongs to.
    pub identity: Identity,
    /// Updates made.
    pub step: u64,
    /// Training time so far, in seconds.
    pub seconds: f64,
    /// Losses since the last line of metrics: their sum and number.
    pub window: (f64, u64),
    /// Parameters by path.
    pub model: BTreeMap<String, TensorData>,
    /// Optimiser state by path.
    pub optimizer: BTreeMap<String, SavedMoments>,
    /// Calls of attention so far; checkpoints of earlier versions lack it.
    pub attention: Option<Calls>,
    /// What steps hand to the next (memories), by name.
    pub state: BTreeMap<String, TensorData>,
    /// Whether the validation after the last step was interrupted and is still to be made.
    pub owes_validation: bool,
    /// The best validation so far; none where nobody waits for a better one.
    pub patience: Option<Waited>,
    /// What losses are multiplied by before gradients are taken; none where they are not.
    pub loss_scale: Option<LossScale>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    identity: Identity,
    step: u64,
    seconds: f64,
    /// The bits of the sum, because decimal digits may not read back to the same number.
    window_bits: u64,
    window_len: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attention: Option<Calls>,
    /// Only of checkpoints that were saved in a validation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    owes_validation: bool,
    /// Only of trainings that may end early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patience: Option<Waited>,
    /// Only of trainings in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scale: Option<LossScale>,
    times: BTreeMap<String, usize>,
}

struct Stored<'a>(Cow<'a, TensorData>);

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

fn stored(data: &TensorData) -> Stored<'_> {
    if data.dtype() == DType::F32 {
        Stored(Cow::Borrowed(data))
    } else {
        Stored(Cow::Owned(data.clone().convert::<f32>()))
    }
}

impl Checkpoint {
    /// Writes the checkpoint atomically.
    ///
    /// # Errors
    /// As [`write_atomic`]; an older checkpoint at the same path survives.
    pub fn save(&self, path: &Path) -> Result<()> {
        let header = Header {
            format: FORMAT.to_owned(),
            identity: self.identity.clone(),
            step: self.step,
            seconds: self.seconds,
            window_bits: self.window.0.to_bits(),
            window_len: self.window.1,
            attention: self.attention,
            owes_validation: self.owes_validation,
            patience: self.patience,
            loss_scale: self.loss_scale,
            times: self
                .optimizer
                .iter()
                .map(|(k, v)| (k.clone(), v.time))
                .collect(),
        };
        let mut tensors = Vec::new();
        for (name, data) in &self.model {
            tensors.push((format!("model.{name}"), stored(data)));
        }
        for (name, moments) in &self.optimizer {
            tensors.push((format!("adam.first.{name}"), stored(&moments.first)));
            tensors.push((format!("adam.second.{name}"), stored(&moments.second)));
        }
        for (name, data) in &self.state {
            tensors.push((format!("carried.{name}"), stored(data)));
        }
        write_tensors(path, tensors, &header)
    }

    /// Reads a checkpoint and checks that it belongs to `identity`.
    ///
    /// # Errors
    /// A file that is damaged, of another recipe, seed or run; each says what to do.
    pub fn load(path: &Path, identity: &Identity) -> Result<Self> {
        let (header, mut tensors) = read_tensors(path)?;
        header.identity.must_be(identity, path)?;
        keep(path);
        let mut take = |prefix: &str| -> BTreeMap<String, TensorData> {
            let names: Vec<String> = tensors
                .keys()
                .filter(|k| k.starts_with(prefix))
                .cloned()
                .collect();
            names
                .into_iter()
                .filter_map(|k| Some((k[prefix.len()..].to_owned(), tensors.remove(&k)?)))
                .collect()
        };
        let model = take("model.");
        let first = take("adam.first.");
        let mut second = take("adam.second.");
        let state = take("carried.");
        let mut optimizer = BTreeMap::new();
        for (name, first) in first {
            let (Some(second), Some(&time)) = (second.remove(&name), header.times.get(&name))
            else {
                bail!(
                    "{}: the optimiser state of `{name}` is incomplete; delete the file to start this run again",
                    path.display()
                );
            };
            optimizer.insert(
                name,
                SavedMoments {
                    time,
                    first,
                    second,
                },
            );
        }
        Ok(Self {
            identity: header.identity,
            step: header.step,
            seconds: header.seconds,
            window: (f64::from_bits(header.window_bits), header.window_len),
            attention: header.attention,
            model,
            optimizer,
            state,
            owes_validation: header.owes_validation,
            patience: header.patience,
            loss_scale: header.loss_scale,
        })
    }
}

impl Identity {
    fn must_be(&self, wanted: &Self, path: &Path) -> Result<()> {
        ensure!(
            self.recipe_hash == wanted.recipe_hash,
            "{} belongs to another recipe (hash {} and not {}); \
             use `--out` for a new run folder, or the recipe it was made with",
            path.display(),
            short(&self.recipe_hash),
            short(&wanted.recipe_hash)
        );
        ensure!(
            self == wanted,
            "{} belongs to run `{}` of seed {} and not to `{}` of seed {}; \
             put it back or delete it",
            path.display(),
            self.run,
            self.seed,
            wanted.run,
            wanted.seed
        );
        Ok(())
    }
}

/// First digits of a hash, as printed.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

/// Writes the parameters alone; see [`load_model`].
///
/// # Errors
/// As [`write_atomic`].
pub fn save_model<M: Module>(
    path: &Path,
    module: &M,
    identity: &Identity,
    step: u64,
) -> Result<()> {
    let header = Header {
        format: FORMAT.to_owned(),
        identity: identity.clone(),
        step,
        seconds: 0.0,
        window_bits: 0,
        window_len: 0,
        attention: None,
        owes_validation: false,
        patience: None,
        loss_scale: None,
        times: BTreeMap::new(),
    };
    let parameters = parameters(module);
    let tensors = parameters
        .iter()
        .map(|(name, data)| (format!("model.{name}"), stored(data)))
        .collect();
    write_tensors(path, tensors, &header)
}

/// Reads a model file (or the model of a checkpoint) into a module of the same shape.
///
/// # Errors
/// A damaged file, one of another recipe, or parameters that do not fit the module.
pub fn load_model<M: Module>(path: &Path, module: M, identity: &Identity) -> Result<M> {
    let checkpoint = Checkpoint::load(path, identity)?;
    set_parameters(module, checkpoint.model).with_context(|| path.display().to_string())
}

fn write_tensors(path: &Path, tensors: Vec<(String, Stored<'_>)>, header: &Header) -> Result<()> {
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

fn read_tensors(path: &Path) -> Result<(Header, BTreeMap<String, TensorData>)> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let damaged = |what: String| {
        anyhow!(
            "{} is not a readable checkpoint ({what}); delete it to start this run again",
            path.display()
        )
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER))
        .ok_or_else(|| damaged("no Sparta header".to_owned()))?;
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

/// All float parameters of a module by path, read back from the device.
#[must_use]
pub fn parameters<M: Module>(module: &M) -> BTreeMap<String, TensorData> {
    let mut reader = Reader {
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    module.visit(&mut reader);
    reader.found
}

/// Replaces all float parameters of a module.
///
/// # Errors
/// A parameter that is missing, left over, or of another shape.
pub fn set_parameters<M: Module>(module: M, values: BTreeMap<String, TensorData>) -> Result<M> {
    let mut writer = Writer {
        path: Vec::new(),
        values,
        wrong: None,
    };
    let module = module.map(&mut writer);
    if let Some(wrong) = writer.wrong {
        bail!("{wrong}; the file is of another model");
    }
    if let Some(left) = writer.values.keys().next() {
        bail!("parameter `{left}` of the file has no place in this model");
    }
    Ok(module)
}

struct Reader {
    path: Vec<String>,
    found: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found
            .insert(self.path.join("."), param.val().inner().into_data());
    }
}

struct Writer {
    path: Vec<String>,
    values: BTreeMap<String, TensorData>,
    wrong: Option<String>,
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let Some(data) = self.values.remove(&name) else {
            self.wrong
                .get_or_insert(format!("parameter `{name}` is missing"));
            return param;
        };
        let wanted = param.lazy_shape();
        if data.shape().to_vec() != wanted.to_vec() {
            self.wrong.get_or_insert(format!(
                "parameter `{name}` is {:?} in the file and {:?} in the model",
                data.shape(),
                wanted.to_vec()
            ));
            return param;
        }
        param.map(|old| {
            let device = old.device();
            let tracked = old.is_require_grad();
            let on_autodiff = device.is_autodiff();
            let new = Tensor::from_data(data, &device.without_autodiff());
            match (on_autodiff, tracked) {
                (true, true) => Tensor::from_inner(new).require_grad(),
                (true, false) => Tensor::from_inner(new),
                (false, _) => new,
            }
        })
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::train::{Selection, Validation};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;
    use sparta_model::Precision;
    use sparta_model::layer::{
        AttentionInput, Mechanism, MultiHeadAttention, MultiHeadAttentionConfig, NormalizerConfig,
    };

    #[derive(Module, Debug)]
    struct Layers {
        layers: Vec<MultiHeadAttention>,
    }

    fn identity(recipe: &str) -> Identity {
        Identity {
            recipe_hash: recipe.to_owned(),
            seed: 1,
            run: "dense".to_owned(),
        }
    }

    fn checkpoint(model: &Linear) -> Checkpoint {
        let moments = SavedMoments {
            time: 3,
            first: TensorData::from([1.0f32, 2.0]),
            second: TensorData::from([3.0f32, 4.0]),
        };
        Checkpoint {
            identity: identity("abcdef0123"),
            step: 3,
            seconds: 1.5,
            window: (0.1 + 0.2, 2),
            attention: Some(Calls {
                reference: 2,
                fused: 7,
            }),
            model: parameters(model),
            optimizer: BTreeMap::from([("bias".to_owned(), moments)]),
            state: BTreeMap::from([("mems.0".to_owned(), TensorData::from([[[0.5f32]]]))]),
            owes_validation: true,
            patience: Some(Waited::after(None, &Validation::of(1.1), Selection::Last)),
            loss_scale: LossScale::of(Precision::F16),
        }
    }

    #[test]
    fn reads_back_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let device = Device::flex().autodiff();
        let saved = checkpoint(&LinearConfig::new(3, 2).init(&device));
        saved.save(&path).unwrap();
        let loaded = Checkpoint::load(&path, &saved.identity).unwrap();
        assert_eq!(loaded.model, saved.model);
        assert_eq!(loaded.patience, saved.patience);
        assert_eq!(loaded.loss_scale, saved.loss_scale);
        assert!(loaded.loss_scale.is_some());
        assert_eq!(loaded.optimizer, saved.optimizer);
        assert_eq!(loaded.state, saved.state);
        assert_eq!(loaded.attention, saved.attention);
        assert_eq!((loaded.step, loaded.seconds), (3, 1.5));
        assert_eq!(loaded.window, saved.window);
        assert!(loaded.owes_validation);
        let other: Linear = LinearConfig::new(3, 2).init(&device);
        let other = set_parameters(other, loaded.model).unwrap();
        assert_eq!(parameters(&other), saved.model);
        assert!(other.weight.is_require_grad());
    }

    /// A run folder of a version in which the α of a layer was its `normalizer.raw_alpha`.
    #[test]
    fn a_learned_alpha_of_an_earlier_version_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let device = Device::flex();
        let layers = || Layers {
            layers: vec![
                MultiHeadAttentionConfig::new(4, 2)
                    .with_normalizer(NormalizerConfig::alpha_entmax())
                    .init(&device),
            ],
        };
        let wanted = parameters(&layers());
        let path_now = "layers.0.mechanism.DotProduct.normalizer.raw_alpha";
        let path_then = "layers.0.normalizer.raw_alpha";
        let then = |path: &str| path.replace(path_now, path_then);
        assert!(wanted.contains_key(path_now));
        let moments = SavedMoments {
            time: 7,
            first: TensorData::from([1.0f32, 2.0]),
            second: TensorData::from([3.0f32, 4.0]),
        };
        let saved = Checkpoint {
            identity: identity("abcdef0123"),
            step: 7,
            seconds: 0.5,
            window: (0.0, 0),
            model: (wanted.iter())
                .map(|(path, data)| (then(path), data.clone()))
                .collect(),
            optimizer: BTreeMap::from([(path_then.to_owned(), moments.clone())]),
            attention: None,
            state: BTreeMap::new(),
            owes_validation: false,
            patience: None,
            loss_scale: None,
        };
        saved.save(&path).unwrap();
        let found = Checkpoint::load(&path, &saved.identity).unwrap();
        assert_eq!(
            found.optimizer,
            BTreeMap::from([(path_now.to_owned(), moments)])
        );
        let other = layers(); // other random values
        assert_ne!(parameters(&other), wanted);
        let read = load_model(&path, other, &saved.identity).unwrap();
        assert_eq!(parameters(&read), wanted);
    }

    /// Random features are part of the model: another draw is replaced by that of the file, and stays untrained.
    #[test]
    fn random_features_are_saved_with_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let device = Device::flex().autodiff();
        for (words, drawn) in [
            ("favor(m=6)", "Favor.projection"),
            ("rfa_gate(m=3)", "Rfa.frequencies"),
            ("lsh(m=2,rounds=1)", "Lsh.rotations"),
        ] {
            let layers = || Layers {
                layers: vec![
                    MultiHeadAttentionConfig::new(4, 2)
                        .with_dropout(0.0)
                        .with_mechanism(words.parse().unwrap())
                        .init(&device),
                ],
            };
            let output = |of: &Layers| {
                // As many words as hashing puts into other chunks by another draw.
                let x = (0..96).map(|i| (f64::from(i * i) * 0.37).sin() as f32);
                let x = TensorData::new(x.collect::<Vec<_>>(), [1, 24, 4]);
                let x = Tensor::<3>::from_data(x, &device);
                let input = AttentionInput::self_attention(x).causal();
                of.layers[0].forward(input).context.into_data()
            };
            let [saved, other] = [layers(), layers()];
            let name = format!("layers.0.mechanism.{drawn}");
            assert_ne!(parameters(&saved)[&name], parameters(&other)[&name]);
            assert_ne!(output(&saved), output(&other));
            save_model(&path, &saved, &identity("h"), 1).unwrap();
            let read = load_model(&path, other, &identity("h")).unwrap();
            assert_eq!(parameters(&read), parameters(&saved));
            assert_eq!(output(&read), output(&saved));
            assert_eq!(output(&read), output(&read), "evaluation draws nothing");
            let tracked = match &read.layers[0].mechanism {
                Mechanism::Favor(favor) => favor.projection.val().is_require_grad(),
                Mechanism::Rfa(rfa) => rfa.frequencies.val().is_require_grad(),
                Mechanism::Lsh(lsh) => lsh.rotations.val().is_require_grad(),
                Mechanism::DotProduct(_) | Mechanism::Linformer(_) | Mechanism::Nystrom(_) => {
                    panic!("no random features")
                }
            };
            assert!(!tracked, "{words}");
        }
    }

    /// Every bit of a small file: none that changes what is read goes unseen.
    #[test]
    fn a_flipped_bit_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let device = Device::flex();
        let saved = checkpoint(&LinearConfig::new(3, 2).init(&device));
        saved.save(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let (mut n_refused, mut n_same) = (0, 0);
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            match Checkpoint::load(&path, &saved.identity) {
                Err(_) => n_refused += 1,
                // The name of the checksum itself.
                Ok(read) => {
                    assert_eq!(read.model, saved.model, "bit {bit}");
                    assert_eq!(read.optimizer, saved.optimizer, "bit {bit}");
                    assert_eq!(read.state, saved.state, "bit {bit}");
                    assert_eq!(read.attention, saved.attention, "bit {bit}");
                    assert_eq!((read.step, read.seconds), (saved.step, saved.seconds));
                    assert_eq!(read.window, saved.window, "bit {bit}");
                    n_same += 1;
                }
            }
        }
        println!("{n_refused} flipped bits refused, {n_same} change nothing");
        assert!(n_same <= 8 * CHECKSUM.len(), "{n_same}");
    }

    /// The hash of a file may be anything, and is shown by its first letters: cut within one, it panicked.
    #[test]
    fn a_hash_of_other_letters_is_shown() {
        assert_eq!(short("0123456789"), "01234567");
        assert_eq!(short("1234567é9"), "1234567é9");
        assert_eq!(short("12"), "12");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let mut saved = checkpoint(&LinearConfig::new(3, 2).init(&Device::flex()));
        let wanted = saved.identity.clone();
        saved.identity.recipe_hash = "1234567é9".to_owned();
        saved.save(&path).unwrap();
        let error = Checkpoint::load(&path, &wanted).unwrap_err().to_string();
        assert!(error.contains("another recipe"), "{error}");
    }

    #[test]
    fn refuses_what_belongs_elsewhere_or_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let device = Device::flex();
        let saved = checkpoint(&LinearConfig::new(3, 2).init(&device));
        saved.save(&path).unwrap();
        let error = Checkpoint::load(&path, &identity("999999999"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("another recipe") && error.contains("--out"),
            "{error}"
        );
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = Checkpoint::load(&path, &saved.identity)
            .unwrap_err()
            .to_string();
        assert!(error.contains("delete it"), "{error}");
        let wide: Linear = LinearConfig::new(4, 2).init(&device);
        let error = set_parameters(wide, saved.model).unwrap_err().to_string();
        assert!(
            error.contains("[3, 2]") && error.contains("[4, 2]"),
            "{error}"
        );
    }
}

//! `--device`: every spelling parses in every build, and a device is tried before it is used.
//!
//! The one place outside `ops` that knows which backends were compiled in, and the one place that
//! calls the constructors Burn has deprecated (ndarray, tch).
#![allow(deprecated)]

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use sparta_model::Precision;

use crate::io::in_one_line;
use crate::panics;

/// What `--device` can say: a backend, with an index or sub-device where the backend has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The best compiled-in device that opens.
    #[default]
    Auto,
    /// Burn's CPU backend in pure Rust; bit-reproducible, the default.
    Flex,
    /// The older CPU backend on ndarray.
    Ndarray,
    /// Any GPU through wgpu, the graphics interface of its choice.
    Wgpu,
    /// A GPU through Vulkan.
    Vulkan,
    /// A GPU through Metal.
    Metal,
    /// An NVIDIA GPU by index.
    Cuda(usize),
    /// An AMD GPU by index.
    Rocm(usize),
    /// LibTorch on the CPU.
    TchCpu,
    /// LibTorch on an NVIDIA GPU by index.
    TchCuda(usize),
}

/// How `--device` is spelled, for messages.
pub const SPELLINGS: &str =
    "auto, flex, ndarray, wgpu, vulkan, metal, cuda[:N], rocm[:N], tch[:cpu|:cuda:N]";

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split(':').collect();
        let index = |n: &str| {
            n.parse::<usize>().map_err(|_| {
                format!("`{n}` in `{text}` is not a device number; write e.g. `cuda:0`")
            })
        };
        match parts.as_slice() {
            ["auto"] => Ok(Self::Auto),
            ["flex"] => Ok(Self::Flex),
            ["ndarray"] => Ok(Self::Ndarray),
            ["wgpu"] => Ok(Self::Wgpu),
            ["vulkan"] => Ok(Self::Vulkan),
            ["metal"] => Ok(Self::Metal),
            ["cuda"] => Ok(Self::Cuda(0)),
            ["cuda", n] => Ok(Self::Cuda(index(n)?)),
            ["rocm"] => Ok(Self::Rocm(0)),
            ["rocm", n] => Ok(Self::Rocm(index(n)?)),
            ["tch"] | ["tch", "cpu"] => Ok(Self::TchCpu),
            ["tch", "cuda"] => Ok(Self::TchCuda(0)),
            ["tch", "cuda", n] => Ok(Self::TchCuda(index(n)?)),
            _ => {
                let known = [
                    "auto", "flex", "ndarray", "wgpu", "vulkan", "metal", "cuda", "rocm", "tch",
                ];
                let hint = crate::recipe::nearest(parts[0], known)
                    .map(|k| format!("; did you mean `{k}`?"))
                    .unwrap_or_default();
                Err(format!(
                    "unknown device `{text}`; known are {SPELLINGS}{hint}"
                ))
            }
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Flex => f.write_str("flex"),
            Self::Ndarray => f.write_str("ndarray"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Vulkan => f.write_str("vulkan"),
            Self::Metal => f.write_str("metal"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Rocm(n) => write!(f, "rocm:{n}"),
            Self::TchCpu => f.write_str("tch:cpu"),
            Self::TchCuda(n) => write!(f, "tch:cuda:{n}"),
        }
    }
}

impl DeviceChoice {
    /// One of each backend, in the order in which `auto` tries them.
    pub const ALL: [Self; 9] = [
        Self::Cuda(0),
        Self::Rocm(0),
        Self::Metal,
        Self::Vulkan,
        Self::Wgpu,
        Self::Flex,
        Self::Ndarray,
        Self::TchCpu,
        Self::TchCuda(0),
    ];

    /// The cargo feature that compiles this device in.
    #[must_use]
    pub fn feature(self) -> &'static str {
        match self {
            Self::Auto | Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda(_) => "cuda",
            Self::Rocm(_) => "rocm",
            Self::TchCpu | Self::TchCuda(_) => "tch",
        }
    }

    /// Whether it computes in main memory.
    #[must_use]
    pub fn is_cpu(self) -> bool {
        match self {
            Self::Flex | Self::Ndarray | Self::TchCpu => true,
            Self::Auto
            | Self::Wgpu
            | Self::Vulkan
            | Self::Metal
            | Self::Cuda(_)
            | Self::Rocm(_)
            | Self::TchCuda(_) => false,
        }
    }

    /// Whether this build contains the backend.
    #[must_use]
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Auto => true,
            Self::Flex => cfg!(feature = "flex"),
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::Rocm(_) => cfg!(feature = "rocm"),
            Self::TchCpu | Self::TchCuda(_) => cfg!(feature = "tch"),
        }
    }

    /// The handle, without touching the hardware; `None` when the backend is not compiled in.
    fn handle(self) -> Option<Device> {
        match self {
            Self::Auto => None,
            #[cfg(feature = "flex")]
            Self::Flex => Some(Device::flex()),
            #[cfg(not(feature = "flex"))]
            Self::Flex => None,
            #[cfg(feature = "ndarray")]
            Self::Ndarray => Some(Device::ndarray()),
            #[cfg(not(feature = "ndarray"))]
            Self::Ndarray => None,
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => None,
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Some(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(feature = "vulkan"))]
            Self::Vulkan => None,
            #[cfg(feature = "metal")]
            Self::Metal => Some(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(feature = "metal"))]
            Self::Metal => None,
            #[cfg(feature = "cuda")]
            Self::Cuda(n) => Some(Device::cuda(n)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => None,
            #[cfg(feature = "rocm")]
            Self::Rocm(n) => Some(Device::rocm(n)),
            #[cfg(not(feature = "rocm"))]
            Self::Rocm(_) => None,
            #[cfg(feature = "tch")]
            Self::TchCpu => Some(Device::libtorch()),
            #[cfg(feature = "tch")]
            Self::TchCuda(n) => Some(Device::libtorch_cuda(n)),
            #[cfg(not(feature = "tch"))]
            Self::TchCpu | Self::TchCuda(_) => None,
        }
    }
}

/// A device that has computed a matrix product correctly.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// What was opened; never `Auto`.
    pub choice: DeviceChoice,
    /// Burn's handle, without autodiff.
    pub device: Device,
    /// One line for the user: what was chosen, and by whom.
    pub note: String,
}

impl OpenDevice {
    /// That networks can compute in a type on this device, and gain by it.
    ///
    /// # Errors
    /// Names the key, the device, and what to set instead. There is no fall-back to another type.
    pub(crate) fn check_precision(&self, precision: Precision) -> Result<()> {
        let choice = self.choice;
        let why = match (precision, choice) {
            (Precision::F32, _) => return Ok(()),
            (Precision::Bf16 | Precision::F16, DeviceChoice::Flex) => {
                "whose kernels convert half types to f32 and back: it would take longer and gain nothing"
            }
            (
                Precision::Bf16 | Precision::F16,
                DeviceChoice::Auto
                | DeviceChoice::Ndarray
                | DeviceChoice::Wgpu
                | DeviceChoice::Vulkan
                | DeviceChoice::Metal
                | DeviceChoice::Cuda(_)
                | DeviceChoice::Rocm(_)
                | DeviceChoice::TchCpu
                | DeviceChoice::TchCuda(_),
            ) => match self.device.supports_dtype(precision.dtype()) {
                true => return Ok(()),
                false => "which does not have this type",
            },
        };
        bail!(
            "`train.precision = \"{precision}\"` is not for device `{choice}`, {why}; leave it at \
             `--set train.precision=f32`, or choose a GPU, or libtorch (`--features tch`, then `--device tch:cpu` or \
             `--device tch:cuda`)"
        )
    }
}

/// Opens a device: compiled in, found, and a probe computed correctly on it. `program` is the one
/// to rebuild where a backend is missing.
///
/// # Errors
/// Names the rebuild command for a backend that is not compiled in, and what the backend said for
/// a device that does not open. There is no fall-back to another device.
pub fn open(choice: DeviceChoice, program: &str) -> Result<OpenDevice> {
    sparta_ops::fusion::one_block_at_a_time();
    if choice == DeviceChoice::Auto {
        return auto(program);
    }
    if !choice.is_compiled() {
        let feature = choice.feature();
        bail!(
            "device `{choice}` is not compiled into this program; rebuild with \
             `cargo run --release --features {feature} --bin {program} -- --device {choice}`\n\
             (compiled in: {})",
            compiled()
        );
    }
    let device = choice
        .handle()
        .ok_or_else(|| anyhow!("device `{choice}` has no handle in this build"))?;
    probe(&device).map_err(|e| {
        anyhow!(
            "device `{choice}` does not work here: {e}; \
             choose another of those compiled in ({})",
            compiled()
        )
    })?;
    Ok(OpenDevice {
        choice,
        note: format!("{choice}{}, as asked", name_of(&device)),
        device,
    })
}

fn auto(program: &str) -> Result<OpenDevice> {
    let mut passed_over = Vec::new();
    for choice in DeviceChoice::ALL {
        if !choice.is_compiled() {
            continue;
        }
        if !choice.is_cpu() && choice.handle().is_some_and(|d| is_software(&d)) {
            passed_over.push(format!("{choice} is a software renderer"));
            continue;
        }
        match open(choice, program) {
            Ok(mut opened) => {
                let reason = if passed_over.is_empty() {
                    format!("the first that is compiled in of {}", compiled())
                } else {
                    passed_over.join("; ")
                };
                opened.note = format!(
                    "{choice}{}, chosen by auto: {reason}",
                    name_of(&opened.device)
                );
                return Ok(opened);
            }
            Err(error) => passed_over.push(in_one_line(&error)),
        }
    }
    bail!("no device opens: {}", passed_over.join("; "))
}

/// The compiled-in devices, as `--device` spells them.
#[must_use]
pub fn compiled() -> String {
    DeviceChoice::ALL
        .iter()
        .filter(|c| c.is_compiled())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The cargo features of this build: its backends, and `autotune`.
#[must_use]
pub(crate) fn features() -> Vec<&'static str> {
    let compiled = DeviceChoice::ALL.iter().filter(|c| c.is_compiled());
    let mut features: Vec<&str> = compiled.map(|c| c.feature()).collect();
    // Two kinds of device are of libtorch, next to each other.
    features.dedup();
    if cfg!(feature = "autotune") {
        features.push("autotune");
    }
    features
}

/// The device whose random numbers make the initial weights of a model on `device`: flex, if it is
/// compiled in, with autodiff where `device` has it.
#[must_use]
pub fn generator(device: &Device) -> Device {
    #[cfg(feature = "flex")]
    let generator = match device.is_autodiff() {
        true => Device::flex().autodiff(),
        false => Device::flex(),
    };
    #[cfg(not(feature = "flex"))]
    let generator = device.clone();
    generator
}

/// Allocates, multiplies two matrices, synchronises and checks the product.
fn probe(device: &Device) -> Result<()> {
    const N: usize = 17;
    let work = || -> Result<Vec<f32>> {
        let values: Vec<f32> = (0..N * N).map(|i| (i % 7) as f32 - 3.0).collect();
        let a = Tensor::<2>::from_data(TensorData::new(values, [N, N]), device);
        let product = a.clone().matmul(a.transpose());
        device.sync().map_err(|e| anyhow!("sync failed: {e:?}"))?;
        product
            .try_into_vec_as::<f32>()
            .map_err(|e| anyhow!("reading back failed: {e:?}"))
    };
    let found = panics::catch(work).map_err(|said| anyhow!(said))??;
    for row in 0..N {
        for col in 0..N {
            let expected: f32 = (0..N)
                .map(|k| (((row * N + k) % 7) as f32 - 3.0) * (((col * N + k) % 7) as f32 - 3.0))
                .sum();
            let got = found[row * N + col];
            ensure!(
                (got - expected).abs() <= 1e-2,
                "a test product came out as {got} instead of {expected}"
            );
        }
    }
    Ok(())
}

/// ` (name of the card)` where the backend reports one.
#[cfg(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "cuda",
    feature = "rocm"
))]
fn name_of(device: &Device) -> String {
    panics::catch(|| device.as_dispatch().identity())
        .ok()
        .flatten()
        .map(|identity| format!(" ({})", identity.name))
        .unwrap_or_default()
}

#[cfg(not(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "cuda",
    feature = "rocm"
)))]
fn name_of(_device: &Device) -> String {
    String::new()
}

/// Whether the adapter is a rasteriser on the CPU, which `auto` passes over.
#[cfg(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "cuda",
    feature = "rocm"
))]
fn is_software(device: &Device) -> bool {
    panics::catch(|| device.as_dispatch().identity())
        .ok()
        .flatten()
        .is_some_and(|identity| identity.physical.is_none())
}

#[cfg(not(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "cuda",
    feature = "rocm"
)))]
fn is_software(_device: &Device) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_parses_in_every_build() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("flex", DeviceChoice::Flex),
            ("ndarray", DeviceChoice::Ndarray),
            ("wgpu", DeviceChoice::Wgpu),
            ("Vulkan", DeviceChoice::Vulkan),
            ("metal", DeviceChoice::Metal),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
            ("rocm:1", DeviceChoice::Rocm(1)),
            ("tch", DeviceChoice::TchCpu),
            ("tch:cpu", DeviceChoice::TchCpu),
            ("tch:cuda:2", DeviceChoice::TchCuda(2)),
        ] {
            assert_eq!(text.parse(), Ok(choice), "{text}");
        }
    }

    #[test]
    fn an_unknown_device_is_answered_with_the_nearest() {
        let error = "cudda".parse::<DeviceChoice>().unwrap_err();
        assert!(error.contains("did you mean `cuda`?"), "{error}");
        let error = "cuda:x".parse::<DeviceChoice>().unwrap_err();
        assert!(error.contains("not a device number"), "{error}");
    }

    #[test]
    fn a_device_that_is_not_compiled_in_names_the_rebuild() {
        for choice in DeviceChoice::ALL.into_iter().filter(|c| !c.is_compiled()) {
            let error = open(choice, "lm").unwrap_err().to_string();
            assert!(
                error.contains(&format!(
                    "--features {} --bin lm -- --device {choice}",
                    choice.feature()
                )),
                "{error}"
            );
        }
    }

    /// The devices, the features of the manifest and those of records are the same list.
    #[test]
    fn the_features_of_a_build_are_those_of_its_devices() {
        let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
        let declared = manifest["features"].as_table().unwrap().keys();
        let mut declared: Vec<&str> = declared.map(String::as_str).collect();
        declared.retain(|name| *name != "default");
        let mut known: Vec<&str> = DeviceChoice::ALL.map(DeviceChoice::feature).into();
        known.push("autotune");
        known.sort_unstable();
        known.dedup();
        declared.sort_unstable();
        assert_eq!(declared, known);
        let found = features();
        for choice in DeviceChoice::ALL {
            let n = found.iter().filter(|of| **of == choice.feature()).count();
            assert_eq!(n, usize::from(choice.is_compiled()), "{choice}: {found:?}");
        }
    }

    /// A backend is added in this file alone, tests aside.
    #[test]
    fn no_other_source_asks_which_backends_are_compiled_in() {
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut n_files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if path.ends_with("src/device.rs") || path.extension().is_none_or(|of| of != "rs") {
                    continue;
                }
                n_files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                let asks = |line: &&str| {
                    let of = DeviceChoice::ALL.map(|c| format!("feature = \"{}\"", c.feature()));
                    of.iter().any(|of| line.contains(of)) && !line.contains("all(test, ")
                };
                assert_eq!(text.lines().find(asks), None, "{}", path.display());
            }
        }
        assert!(n_files > 100, "{n_files} files");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn flex_opens_and_auto_says_why() {
        assert_eq!(
            open(DeviceChoice::Flex, "lm").unwrap().choice,
            DeviceChoice::Flex
        );
        let opened = open(DeviceChoice::Auto, "lm").unwrap();
        assert!(opened.note.contains("chosen by auto"), "{}", opened.note);
    }
}

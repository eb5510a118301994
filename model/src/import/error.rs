//! What can be wrong with published weights.

use std::path::PathBuf;

/// Why weights cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read as what its name says.
    #[error("cannot read weights from {}: {reason}; give a model.safetensors or a pytorch_model.bin", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The content of a file contradicts itself.
    #[error("the weights are damaged: {reason}; fetch the file again")]
    Damaged {
        /// What does not fit.
        reason: String,
    },
    /// Some parameters have no tensor, or some tensors no parameter.
    #[error(
        "{}; give the weights of this model, or allow these names in ImportOptions",
        keys(missing, unexpected)
    )]
    Keys {
        /// Published names of parameters that the file lacks.
        missing: Vec<String>,
        /// Names in the file that the model has no parameter for.
        unexpected: Vec<String>,
    },
    /// A tensor has other sizes than the parameter.
    #[error(
        "`{name}` is {found:?} in the weights, but {expected:?} in a model of this configuration; \
         give the config.json that belongs to the weights"
    )]
    Shape {
        /// Published name.
        name: String,
        /// Sizes in the file; `[values]` where it stores none.
        found: Vec<usize>,
        /// Sizes that the model needs.
        expected: Vec<usize>,
    },
    /// A tensor is not of a type of floats that is read.
    #[error("`{name}` has the type {found}; f32, f16, bf16 and 4-bit groups of 32 are read")]
    Type {
        /// Published name.
        name: String,
        /// Its type.
        found: String,
    },
    /// A published configuration describes something that is not built here.
    #[error("config.json: `{key}` is {found}, but {expected} is needed")]
    Config {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What can be read.
        expected: String,
    },
}

fn keys(missing: &[String], unexpected: &[String]) -> String {
    let list = |what: &str, names: &[String]| {
        const SHOWN: usize = 8;
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = &names[..names.len().min(SHOWN)];
        (!names.is_empty()).then(|| format!("{what}: {}{more}", shown.join(", ")))
    };
    let parts = [
        list("the weights lack", missing),
        list("the model has no place for", unexpected),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

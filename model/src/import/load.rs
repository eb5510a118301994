//! Puts tensors of a file into the parameters of a module.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::TensorData;

use super::weights::Stored;
use super::{ImportError, Weights};
use crate::key_map::Published;

/// Which differences between file and model are none; a name is allowed if it starts with one of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportOptions {
    allow_missing: Vec<String>,
    allow_unexpected: Vec<String>,
}

impl ImportOptions {
    /// Parameters that the file may lack, by the start of their published names; they stay as they
    /// are. A new head of a pretrained network is `"classifier."` or `"qa_outputs."`.
    #[must_use]
    pub fn allow_missing(mut self, start: impl Into<String>) -> Self {
        self.allow_missing.push(start.into());
        self
    }

    /// Tensors that the model may have no place for. The head of the pretraining is `"cls."`.
    #[must_use]
    pub fn allow_unexpected(mut self, start: impl Into<String>) -> Self {
        self.allow_unexpected.push(start.into());
        self
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Parameters that were set.
    pub n_loaded: usize,
    /// Published names of parameters that were left as they were.
    pub missing: Vec<String>,
    /// Tensors of the file that were not used.
    pub unexpected: Vec<String>,
}

/// Sets every parameter for which `published` has a name, given its path in the module. Those of attention mechanisms
/// stay as they are where the file does not have them: published files do not.
pub(super) fn load<M: Module>(
    module: M,
    weights: Weights,
    published: impl Fn(&str) -> Option<Published>,
    options: &ImportOptions,
) -> Result<(M, ImportReport), ImportError> {
    let mut setter = Setter {
        weights,
        published,
        path: Vec::new(),
        report: ImportReport::default(),
        wrong: None,
    };
    let module = module.map(&mut setter);
    if let Some(wrong) = setter.wrong {
        return Err(wrong);
    }
    let mut report = setter.report;
    report.unexpected = setter.weights.names().map(str::to_owned).collect();
    let refused = |names: &[String], allowed: &[String]| -> Vec<String> {
        let is_allowed = |name: &String| allowed.iter().any(|start| name.starts_with(start));
        let refused = names.iter().filter(|name| !is_allowed(name));
        refused.cloned().collect()
    };
    let missing = refused(&report.missing, &options.allow_missing);
    let unexpected = refused(&report.unexpected, &options.allow_unexpected);
    match missing.is_empty() && unexpected.is_empty() {
        true => Ok((module, report)),
        false => Err(ImportError::Keys {
            missing,
            unexpected,
        }),
    }
}

struct Setter<F> {
    weights: Weights,
    published: F,
    path: Vec<String>,
    report: ImportReport,
    wrong: Option<ImportError>,
}

impl<F: Fn(&str) -> Option<Published>> ModuleMapper for Setter<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(published) = (self.published)(&self.path.join(".")) else {
            return param;
        };
        let Published {
            name,
            transposed,
            of_mechanism,
        } = published;
        let Some(stored) = self.weights.tensors.remove(&name) else {
            if !of_mechanism {
                self.report.missing.push(name);
            }
            return param;
        };
        let shape: [usize; D] = param.dims();
        match fitting(name, stored, &shape, transposed) {
            Ok(data) => {
                self.report.n_loaded += 1;
                param.map(|old| replace(&old, data, transposed))
            }
            Err(wrong) => {
                self.wrong.get_or_insert(wrong);
                param
            }
        }
    }
}

/// The tensor as it is in the file, if it is one for a parameter of this shape.
fn fitting(
    name: String,
    stored: Stored,
    shape: &[usize],
    transposed: bool,
) -> Result<TensorData, ImportError> {
    let mut expected = shape.to_vec();
    if transposed {
        expected.reverse();
    }
    match stored {
        Stored::Other(found) => Err(ImportError::Type { name, found }),
        Stored::Floats { shape, values } => {
            let fits = match &shape {
                Some(shape) => *shape == expected,
                None => values.len() == expected.iter().product::<usize>(),
            };
            if fits {
                return Ok(TensorData::new(values, expected));
            }
            Err(ImportError::Shape {
                name,
                found: shape.unwrap_or_else(|| vec![values.len()]),
                expected,
            })
        }
    }
}

/// A parameter's new value, on its device, tracked as the old one was.
fn replace<const D: usize>(old: &Tensor<D>, data: TensorData, transposed: bool) -> Tensor<D> {
    let device = old.device();
    let tracked = old.is_require_grad();
    let on_autodiff = device.is_autodiff();
    let values = Tensor::<D>::from_data(data, &device.without_autodiff());
    let values = match transposed {
        true => values.transpose(),
        false => values,
    };
    match (on_autodiff, tracked) {
        (true, true) => Tensor::from_inner(values).require_grad(),
        (true, false) => Tensor::from_inner(values),
        (false, _) => values,
    }
}

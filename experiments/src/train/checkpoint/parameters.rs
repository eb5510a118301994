//! Parameters of a module by path.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

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

//! The devices that a bench times.

use sparta_ops::testing::{TestDevice, devices};

use super::arguments::refuse;

/// The one of this name, or all that are compiled in but a software GPU, which is timed only where it is asked for.
pub fn chosen(name: Option<&str>) -> Vec<TestDevice> {
    let known = devices();
    let names: Vec<&str> = known.iter().map(|device| device.name).collect();
    if let Some(name) = name.filter(|name| !names.contains(name)) {
        let names = names.join(", ");
        refuse(format!(
            "--device {name}: compiled in are {names}; another one is a feature of sparta-ops, as in `--features tch`"
        ));
    }
    let wanted = |device: &TestDevice| match name {
        Some(name) => device.name == name,
        None => device.name != "wgpu",
    };
    known.into_iter().filter(wanted).collect()
}

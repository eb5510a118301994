//! Time and memory of training steps, in a process of their own: what was allocated before would
//! count as theirs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use sparta_model::bert::BertInput;
use sparta_model::layer::MechanismConfig;
use sparta_ops::attention::Implementation;
use sparta_ops::pruning::GlobalMask;

use crate::device::{self, DeviceChoice};
use crate::io::print_line;
use crate::memory::largest_resident;
use crate::protocol::init::new_weights;
use crate::protocol::{available_memory, gigabytes};
use crate::recipe::{EncoderRecipe, Recipe, SquadRecipe};
use crate::signals;
use crate::task::encoder::{Pretrained, layer_masks};
use crate::train::watch::{interrupted, stop_if_interrupted};

/// What `squad measure` asks for.
#[derive(Debug, Clone)]
pub struct Measure {
    /// The recipe.
    pub recipe: SquadRecipe,
    /// Where to compute.
    pub device: DeviceChoice,
    /// Who computes attention.
    pub attention: Implementation,
    /// The mask; none = dense attention.
    pub mask: Option<PathBuf>,
    /// Folder with the network's `config.json`, for one whose name does not say its sizes.
    pub weights: Option<PathBuf>,
}

/// What some training batches took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Cost {
    /// Seconds that forward and backward of all of them take, each as long as the median.
    pub(super) seconds: f64,
    /// Largest resident memory of the process in 10⁹ bytes, where the system says and the processor
    /// computes.
    pub(super) gigabytes: Option<f64>,
}

/// Whether memory can be measured: of a GPU it cannot.
pub(super) fn measures_memory(device: DeviceChoice) -> bool {
    device.is_cpu() && largest_resident().is_some()
}

/// Measures in this process and prints the numbers.
///
/// # Errors
/// A device that does not open, or a mask that does not fit.
pub fn measure(request: &Measure) -> Result<()> {
    let recipe = &request.recipe;
    let (train, seq) = (recipe.train(), recipe.max_len());
    let weights = request.weights.as_deref().unwrap_or(Path::new(""));
    let pretrained = Pretrained::sizes(recipe.model(), weights)?.computed_by(request.attention);
    let opened = device::open(request.device, SquadRecipe::PROGRAM)?;
    let device = opened.device.clone().autodiff();
    let mask = request.mask.as_ref().map(GlobalMask::load).transpose()?;
    let masks = layer_masks(mask.as_ref(), seq, &device)?;
    let mechanism = recipe.model().normalizers[0];
    let config = &pretrained.config.clone().with_mechanism(mechanism);
    if opened.choice.is_cpu() {
        let sizes = [config.n_params(), config.n_layers, config.d_model];
        check_memory(
            sizes,
            train.batch_size as f64 * seq as f64,
            available_memory(),
        )?;
    }
    let model = new_weights(1, &device, |host| config.init_span_finder(host));
    let shape = [train.batch_size, seq];
    let tokens: Vec<i32> = (0..train.batch_size * seq)
        .map(|i| (i * 7919 % config.vocab_size) as i32)
        .collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, shape), &device);
    let place = Tensor::<1, Int>::full([train.batch_size], 5, &device);
    let step = || -> Result<()> {
        let scores = model.forward(BertInput::new(tokens.clone()).masks(masks.clone()));
        let loss = model.loss(scores, place.clone(), place.clone());
        let _gradients = loss.backward();
        device
            .sync()
            .map_err(|e| anyhow!("the device failed in a step: {e:?}"))
    };
    // The first one warms up.
    step()?;
    let timed = |_| -> Result<f64> {
        let started = Instant::now();
        step()?;
        Ok(started.elapsed().as_secs_f64())
    };
    let seconds = (0..recipe.cost.batches)
        .map(timed)
        .collect::<Result<Vec<_>>>()?;
    let cost = Cost {
        seconds: seconds.len() as f64 * median(seconds),
        gigabytes: largest_resident().filter(|_| opened.choice.is_cpu()),
    };
    print_line(serde_json::to_string(&cost)?)?;
    Ok(())
}

/// # Errors
/// If not even weights, gradients and one copy of a batch's hidden states fit into so many bytes.
fn check_memory([n_params, n_layers, d_model]: [usize; 3], tokens: f64, free: f64) -> Result<()> {
    let states = tokens * n_layers as f64 * d_model as f64;
    let least = 4.0 * (2.0 * n_params as f64 + states);
    ensure!(
        least < free,
        "a step on {tokens:.0} tokens needs at least {}, and {} are free: lower `train.batch_size` or `data.max_len`",
        gigabytes(least),
        gigabytes(free)
    );
    Ok(())
}

/// What half of the times exceed: a pause of the machine does not move it.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let n = times.len();
    match n {
        0 => 0.0,
        _ => (times[(n - 1) / 2] + times[n / 2]) / 2.0,
    }
}

/// Measures in a process of its own; `recipe` is a file, and `weights` a folder with a `config.json`.
///
/// # Errors
/// If that process fails.
pub(super) fn run(
    (recipe, weights): (&Path, &Path),
    (device, attention, normalizer): (DeviceChoice, Implementation, MechanismConfig),
    mask: Option<&Path>,
) -> Result<Cost> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let [recipe, weights] = [recipe, weights].map(std::path::absolute);
    let (recipe, weights) = (
        recipe.context("the recipe")?,
        weights.context("the weights")?,
    );
    let mut command = Command::new(program);
    // From its own folder: a recipe is named by a text, and a folder need not be one.
    if let Some(folder) = recipe.parent() {
        command.current_dir(folder);
    }
    command
        .arg("measure")
        .arg("--recipe")
        .arg(recipe.file_name().unwrap_or(recipe.as_os_str()))
        .arg("--weights")
        .arg(weights)
        .args(["--set", &format!("model.normalizers=[\"{normalizer}\"]")])
        .args(["--device", &device.to_string()])
        .args(["--attention-by", attention.as_str()])
        .stdin(Stdio::null());
    if let Some(mask) = mask {
        let mask = std::path::absolute(mask).context("the mask")?;
        command.arg("--mask").arg(mask);
    }
    let what = "measuring time and memory";
    stop_if_interrupted(what)?;
    let output = command.output().context("cannot start the measurement")?;
    // Ctrl-C of a terminal stops that process too.
    match signals::is_stopped(output.status) {
        true => return Err(interrupted(what).into()),
        false => stop_if_interrupted(what)?,
    }
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "time and memory could not be measured: {}; leave them out with `--set cost.batches=0`",
        said.trim().trim_start_matches("error: ")
    );
    serde_json::from_slice(&output.stdout).context("the measurement printed no numbers")
}

#[cfg(test)]
mod tests {
    use super::{check_memory, median};

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let sizes = [33_000_000, 12, 384];
        check_memory(sizes, 12.0 * 384.0, 4e9).unwrap();
        let error = check_memory(sizes, 1048576.0 * 384.0, 4e9).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("402653184 tokens") && said.contains("`train.batch_size`"),
            "{said}"
        );
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 9.0, 2.0]), 3.0);
    }
}

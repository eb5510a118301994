//! `sparta doctor` and `sparta plot`.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use crate::bench::assert_full;

#[test]
fn doctor_lists_every_device_and_recipe() {
    let output = Command::new(env!("CARGO_BIN_EXE_sparta"))
        .args(["doctor", "--json"])
        .output()
        .expect("sparta runs");
    assert!(output.status.success());
    let diagnosis: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let devices = diagnosis["devices"].as_array().expect("devices");
    assert_eq!(devices.len(), 9);
    for device in devices {
        assert_eq!(
            device["compiled"].as_bool().unwrap(),
            !device["opens"].is_null(),
            "{device}"
        );
        for half in ["f16", "bf16"] {
            assert_eq!(
                device["opens"] == true,
                device[half].is_boolean(),
                "{device}"
            );
        }
    }
    let recipes = diagnosis["recipes"].as_array().expect("recipes");
    assert!(
        recipes.iter().all(|r| r["problem"].is_null()),
        "{recipes:?}"
    );
    let mut names: Vec<&str> = recipes.iter().filter_map(|r| r["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, recipe_files());
    assert_eq!(names.len(), 25);
    let text = Command::new(env!("CARGO_BIN_EXE_sparta"))
        .arg("doctor")
        .output()
        .expect("sparta runs");
    let text = String::from_utf8_lossy(&text.stdout);
    for line in [
        "recipe       lm small/lm: valid",
        "recipe       squad squad/bert-base: valid",
        "corpus       State of the Union: shipped",
        "weights      minilm-l3: shipped",
    ] {
        assert!(text.contains(line), "`{line}` is missing in {text}");
    }
    // Which of these are at hand depends on the machine.
    assert!(
        text.contains("corpus       WikiText-103: ")
            && text.contains("weights      bert-base-cased: ")
    );
}

/// What a report of a bug needs of the program and the machine: as in run records, and which number types runs may have.
#[test]
fn doctor_says_versions_processor_and_half_types() {
    let doctor = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sparta"));
        let output = command.arg("doctor").args(arguments).output();
        String::from_utf8(output.expect("sparta runs").stdout).expect("UTF-8")
    };
    let diagnosis: Value = serde_json::from_str(&doctor(&["--json"])).expect("JSON");
    let text = doctor(&[]);
    let versions = &diagnosis["versions"];
    let version = |name: &str| versions[name].as_str().expect(name).to_owned();
    for name in ["rustc", "features", "os", "cpu"] {
        let line = format!("{name:12} {}", version(name));
        assert!(text.lines().any(|of| of == line), "`{line}`: {text}");
    }
    for name in ["sparta", "commit", "burn"] {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.contains(&version(name)), "{first}");
    }
    assert!(version("rustc").starts_with("rustc 1."), "{versions}");
    assert!(version("threads").parse::<usize>().is_ok(), "{versions}");
    // What is said of flex is what a run is told there.
    #[cfg(feature = "flex")]
    {
        let devices = diagnosis["devices"].as_array().expect("devices");
        let flex = devices.iter().find(|of| of["device"] == "flex");
        let flex = flex.expect("flex");
        assert!(flex["f16"] == false && flex["bf16"] == false, "{flex}");
        assert!(text.contains("flex         works (f32): "), "{text}");
    }
}

/// The recipes of the repository, by their names for `--recipe`.
fn recipe_files() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let entries = |dir: &Path| {
        let entries = fs::read_dir(dir).expect("a folder of recipes").flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let files = entries(&root).into_iter().flat_map(|dir| entries(&dir));
    let name = |file: std::path::PathBuf| {
        let name = file
            .strip_prefix(&root)
            .expect("below the root")
            .with_extension("");
        name.to_str().expect("UTF-8").replace('\\', "/")
    };
    let mut names: Vec<String> = files.map(name).collect();
    names.sort_unstable();
    names
}

/// `sparta doctor | head -1`: the reader has what it wanted.
#[test]
fn a_reader_who_goes_away_is_no_error() {
    for arguments in [&["doctor"][..], &["doctor", "--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sparta"))
            .args(arguments)
            // With it a backend that is not here shows its panic, as documented.
            .env_remove("RUST_BACKTRACE")
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .output()
            .expect("sparta runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(said.is_empty(), "{arguments:?}: {said}");
    }
}

/// A device that is always full takes nothing.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /dev/full")]
fn a_diagnosis_or_plot_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("summary.csv"), SUMMARY).expect("a file");
    for arguments in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["plot", "summary.csv"],
        &["--help"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sparta"))
            .args(arguments)
            .current_dir(folder.path())
            .stdout(full.expect("/dev/full"))
            .stderr(std::process::Stdio::piped())
            .output()
            .expect("sparta runs");
        assert_full(&assert_cmd::assert::Assert::new(output));
    }
}

/// What an attention bench writes.
const SUMMARY: &str = "case,shape,p,dtype,device,ours_ms,peer_ms,ratio,peer,peak_bytes\n\
     softmax/blocks,1x8x256x64/s1,50,f32,flex,2.0,4.0,2.00,ours-dense,1000\n";

#[test]
fn a_summary_of_a_bench_is_plotted_beside_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("summary.csv");
    let plot = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sparta"));
        command
            .arg("plot")
            .arg(&path)
            .output()
            .expect("sparta runs")
    };
    fs::write(&path, SUMMARY).expect("a file");
    let output = plot();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.trim_end().ends_with("summary.svg"),
        "{said}"
    );
    let plotted = fs::read_to_string(path.with_extension("svg")).expect("a plot");
    assert!(plotted.contains("paper, SQuAD at p = 90"));
    fs::remove_file(&path).expect("the file");
    let output = plot();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("summary.csv") && said.lines().count() == 1,
        "{said}"
    );
}

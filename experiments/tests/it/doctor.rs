//! `sparta doctor` and `sparta plot`.

use std::fs;

use assert_cmd::Command;
use serde_json::Value;

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
    }
    let recipes = diagnosis["recipes"].as_array().expect("recipes");
    assert!(recipes.iter().all(|r| r[1].is_null()), "{recipes:?}");
    let text = Command::new(env!("CARGO_BIN_EXE_sparta"))
        .arg("doctor")
        .output()
        .expect("sparta runs");
    assert!(String::from_utf8_lossy(&text.stdout).contains("small/lm: valid"));
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
    let text = "case,shape,p,dtype,device,ours_ms,peer_ms,ratio,peer,peak_bytes\n\
                softmax/blocks,1x8x256x64/s1,50,f32,flex,2.0,4.0,2.00,ours-dense,1000\n";
    fs::write(&path, text).expect("a file");
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

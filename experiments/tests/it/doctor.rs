//! `sparta doctor`.

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

//! Downloads against a server on this machine: resume, mirrors, checksums.

use std::fs;
use std::path::{Path, PathBuf};

use sparta_datasets::Error;
use sparta_datasets::source::{Sha256Hex, fetch, fetch_with_progress};

use crate::server::{Answer, Server};

fn body() -> Vec<u8> {
    (0..300_000_u32)
        .flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes())
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Sha256Hex::new();
    hasher.update(bytes);
    hasher.finish()
}

fn part(dest: &Path) -> PathBuf {
    dest.with_extension("zip.part")
}

#[test]
fn a_whole_download_arrives_and_reports_progress() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("cache/corpus.zip");
    let server = Server::new(body(), vec![Answer::Whole]);
    let mut last = (0, None);
    let mut progress = |done, total| last = (done, total);
    fetch_with_progress(
        &[server.url()],
        Some(&sha256(&body())),
        &dest,
        &mut progress,
    )
    .unwrap();
    assert_eq!(fs::read(&dest).unwrap(), body());
    assert_eq!(last, (1_200_000, Some(1_200_000)));
    assert!(!part(&dest).exists());
    // Again: what is there has the checksum, so nobody is asked.
    fetch(&[server.url()], Some(&sha256(&body())), &dest).unwrap();
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_cut_connection_is_resumed_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let answers = vec![
        Answer::CutAfter(500_000),
        Answer::CutAfter(300_000),
        Answer::Whole,
    ];
    let server = Server::new(body(), answers);
    fetch(&[server.url()], Some(&sha256(&body())), &dest).unwrap();
    assert_eq!(fs::read(&dest).unwrap(), body());
    assert_eq!(server.ranges(), [None, Some(500_000), Some(800_000)]);
}

#[test]
fn a_later_call_goes_on_with_what_an_earlier_one_left() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let sha256 = sha256(&body());
    let dead = Server::new(body(), vec![Answer::CutAfter(400_000), Answer::CutAfter(0)]);
    let error = fetch(&[dead.url()], Some(&sha256), &dest).unwrap_err();
    assert!(matches!(error, Error::DownloadFailed { .. }), "{error}");
    assert_eq!(
        dead.ranges().len(),
        4,
        "one that brought something, three that did not"
    );
    assert!(!dest.exists());
    assert_eq!(fs::metadata(part(&dest)).unwrap().len(), 400_000);

    let alive = Server::new(body(), vec![Answer::Whole]);
    fetch(&[alive.url()], Some(&sha256), &dest).unwrap();
    assert_eq!(alive.ranges(), [Some(400_000)]);
    assert_eq!(fs::read(&dest).unwrap(), body());
}

#[test]
fn a_server_without_ranges_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let server = Server::new(
        body(),
        vec![Answer::CutAfter(100_000), Answer::WithoutRange],
    );
    fetch(&[server.url()], Some(&sha256(&body())), &dest).unwrap();
    assert_eq!(fs::read(&dest).unwrap(), body());
}

#[test]
fn a_part_of_something_else_is_thrown_away() {
    for stale in [vec![7; 1000], vec![7; 2_000_000]] {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("corpus.zip");
        fs::write(part(&dest), &stale).unwrap();
        let server = Server::new(body(), vec![Answer::Whole]);
        fetch(&[server.url()], Some(&sha256(&body())), &dest).unwrap();
        assert_eq!(fs::read(&dest).unwrap(), body());
        assert_eq!(server.ranges(), [Some(stale.len()), None]);
    }
}

#[test]
fn mirrors_are_tried_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let gone = Server::new(vec![], vec![Answer::Status(404)]);
    let altered = Server::new(b"an error page".to_vec(), vec![Answer::Whole]);
    let good = Server::new(body(), vec![Answer::Whole]);
    let mirrors = [gone.url(), altered.url(), good.url()];
    fetch(&mirrors, Some(&sha256(&body())), &dest).unwrap();
    assert_eq!(fs::read(&dest).unwrap(), body());
    assert_eq!(gone.ranges().len(), 1);
    assert_eq!(
        good.ranges(),
        [None],
        "the altered mirror's bytes were kept"
    );
}

#[test]
fn when_all_fail_each_reason_is_told_and_nothing_appears() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let gone = Server::new(vec![], vec![Answer::Status(404)]);
    let altered = Server::new(b"an error page".to_vec(), vec![Answer::Whole]);
    let expected = sha256(&body());
    let closed = "http://127.0.0.1:1/corpus.zip";
    let message = fetch(&[gone.url(), altered.url(), closed], Some(&expected), &dest)
        .unwrap_err()
        .to_string();
    println!("{message}");
    assert!(
        message.starts_with("could not download corpus.zip: http://127.0.0.1:"),
        "{message}"
    );
    assert!(message.contains("HTTP status 404; "), "{message}");
    let found = sha256(b"an error page");
    assert!(
        message.contains(&format!("sha256 is {found}, expected {expected}; ")),
        "{message}"
    );
    assert!(message.contains(&format!("{closed}: ")), "{message}");
    assert!(
        message.ends_with("fetch it by hand and run `prepare --from DIR`"),
        "{message}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn without_a_checksum_parts_of_two_mirrors_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let first = Server::new(
        vec![1; 5000],
        vec![Answer::CutAfter(1000), Answer::CutAfter(0)],
    );
    let second = Server::new(body(), vec![Answer::Whole]);
    fetch(&[first.url(), second.url()], None, &dest).unwrap();
    assert_eq!(second.ranges(), [None]);
    assert_eq!(fs::read(&dest).unwrap(), body());
}

#[test]
fn no_mirror_is_an_error_too() {
    let dir = tempfile::tempdir().unwrap();
    let message = fetch(&[], None, &dir.path().join("x"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("no mirror is known"), "{message}");
}

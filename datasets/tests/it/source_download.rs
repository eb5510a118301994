//! Downloads against a server on this machine: resume, mirrors, checksums.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sparta_datasets::source::{
    self, Download, Patience, Remote, Sha256Hex, fetch_patiently, record_of,
};
use sparta_datasets::{Error, Result};

use crate::server::{Answer, Body, Server};

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

fn remote<'a>(mirrors: &'a [&'a str], sha256: Option<&'a str>) -> Remote<'a> {
    Remote {
        mirrors,
        sha256,
        licence: "public domain",
    }
}

fn fetch(mirrors: &[&str], sha256: Option<&str>, dest: &Path) -> Result<()> {
    source::fetch(&remote(mirrors, sha256), dest, &mut |_| ())
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
    let mut progress = |event: Download<'_>| {
        if let Download::At { bytes, of } = event {
            last = (bytes, of);
        }
    };
    let hash = sha256(&body());
    source::fetch(&remote(&[server.url()], Some(&hash)), &dest, &mut progress).unwrap();
    assert_eq!(fs::read(&dest).unwrap(), body());
    assert_eq!(last, (1_200_000, Some(1_200_000)));
    assert!(!part(&dest).exists() && !record_of(&dest).exists());
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
        assert_eq!(server.ranges(), [Some(stale.len() as u64), None]);
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
        message.contains("fetch it by hand and run `prepare --from DIR`, or set SPARTA_CACHE=DIR"),
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

/// A server must send 10 kB in each 0.4 s.
const SHORT: Patience = Patience {
    silence: Duration::from_millis(400),
    least: 10_000,
    largest: 2_000_000,
};

/// What became of a download of [`body`], and how long it took.
fn shortly(answers: Vec<Answer>, checked: bool) -> (Result<(), String>, Duration, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let server = Server::new(body(), answers);
    let sha256 = checked.then(|| sha256(&body()));
    let start = Instant::now();
    let mirrors = [server.url()];
    let result = fetch_patiently(
        &remote(&mirrors, sha256.as_deref()),
        &dest,
        SHORT,
        &mut |_| (),
    );
    if result.is_ok() && checked {
        assert_eq!(fs::read(&dest).unwrap(), body());
    }
    let left = fs::read_dir(dir.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let result = result.map_err(|error| error.to_string());
    (result, start.elapsed(), left.collect())
}

#[test]
fn a_server_that_stalls_is_asked_again_and_given_up_in_time() {
    let stalls = vec![Answer::StallAfter(500_000), Answer::Whole];
    assert_eq!(shortly(stalls, true).0, Ok(()));
    let (result, took, left) = shortly(vec![Answer::StallAfter(0)], true);
    let message = result.unwrap_err();
    assert!(
        message.contains("the server sent less than 10000 bytes in 400ms"),
        "{message}"
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
    // Nothing came, and the file of nothing is what a later call goes on with.
    assert!(left.iter().all(|name| name.ends_with(".part")), "{left:?}");
}

#[test]
fn a_slow_server_without_ranges_is_waited_for() {
    // 120 pieces of 10 kB in 2.4 s, six times as long as a silence may be.
    let slowly = Answer::Slowly(10_000, Duration::from_millis(20));
    let (result, took, left) = shortly(vec![slowly], true);
    assert_eq!(result, Ok(()));
    assert!(took > 4 * SHORT.silence, "{took:?}");
    assert_eq!(left, ["corpus.zip"]);
    // One that crawls is not: it would take a day, and each new start would begin anew.
    let crawls = Answer::Slowly(100, Duration::from_millis(50));
    let (result, took, _) = shortly(vec![crawls], true);
    assert!(result.unwrap_err().contains("less than 10000 bytes"));
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_length_that_is_not_true_ends_in_the_file_or_an_error() {
    let len = body().len() as u64;
    // More than there is: the checksum says that all is there. Without one it is asked for to no end but three.
    let more = || vec![Answer::Says(len + 1000)];
    assert_eq!(shortly(more(), true).0, Ok(()));
    let message = shortly(more(), false).0.unwrap_err();
    assert!(
        message.contains("cut after 1200000 of 1201000 bytes"),
        "{message}"
    );
    // The same of a server that knows ranges, and refuses what lies beyond its end.
    let ranged = vec![
        Answer::Says(len + 1000),
        Answer::Whole,
        Answer::Says(len + 1000),
        Answer::Whole,
        Answer::Says(len + 1000),
        Answer::Whole,
    ];
    assert!(shortly(ranged, false).0.is_err());
    // Less than there is, and far more than any corpus has.
    let (result, _, left) = shortly(vec![Answer::Says(len - 1000)], true);
    let message = result.unwrap_err();
    assert!(message.contains("sha256 is "), "{message}");
    assert!(left.is_empty(), "{left:?}");
    let message = shortly(vec![Answer::Says(u64::MAX)], true).0.unwrap_err();
    assert!(message.contains("larger than 2000000 bytes"), "{message}");
}

#[test]
fn a_body_without_a_length_is_checked_and_bounded() {
    assert_eq!(shortly(vec![Answer::Unsized(u64::MAX)], true).0, Ok(()));
    let (result, _, left) = shortly(vec![Answer::Unsized(900_000)], true);
    assert!(result.unwrap_err().contains("sha256 is "));
    assert!(left.is_empty(), "{left:?}");
    let (result, _, left) = shortly(vec![Answer::Endless], true);
    assert!(result.unwrap_err().contains("larger than 2000000 bytes"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn wrong_bytes_and_redirects_in_a_circle_leave_nothing() {
    for (answer, said) in [
        (Answer::Altered, "sha256 is "),
        (Answer::Redirect, "too many redirects"),
    ] {
        let (result, took, left) = shortly(vec![answer], true);
        let message = result.unwrap_err();
        assert!(message.contains(said), "{message}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The resident memory of this process, in MB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<f64>().unwrap() / 1024.0
}

/// 10⁹ bytes through every fault: the file or an error in bounded time and memory.
/// `cargo test --release -p sparta-datasets --test it -- --ignored --nocapture a_gigabyte`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "a gigabyte for each of eight servers"]
fn a_gigabyte_through_every_fault() {
    const LEN: u64 = 1_000_000_000;
    let mut hasher = Sha256Hex::new();
    let whole = (0, LEN);
    let body = Body::Made(LEN);
    let hash = |bytes: &mut [u8]| {
        hasher.update(bytes);
        Ok(())
    };
    body.each(whole, 1 << 20, hash).unwrap();
    let expected = hasher.finish();
    let patience = Patience {
        silence: Duration::from_secs(2),
        ..Patience::default()
    };
    let pause = Duration::from_millis(50);
    let cases = [
        ("whole", vec![Answer::Whole], None),
        (
            "a: stalls at 300 MB, then goes on",
            vec![Answer::StallAfter(300_000_000), Answer::Whole],
            None,
        ),
        (
            "a: stalls always",
            vec![Answer::StallAfter(0)],
            Some("the server sent less than"),
        ),
        (
            "b: says a MB more",
            vec![Answer::Says(LEN + 1_000_000)],
            None,
        ),
        (
            "b: says a MB less",
            vec![Answer::Says(LEN - 1_000_000)],
            Some("sha256 is"),
        ),
        (
            "c: redirects in a circle",
            vec![Answer::Redirect],
            Some("too many redirects"),
        ),
        ("d: wrong bytes", vec![Answer::Altered], Some("sha256 is")),
        (
            "e: closes every 400 MB",
            vec![Answer::CutAfter(400_000_000)],
            None,
        ),
        (
            "f: slow, without ranges",
            vec![Answer::Slowly(4_000_000, pause)],
            None,
        ),
    ];
    for (name, answers, said) in cases {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("corpus.zip");
        let server = Server::of(body.clone(), answers);
        let (start, mut most) = (Instant::now(), 0.0_f64);
        let mut at = 0;
        let mut watch = |event: Download<'_>| {
            let Download::At { bytes: done, .. } = event else {
                return;
            };
            if done / 50_000_000 != at {
                at = done / 50_000_000;
                most = most.max(resident());
            }
        };
        let mirrors = [server.url()];
        let of = remote(&mirrors, Some(&expected));
        let result = fetch_patiently(&of, &dest, patience, &mut watch);
        most = most.max(resident());
        let took = start.elapsed().as_secs_f64();
        let n = server.ranges().len();
        let said_by = match &result {
            Ok(()) => "the file".to_owned(),
            Err(error) => error.to_string(),
        };
        println!("{name}: {took:.1} s, {most:.0} MB resident, {n} requests: {said_by}");
        match said {
            None => assert_eq!(fs::metadata(&dest).unwrap().len(), LEN, "{said_by}"),
            Some(said) => {
                assert!(said_by.contains(said), "{said_by}");
                let left: u64 = fs::read_dir(dir.path())
                    .unwrap()
                    .map(|entry| entry.unwrap().metadata().unwrap().len())
                    .sum();
                assert_eq!(left, 0, "bytes in the cache");
            }
        }
        assert!(took < 180.0 && most < 200.0, "{took} s, {most} MB");
    }
}

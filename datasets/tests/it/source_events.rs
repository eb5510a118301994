//! What a download tells, and hashes that nobody published: recorded once, and held to from then on.

use std::fs;
use std::path::Path;

use sparta_datasets::source::{
    Download, Remote, fetch, fetch_if_there, record_of, recorded_sha256, sha256,
};
use sparta_datasets::{Error, Result};

use crate::server::{Answer, Server};

const LICENCE: &str = "CC BY-SA 4.0";

fn remote<'a>(mirrors: &'a [&'a str], sha256: Option<&'a str>) -> Remote<'a> {
    Remote {
        mirrors,
        sha256,
        licence: LICENCE,
    }
}

/// Bytes so far, and in all if known.
type Progress = Vec<(u64, Option<u64>)>;

/// Downloads, and the events as text; those of progress in between as their numbers alone.
fn told(of: &Remote<'_>, dest: &Path) -> (Result<()>, Vec<String>, Progress) {
    let (mut said, mut progress) = (Vec::new(), Vec::new());
    let result = fetch(of, dest, &mut |event| match event {
        Download::At { bytes, of } => {
            assert!(!said.is_empty(), "progress before the beginning");
            progress.push((bytes, of));
        }
        Download::Begins {
            file,
            url,
            licence,
            bytes,
        } => said.push(format!("begins {file} {url} {licence} {bytes:?}")),
        Download::Ends {
            file,
            sha256,
            check,
        } => said.push(format!("ends {file} {sha256} {check:?}")),
    });
    (result, said, progress)
}

#[test]
fn events_come_in_order_with_address_licence_size_and_hash() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("corpus.zip");
    let body = vec![5; 200_000];
    let hash = sha256(&body);
    // A mirror that has nothing says nothing; a cut one is asked again, and has begun once.
    let gone = Server::new(vec![], vec![Answer::Status(404)]);
    let server = Server::new(body, vec![Answer::CutAfter(120_000), Answer::Whole]);
    let mirrors = [gone.url(), server.url()];
    let of = remote(&mirrors, Some(&hash));
    let (result, said, progress) = told(&of, &dest);
    result.unwrap();
    let url = server.url();
    assert_eq!(
        said,
        [
            format!("begins corpus.zip {url} {LICENCE} Some(200000)"),
            format!("ends corpus.zip {hash} Published"),
        ]
    );
    assert_eq!(progress.first(), Some(&(0, Some(200_000))));
    assert_eq!(progress.last(), Some(&(200_000, Some(200_000))));
    assert!(progress.is_sorted(), "{progress:?}");
    assert!(
        progress.contains(&(120_000, Some(200_000))),
        "the second request goes on: {progress:?}"
    );
    // What is there is not downloaded, and nothing is said of it.
    let (result, said, progress) = told(&of, &dest);
    result.unwrap();
    assert!(said.is_empty() && progress.is_empty());
    // Without a length there is none.
    fs::remove_file(&dest).unwrap();
    let server = Server::new(vec![5; 200_000], vec![Answer::Unsized(u64::MAX)]);
    let (result, said, progress) = told(&remote(&[server.url()], Some(&hash)), &dest);
    result.unwrap();
    assert!(said[0].ends_with(" None"), "{said:?}");
    assert_eq!(progress.last(), Some(&(200_000, None)));
}

#[test]
fn a_hash_that_nobody_published_is_recorded_and_held_to() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("de-en.tgz");
    let (body, hash) = (b"the archive".to_vec(), sha256(b"the archive"));
    let server = Server::new(body.clone(), vec![Answer::Whole]);
    let mirrors = [server.url()];
    let of = remote(&mirrors, None);
    let (result, said, _) = told(&of, &dest);
    result.unwrap();
    assert_eq!(said[1], format!("ends de-en.tgz {hash} Recorded"));
    assert_eq!(recorded_sha256(&dest).unwrap(), Some(hash.clone()));
    let record = fs::read_to_string(record_of(&dest)).unwrap();
    assert_eq!(record, format!("{hash}  de-en.tgz\n"));
    // It is there: nobody is asked. An archive that was unpacked and deleted is fetched again, and compared.
    told(&of, &dest).0.unwrap();
    assert_eq!(server.ranges().len(), 1);
    fs::remove_file(&dest).unwrap();
    let (result, said, _) = told(&of, &dest);
    result.unwrap();
    assert_eq!(said[1], format!("ends de-en.tgz {hash} AsRecorded"));
    // A file that somebody changed is replaced by the one that was recorded.
    fs::write(&dest, "another").unwrap();
    told(&of, &dest).0.unwrap();
    assert_eq!(fs::read(&dest).unwrap(), body);
}

#[test]
fn other_bytes_than_the_recorded_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("de-en.tgz");
    let first = Server::new(b"the archive".to_vec(), vec![Answer::Whole]);
    let changed = Server::new(b"another archive".to_vec(), vec![Answer::Whole]);
    told(&remote(&[first.url()], None), &dest).0.unwrap();
    fs::remove_file(&dest).unwrap();
    let mirrors = [changed.url()];
    let (result, said, _) = told(&remote(&mirrors, None), &dest);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::ChangedDownload { .. }), "{error}");
    let message = error.to_string();
    for part in [
        changed.url(),
        &sha256(b"the archive"),
        &sha256(b"another archive"),
        &format!("delete {}", record_of(&dest).display()),
    ] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    assert_eq!(said.len(), 1, "it began and did not end: {said:?}");
    // Neither the file nor a part of it is kept, and the record stays.
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["de-en.tgz.sha256"]);
    // Another mirror may still have it.
    let both = [changed.url(), first.url()];
    told(&remote(&both, None), &dest).0.unwrap();
    assert_eq!(fs::read(&dest).unwrap(), b"the archive");
    // The change is wanted.
    fs::remove_file(&dest).unwrap();
    fs::remove_file(record_of(&dest)).unwrap();
    told(&remote(&mirrors, None), &dest).0.unwrap();
    assert_eq!(fs::read(&dest).unwrap(), b"another archive");
}

#[test]
fn a_record_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("de-en.tgz");
    fs::write(record_of(&dest), "yes\n").unwrap();
    let server = Server::new(b"the archive".to_vec(), vec![Answer::Whole]);
    let message = told(&remote(&[server.url()], None), &dest)
        .0
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("de-en.tgz.sha256: expected a sha256") && message.contains("delete it"),
        "{message}"
    );
}

#[test]
fn a_file_that_need_not_be_there_is_told_from_a_server_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("tokenizer.json");
    let gone = Server::new(vec![], vec![Answer::Status(404)]);
    let broken = Server::new(vec![], vec![Answer::Status(503)]);
    let good = Server::new(b"{}".to_vec(), vec![Answer::Whole]);
    let fetched = |mirrors: &[&str]| fetch_if_there(&remote(mirrors, None), &dest, &mut |_| ());
    assert!(!fetched(&[gone.url(), gone.url()]).unwrap());
    let message = fetched(&[gone.url(), broken.url()])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("HTTP status 404; ") && message.contains("HTTP status 503"),
        "{message}"
    );
    assert!(fetched(&[gone.url(), good.url()]).unwrap());
    assert_eq!(fs::read(&dest).unwrap(), b"{}");
}

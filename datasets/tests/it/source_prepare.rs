//! `prepare`: from a folder, from a zip, from the cache, and what it says when nothing is there.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use sparta_datasets::source::{archive_of, locate, prepare, sha256_file};
use sparta_datasets::wikitext::{WikiText, file_name};
use sparta_datasets::{CorpusName, Error, Split};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::wikitext::{text_of, write_published};

fn write_zip(path: &Path, which: WikiText, splits: &[Split]) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    zip.add_directory(which.folder(), SimpleFileOptions::default())
        .unwrap();
    for &split in splits {
        let name = format!("{}/{}", which.folder(), file_name(split));
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text_of(which.n_tokens(split)).as_bytes())
            .unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn unpacked_files_are_used_where_they_lie() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inner = user.path().join("wikitext-2");
    write_published(&inner, WikiText::Two);
    for from in [user.path(), &inner] {
        assert_eq!(
            prepare(WikiText::Two, Some(from), cache.path(), &mut |_| ()).unwrap(),
            inner
        );
        assert_eq!(
            locate(WikiText::Two, Some(from), cache.path()).unwrap(),
            inner
        );
    }
    assert_eq!(
        fs::read_dir(cache.path()).unwrap().count(),
        0,
        "the cache was written"
    );
    let corpus = CorpusName::WikiText2
        .load(Some(user.path()), cache.path())
        .unwrap();
    assert_eq!(corpus.n_tokens(Split::Valid), 217_646);
}

#[test]
fn a_zip_is_unpacked_into_the_cache_and_found_there_later() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_zip(
        &user.path().join("wikitext-2-v1.zip"),
        WikiText::Two,
        &Split::ALL,
    );
    let dir = prepare(WikiText::Two, Some(user.path()), cache.path(), &mut |_| ()).unwrap();
    assert_eq!(dir, cache.path().join("wikitext-2"));
    assert_eq!(
        fs::read_dir(&dir).unwrap().count(),
        3,
        "only the three files"
    );
    // No folder named any more: the cache answers, without a download.
    assert_eq!(
        prepare(WikiText::Two, None, cache.path(), &mut |_| ()).unwrap(),
        dir
    );
    let corpus = CorpusName::WikiText2.load(None, cache.path()).unwrap();
    assert_eq!(corpus.n_tokens(Split::Train), 2_088_628);
}

#[test]
fn bad_archives_are_told() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let zip = user.path().join("wikitext-2-v1.zip");
    let message = || {
        prepare(WikiText::Two, Some(user.path()), cache.path(), &mut |_| ())
            .unwrap_err()
            .to_string()
    };

    write_zip(&zip, WikiText::Two, &[Split::Train, Split::Test]);
    assert!(
        message().contains("it holds no wiki.valid.tokens"),
        "{}",
        message()
    );

    let mut bytes = fs::read(&zip).unwrap();
    bytes[5000] ^= 0xff;
    fs::write(&zip, &bytes).unwrap();
    assert!(message().starts_with("cannot unpack "), "{}", message());

    fs::write(&zip, &bytes[..3000]).unwrap();
    assert!(message().starts_with("cannot unpack "), "{}", message());
    assert!(
        message().ends_with("delete it and fetch it again"),
        "{}",
        message()
    );
}

/// What the cache has wrong stood in the way of every later try.
#[test]
fn wrong_files_of_the_cache_are_set_aside() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cached = cache.path().join("wikitext-2");
    for again in 0..2 {
        fs::create_dir_all(&cached).unwrap();
        for split in Split::ALL {
            fs::write(
                cached.join(file_name(split)),
                format!("a page of errors {again}\n"),
            )
            .unwrap();
        }
        let error = prepare(WikiText::Two, None, cache.path(), &mut |_| ()).unwrap_err();
        assert!(matches!(error, Error::SetAside { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("expected 2088628 tokens"), "{message}");
        assert!(
            message.contains("wikitext-2.refused, and the next `prepare` fetches it again"),
            "{message}"
        );
        assert!(
            locate(WikiText::Two, None, cache.path()).is_err(),
            "it is found again"
        );
    }
    let kept = cache
        .path()
        .join("wikitext-2.refused")
        .join(file_name(Split::Test));
    assert_eq!(fs::read_to_string(kept).unwrap(), "a page of errors 1\n");
    // So is what a wrong archive of the user left there; the user's own files stay.
    let zip = user.path().join("wikitext-2-v1.zip");
    let mut writer = ZipWriter::new(File::create(&zip).unwrap());
    for split in Split::ALL {
        writer
            .start_file(file_name(split), SimpleFileOptions::default())
            .unwrap();
        writer.write_all(b"a b\n").unwrap();
    }
    writer.finish().unwrap();
    let error = prepare(WikiText::Two, Some(user.path()), cache.path(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::SetAside { .. }), "{error}");
    assert!(zip.is_file() && !cached.exists());
    let unpacked = user.path().join("wikitext-2");
    fs::create_dir(&unpacked).unwrap();
    for split in Split::ALL {
        fs::write(unpacked.join(file_name(split)), "a b\n").unwrap();
    }
    let error = prepare(WikiText::Two, Some(user.path()), cache.path(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::WrongFile { .. }), "{error}");
    assert!(unpacked.is_dir());
}

#[test]
fn a_missing_corpus_says_what_to_type() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let error = prepare(
        WikiText::OneHundredThree,
        Some(user.path()),
        cache.path(),
        &mut |_| (),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::MissingCorpus {
                corpus: "WikiText-103",
                ..
            }
        ),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains(&user.path().display().to_string()),
        "{message}"
    );
    assert!(
        message.contains(
            "put wikitext-103-v1.zip or the unpacked wiki.{train,valid,test}.tokens there"
        ),
        "{message}"
    );

    let message = CorpusName::WikiText103
        .load(None, cache.path())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("run `prepare`, or `prepare --from DIR`"),
        "{message}"
    );
    assert!(message.contains("--from DIR"), "{message}");

    // One of three files there: the answer names the first one that is not.
    fs::write(user.path().join("wiki.train.tokens"), text_of(2_088_628)).unwrap();
    let message = prepare(WikiText::Two, Some(user.path()), cache.path(), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("wiki.valid.tokens is missing"),
        "{message}"
    );
}

#[cfg(not(feature = "download"))]
#[test]
fn a_build_without_download_says_so() {
    let cache = tempfile::tempdir().unwrap();
    let message = prepare(WikiText::Two, None, cache.path(), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("rebuild with `--features download`"),
        "{message}"
    );
}

#[test]
fn names_parse_and_unknown_ones_list_the_known() {
    for corpus in CorpusName::ALL {
        assert_eq!(corpus.name().parse::<CorpusName>().unwrap(), corpus);
    }
    let message = "wikitext-3".parse::<CorpusName>().unwrap_err().to_string();
    assert_eq!(
        message,
        "unknown corpus `wikitext-3`; known corpora: sotu, wikitext2, wikitext103"
    );
}

#[test]
fn checksums_are_sha256() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("abc");
    fs::write(&path, "abc").unwrap();
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_file(&path).unwrap(), expected);
    for which in WikiText::ALL {
        let archive = archive_of(which);
        assert!(archive.sha256.is_some_and(|sha256| sha256.len() == 64));
        assert!(
            archive
                .mirrors
                .iter()
                .all(|url| url.ends_with(archive.file))
        );
    }
}

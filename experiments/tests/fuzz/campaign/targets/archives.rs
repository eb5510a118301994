//! Archives and compressed texts, as their publishers' files are prepared.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sparta_datasets::Error;
use sparta_datasets::glue::{GlueTask, prepare, read_task};
use sparta_datasets::translation::TranslationCorpus;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::super::{Corpus, Reader, Target};

const TABLE: &str = "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n";

fn zipped(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).expect("a member");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("written").into_inner()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).expect("written");
    gz.finish().expect("written")
}

/// A tar whose members may have any path, such as one that leaves the folder.
fn tarred(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        if kind.is_symlink() {
            header.set_link_name("../../..").expect("a link");
            header.set_size(0);
        }
        header.set_cksum();
        tar.append(&header, *bytes).expect("written");
    }
    tar.into_inner().expect("written")
}

/// Removes what the last input left.
fn emptied(folder: &Path) -> PathBuf {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("removed");
    }
    folder.to_owned()
}

/// Zip archives of GLUE.
pub const ZIP: Target = Target {
    name: "zip",
    corpus: || {
        let table = TABLE.as_bytes();
        let members = [
            ("RTE/train.tsv", table),
            ("RTE/dev.tsv", table),
            ("RTE/test.tsv", b"index\tsentence1\tsentence2\n".as_slice()),
        ];
        let climbing = [
            ("../../../train.tsv", table),
            ("/train.tsv", table),
            ("..\\..\\dev.tsv", table),
            ("a/../../dev.tsv", table),
            ("test.tsv", table),
        ];
        let bomb = vec![b' '; 100_000_000];
        Corpus::of([
            zipped(&members, CompressionMethod::Stored),
            zipped(&members, CompressionMethod::Deflated),
        ])
        .and([
            zipped(&climbing, CompressionMethod::Stored),
            zipped(
                &[
                    ("train.tsv", &bomb),
                    ("dev.tsv", table),
                    ("test.tsv", table),
                ],
                CompressionMethod::Deflated,
            ),
        ])
        .with_words(&[
            "PK\u{1}\u{2}",
            "PK\u{3}\u{4}",
            "PK\u{5}\u{6}",
            "PK\u{6}\u{6}",
            "../",
            "train.tsv",
            "dev.tsv",
            "\u{1}\0",
        ])
    },
    open: |folder| {
        let (from, cache) = (folder.join("from"), folder.join("cache"));
        fs::create_dir_all(&from).expect("a folder");
        Box::new(move |bytes| {
            fs::write(from.join("RTE.zip"), bytes).expect("written");
            let read = prepare(GlueTask::Rte, Some(&from), &emptied(&cache), &mut |_| ())
                .and_then(|dir| read_task(GlueTask::Rte, &dir));
            read.map_err(|error| error.to_string()).is_ok()
        })
    },
};

/// The members of IWSLT 2014 that are there in one language, a few lines each.
fn iwslt() -> Vec<(String, String)> {
    let sets = [
        "TED.dev2010",
        "TEDX.dev2012",
        "TED.tst2010",
        "TED.tst2011",
        "TED.tst2012",
    ];
    let of = |language: &str| {
        let train = format!("de-en/train.tags.de-en.{language}");
        let talk =
            "<url>http://x</url>\n<title>Titel</title>\nDas ist's: Nr. 1, z.B. \"A &amp; B\".\n";
        let language = language.to_owned();
        let sets = sets.map(move |set| {
            let name = format!("de-en/IWSLT14.{set}.de-en.{language}.xml");
            (
                name,
                "<doc>\n<seg id=\"1\"> It’s A. </seg>\n</doc>\n".to_owned(),
            )
        });
        [(train, talk.to_owned())].into_iter().chain(sets)
    };
    of("de").chain(of("en")).collect()
}

fn iwslt_tar() -> Vec<u8> {
    let members = iwslt();
    let members: Vec<_> = members
        .iter()
        .map(|(name, text)| (name.as_str(), tar::EntryType::Regular, text.as_bytes()))
        .collect();
    tarred(&members)
}

fn climbing_tar() -> Vec<u8> {
    let text = b"text\n".as_slice();
    tarred(&[
        ("de-en", tar::EntryType::Symlink, b""),
        ("de-en/train.tags.de-en.de", tar::EntryType::Regular, text),
        (
            "../../../beside/de-en/train.tags.de-en.en",
            tar::EntryType::Regular,
            text,
        ),
        (
            "/de-en/IWSLT14.TED.dev2010.de-en.de.xml",
            tar::EntryType::Regular,
            text,
        ),
        ("train.tags.de-en.de", tar::EntryType::Directory, b""),
    ])
}

/// Whether a corpus was read: one of a few lines has another size than the published one.
fn read_to_its_end(read: Result<(), Error>) -> bool {
    match read {
        Ok(()) | Err(Error::WrongSize { .. } | Error::UnmatchedPairs { .. }) => true,
        Err(Error::SetAside { cause, .. }) => read_to_its_end(Err(*cause)),
        Err(error) => error.to_string().is_empty(),
    }
}

/// Reads bytes as the archive of IWSLT 2014; a corpus of a few lines is read to its end and has another size.
fn iwslt_reader(folder: &Path, pack: fn(&[u8]) -> Vec<u8>) -> Reader {
    let (from, cache) = (folder.join("from"), folder.join("cache"));
    fs::create_dir_all(&from).expect("a folder");
    Box::new(move |bytes| {
        fs::write(from.join("de-en.tgz"), pack(bytes)).expect("written");
        read_to_its_end(
            TranslationCorpus::Iwslt14DeEn
                .prepare(Some(&from), &emptied(&cache), &mut |_| ())
                .map(drop),
        )
    })
}

/// Tar archives, which are then compressed.
pub const TAR: Target = Target {
    name: "tar",
    corpus: || {
        let long = tarred(&[
            ("././@LongLink", tar::EntryType::GNULongName, &[b'a'; 600]),
            ("a", tar::EntryType::Regular, b"x"),
        ]);
        Corpus::of([iwslt_tar()])
            .and([climbing_tar(), long])
            .with_words(&[
                "ustar",
                "././@LongLink",
                "00000000000",
                "77777777777",
                "../",
                "L",
                "x",
            ])
    },
    open: |folder| iwslt_reader(folder, gzipped),
};

/// Compressed tar archives, and zips under their name.
pub const TAR_GZ: Target = Target {
    name: "tar-gz",
    corpus: || {
        let members = iwslt();
        let members: Vec<_> = members
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_bytes()))
            .collect();
        // A name of 100 MB, in a file of 100 kB.
        let name = vec![b'a'; 100_000_000];
        let bomb = tarred(&[
            ("././@LongLink", tar::EntryType::GNULongName, &name),
            ("a", tar::EntryType::Regular, b"x"),
        ]);
        let spaces = vec![b' '; 100_000_000];
        let large = tarred(&[(
            "de-en/train.tags.de-en.de",
            tar::EntryType::Regular,
            &spaces,
        )]);
        Corpus::of([
            gzipped(&iwslt_tar()),
            zipped(&members, CompressionMethod::Deflated),
        ])
        .and([gzipped(&bomb), gzipped(&large), gzipped(&climbing_tar())])
    },
    open: |folder| iwslt_reader(folder, <[u8]>::to_vec),
};

/// Compressed texts.
pub const GZIP: Target = Target {
    name: "gzip",
    corpus: || {
        let text = gzipped("Ein Haus.\nZwei Häuser, „alt“.\n".as_bytes());
        Corpus::of([
            text.clone(),
            [text.clone(), text].concat(),
            b"Ein Haus.\nZwei.\n".to_vec(),
        ])
        .and([gzipped(&vec![b' '; 100_000_000]), gzipped(b"\xff\xfe")])
    },
    open: |folder| {
        let (from, cache) = (folder.join("from"), folder.join("cache"));
        fs::create_dir_all(&from).expect("a folder");
        for name in [
            "train.en",
            "val.de",
            "val.en",
            "test_2016_flickr.de",
            "test_2016_flickr.en",
        ] {
            fs::write(
                from.join(format!("{name}.gz")),
                gzipped(b"A house.\nTwo.\n"),
            )
            .expect("written");
        }
        Box::new(move |bytes| {
            fs::write(from.join("train.de.gz"), bytes).expect("written");
            read_to_its_end(
                TranslationCorpus::Multi30kDeEn
                    .prepare(Some(&from), &emptied(&cache), &mut |_| ())
                    .map(drop),
            )
        })
    },
};

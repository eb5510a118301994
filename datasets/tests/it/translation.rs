//! Published translation corpora: files of a few lines in the published formats, prepared and
//! read back; and what is said when they are not right.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use sparta_datasets::embedded::libreoffice_help;
use sparta_datasets::tokenize::Language;
use sparta_datasets::translation::{Cleaning, TranslationCorpus};
use sparta_datasets::{Error, Split};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn write_tgz(dir: &Path, name: &str, members: &[(&str, String)]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let gz = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (member, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, member, text.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

fn segments(n: usize, text: &str) -> String {
    let segs = (1..=n).map(|i| format!("<seg id=\"{i}\"> {text} {i}. </seg>\n"));
    format!(
        "<mteval>\n<doc>\n{}</doc>\n</mteval>\n",
        segs.collect::<String>()
    )
}

/// A talk of 46 sentences; one of them is too unlike in length.
fn iwslt14(language: &str, n_test: usize) -> Vec<(String, String)> {
    let sentence = |i: usize| match (language, i) {
        (_, 3) => "Kurz.\n".to_owned(),
        ("de", 4) => "Ein | sehr viel zu langer Satz ist das hier.\n".to_owned(),
        ("en", 4) => "Short.\n".to_owned(),
        (_, i) => format!("Das ist's: Nr. {i}, z.B. \"A &amp; B\".\n"),
    };
    let talk: String = (1..=45).map(sentence).collect();
    let train = format!(
        "<url>http://x</url>\n<keywords>k</keywords>\n<talkid>1</talkid>\n<title>Titel</title>\n\
         <description>Worum</description>\n{talk}"
    );
    let mut members = vec![(format!("de-en/train.tags.de-en.{language}"), train)];
    for (set, n) in [
        ("TED.dev2010", 887),
        ("TEDX.dev2012", 1165),
        ("TED.tst2010", 1568),
        ("TED.tst2011", 1433),
        ("TED.tst2012", n_test),
    ] {
        let name = format!("de-en/IWSLT14.{set}.de-en.{language}.xml");
        members.push((name, segments(n, &format!("{set} It’s"))));
    }
    members
}

fn iwslt14_tgz(dir: &Path, n_test: usize) {
    let members: Vec<(String, String)> = ["de", "en"]
        .into_iter()
        .flat_map(|language| iwslt14(language, n_test))
        .collect();
    let members: Vec<(&str, String)> = members
        .iter()
        .map(|(name, text)| (name.as_str(), text.clone()))
        .collect();
    write_tgz(dir, "de-en.tgz", &members);
}

#[test]
fn iwslt14_is_prepared_as_fairseq_does() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    iwslt14_tgz(user.path(), 1697);
    let corpus = TranslationCorpus::Iwslt14DeEn;
    let dir = corpus
        .prepare(Some(user.path()), cache.path(), &mut |_| ())
        .unwrap()
        .unwrap();
    assert!(dir.ends_with("translation/iwslt14-de-en-v1"));
    let pairs = corpus.load(None, cache.path()).unwrap();

    // Title, description and 45 sentences, but the one; every 23rd of those 46 is for validation.
    assert_eq!((pairs.train.len(), pairs.valid.len()), (44, 2));
    assert_eq!(pairs.train[0].0, "titel");
    assert_eq!(pairs.train[1].1, "worum");
    assert_eq!(
        pairs.train[2].0,
        "das ist &apos; s : nr. 1 , z.b. &quot; a &amp; amp ; b &quot; ."
    );
    assert_eq!(
        pairs.train[2].1,
        "das ist &apos;s : nr. 1 , z.b. &quot; a &amp; amp ; b &quot; ."
    );
    assert!(pairs.train.iter().all(|pair| !pair.0.contains("langer")));
    // The 23rd and the 46th that stayed: sentences 22 and 45.
    assert!(pairs.valid[0].0.contains("nr. 22 ") && pairs.valid[1].0.contains("nr. 45 "));
    // Sets in order, titles and talk data gone, apostrophes plain.
    assert_eq!(pairs.test.len(), 6750);
    assert_eq!(pairs.test[0].1, "ted.dev2010 it &apos;s 1 .");
    assert_eq!(pairs.test[887].0, "tedx.dev2012 it &apos; s 1 .");

    // What is in the cache is used, also when a folder is named.
    fs::remove_file(user.path().join("de-en.tgz")).unwrap();
    assert_eq!(corpus.load(Some(user.path()), cache.path()).unwrap(), pairs);
}

#[test]
fn unpacked_files_are_found_where_they_lie() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for language in ["de", "en"] {
        for (name, text) in iwslt14(language, 1697) {
            write(user.path(), name.strip_prefix("de-en/").unwrap(), &text);
        }
    }
    let pairs = TranslationCorpus::Iwslt14DeEn
        .load(Some(user.path()), cache.path())
        .unwrap();
    assert_eq!((pairs.train.len(), pairs.test.len()), (44, 6750));
}

#[test]
fn a_wrong_size_is_told() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    iwslt14_tgz(user.path(), 1696);
    let corpus = TranslationCorpus::Iwslt14DeEn;
    let error = corpus
        .prepare(Some(user.path()), cache.path(), &mut |_| ())
        .unwrap_err();
    let Error::SetAside { cause, kept } = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(
            **cause,
            Error::WrongSize {
                split: Split::Test,
                expected: 6750,
                found: 6749,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("IWSLT 2014 de-en: test has 6749 sentence pairs"),
        "{error}"
    );
    assert!(
        corpus.load(None, cache.path()).is_err(),
        "wrong files were kept as prepared"
    );
    // What was unpacked of the wrong archive is not found in the place of the right one's.
    assert!(
        kept.is_dir() && error.to_string().contains(".refused"),
        "{error}"
    );
    iwslt14_tgz(user.path(), 1697);
    corpus
        .prepare(Some(user.path()), cache.path(), &mut |_| ())
        .unwrap();
}

/// Few bytes that unpack to many fill neither memory nor disk.
#[test]
fn a_bomb_is_not_unpacked() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spaces = " ".repeat(100_000_000);
    write_tgz(
        user.path(),
        "de-en.tgz",
        &[("de-en/train.tags.de-en.de", spaces.clone())],
    );
    let error =
        TranslationCorpus::Iwslt14DeEn.prepare(Some(user.path()), cache.path(), &mut |_| ());
    let message = error.unwrap_err().to_string();
    assert!(message.contains("which no text does"), "{message}");
    let train = user.path().join("train.de.gz");
    let mut gz = GzEncoder::new(File::create(&train).unwrap(), Compression::fast());
    gz.write_all(spaces.as_bytes()).unwrap();
    gz.finish().unwrap();
    for name in [
        "train.en",
        "val.de",
        "val.en",
        "test_2016_flickr.de",
        "test_2016_flickr.en",
    ] {
        write(user.path(), name, "a\n");
    }
    let multi30k = || {
        let error =
            TranslationCorpus::Multi30kDeEn.prepare(Some(user.path()), cache.path(), &mut |_| ());
        error.unwrap_err().to_string()
    };
    let message = multi30k();
    assert!(message.contains("which no text does"), "{message}");
    // Nor is what is no gzip taken for it, whatever its name.
    fs::write(&train, b"\x8f\x01\x02 random").unwrap();
    let message = multi30k();
    assert!(
        message.contains("train.de.gz: expected UTF-8 text, found another byte at offset 0: 8f; it is not gzip-compressed either"),
        "{message}"
    );
    fs::write(&train, b"PK\x03\x04").unwrap();
    assert!(multi30k().contains("a zip archive"), "{}", multi30k());
}

#[test]
fn sides_of_unlike_length_and_missing_texts_are_told() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let corpus = TranslationCorpus::Multi30kDeEn;
    let message = || {
        corpus
            .prepare(Some(user.path()), cache.path(), &mut |_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(message().contains("no raw/train.de;"), "{}", message());
    assert!(message().contains("prepare --from DIR` with a folder that holds train.de.gz"));

    for split in ["train", "val", "test_2016_flickr"] {
        write(user.path(), &format!("{split}.de"), "a\nb\n");
        write(user.path(), &format!("{split}.en"), "a\n");
    }
    assert!(message().contains("has 2 sentences"), "{}", message());
    assert!(
        message().contains("has 1: they do not belong together"),
        "{}",
        message()
    );

    let message = corpus.load(None, cache.path()).unwrap_err().to_string();
    assert!(
        message.starts_with("Multi30k task 1 not found in"),
        "{message}"
    );
    assert!(message.contains("run `prepare`"), "{message}");
}

#[test]
fn a_damaged_archive_is_told() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    iwslt14_tgz(user.path(), 1697);
    let path = user.path().join("de-en.tgz");
    let bytes = fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"<html>moved</html>"] {
        fs::write(&path, damaged).unwrap();
        let error = TranslationCorpus::Iwslt14DeEn
            .prepare(Some(user.path()), cache.path(), &mut |_| ())
            .unwrap_err();
        assert!(matches!(error, Error::BadArchive { .. }), "{error}");
    }
}

#[test]
fn wmt17_is_prepared_as_fairseq_does() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = |name: &str, n: usize| -> String {
        (1..=n)
            .map(|i| format!("{name} „well-known“ \u{200b}{i}\n"))
            .collect()
    };
    let sides = |path: &str, n: usize| {
        ["en", "de"].map(|language| (format!("{path}.{language}"), text(path, n)))
    };
    for (archive, path, n) in [
        (
            "training-parallel-europarl-v7.tgz",
            "training/europarl-v7.de-en",
            150,
        ),
        ("training-parallel-commoncrawl.tgz", "commoncrawl.de-en", 40),
        (
            "training-parallel-nc-v12.tgz",
            "training/news-commentary-v12.de-en",
            30,
        ),
    ] {
        let members = sides(path, n);
        let members = members
            .each_ref()
            .map(|(name, text)| (name.as_str(), text.clone()));
        write_tgz(user.path(), archive, &members);
    }
    let members = [
        (
            "test-full/newstest2014-deen-src.en.sgm",
            segments(3003, "It’s „new“"),
        ),
        (
            "test-full/newstest2014-deen-ref.de.sgm",
            segments(3003, "Es ist „neu“"),
        ),
    ];
    write_tgz(user.path(), "test-full.tgz", &members);

    let corpus = TranslationCorpus::Wmt17EnDe;
    let pairs = corpus.load(Some(user.path()), cache.path()).unwrap();
    // Every 100th of 220; cleaning waits for the pieces.
    assert_eq!(
        (pairs.train.len(), pairs.valid.len(), pairs.test.len()),
        (218, 2, 3003)
    );
    assert_eq!(
        pairs.train[0].0,
        "training / europarl @-@ v7.de @-@ en &quot; well @-@ known &quot; 1"
    );
    assert_eq!(pairs.test[4].0, "It &apos;s „ new “ 5 .");
    let cleaning = corpus.cleaning_by_pieces().unwrap();
    assert_eq!(
        cleaning,
        Cleaning {
            ratio: 1.5,
            min: 1,
            max: 250
        }
    );
    assert_eq!(TranslationCorpus::Iwslt14DeEn.cleaning_by_pieces(), None);
    let cleaned = pairs
        .clone()
        .cleaned(&cleaning, |_| 10, |line| line.len() / 4);
    assert!(cleaned.train.len() < pairs.train.len());
    assert_eq!(cleaned.test.len(), 3003);
}

#[test]
fn wmt16_takes_zip_and_both_spellings() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lines = |n: usize| -> String { (1..=n).map(|i| format!("Propoziția {i}\n")).collect() };
    let members = ["ro", "en"].map(|language| {
        (
            format!("training-parallel-ep-v8/europarl-v8.ro-en.{language}"),
            lines(5),
        )
    });
    let members = members
        .each_ref()
        .map(|(name, text)| (name.as_str(), text.clone()));
    write_tgz(user.path(), "training-parallel-ep-v8.tgz", &members);
    let mut zip = ZipWriter::new(File::create(user.path().join("en-ro.txt.zip")).unwrap());
    for name in ["README", "SETIMES.en-ro.ro", "SETIMES.en-ro.en"] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(lines(4).as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    write(user.path(), "newsdev2016.ro", &lines(1999));
    write(user.path(), "newsdev2016.en", &lines(1999));
    write(
        user.path(),
        "test/newstest2016-roen-src.ro.sgm",
        &segments(1999, "a"),
    );
    write(
        user.path(),
        "test/newstest2016-roen-ref.en.sgm",
        &segments(1999, "b"),
    );
    let pairs = TranslationCorpus::Wmt16RoEn
        .load(Some(user.path()), cache.path())
        .unwrap();
    let sizes = Split::ALL.map(|split| pairs.pairs(split).len());
    assert_eq!(sizes, [9, 1999, 1999]);
    assert_eq!(pairs.test[0], ("a 1 .".to_owned(), "b 1 .".to_owned()));
}

#[test]
fn iwslt17_and_wmt14_and_kftt_have_their_parts() {
    let (user, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| write(user.path(), name, text);
    // IWSLT 2017: seven sets for validation, the test's reference from the other direction.
    let sets = [888, 1568, 1433, 1700, 993, 1305, 1080];
    for (set, n) in [
        "dev2010", "tst2010", "tst2011", "tst2012", "tst2013", "tst2014", "tst2015",
    ]
    .into_iter()
    .zip(sets)
    {
        for language in ["de", "en"] {
            write(
                &format!("de-en/IWSLT17.TED.{set}.de-en.{language}.xml"),
                &segments(n, set),
            );
        }
    }
    for language in ["de", "en"] {
        let talk = "<doc docid=\"1\">\n<speaker>S</speaker>\nEin Satz.\n<translator href=\"x\">T</translator>\n</doc>\n";
        write(&format!("de-en/train.tags.de-en.{language}"), talk);
    }
    write(
        "de-en/IWSLT17.TED.tst2017.de-en.de.xml",
        &segments(3, "Satz"),
    );
    write(
        "en-de/IWSLT17.TED.tst2017.en-de.en.xml",
        &segments(3, "Sentence"),
    );
    let pairs = TranslationCorpus::Iwslt17DeEn
        .load(Some(user.path()), cache.path())
        .unwrap();
    assert_eq!(
        Split::ALL.map(|split| pairs.pairs(split).len()),
        [1, 8967, 3]
    );
    assert_eq!(pairs.train[0].0, "Ein Satz .");
    assert_eq!(
        pairs.test[2],
        ("Satz 3 .".to_owned(), "Sentence 3 .".to_owned())
    );

    // WMT 2014: newstest2013 for validation.
    for (path, n) in [
        ("training/europarl-v7.de-en", 2),
        ("commoncrawl.de-en", 1),
        ("training/news-commentary-v9.de-en", 1),
    ] {
        for language in ["en", "de"] {
            write(&format!("{path}.{language}"), &"word\n".repeat(n));
        }
    }
    write("dev/newstest2013-src.en.sgm", &segments(3000, "a"));
    write("dev/newstest2013-ref.de.sgm", &segments(3000, "b"));
    write(
        "test-full/newstest2014-deen-src.en.sgm",
        &segments(3003, "a"),
    );
    write(
        "test-full/newstest2014-deen-ref.de.sgm",
        &segments(3003, "b"),
    );
    let pairs = TranslationCorpus::Wmt14EnDe
        .load(Some(user.path()), cache.path())
        .unwrap();
    assert_eq!(
        Split::ALL.map(|split| pairs.pairs(split).len()),
        [4, 3000, 3003]
    );

    // KFTT is published tokenised and is left as it is.
    for (set, n) in [("train.cln", 329_882), ("dev", 1166), ("test", 1160)] {
        for language in ["ja", "en"] {
            let text = "京都 's 123 .\n".repeat(n);
            write(
                &format!("kftt-data-1.0/data/tok/kyoto-{set}.{language}"),
                &text,
            );
        }
    }
    let inner = user.path().join("kftt-data-1.0");
    let pairs = TranslationCorpus::KfttJaEn
        .load(Some(&inner), cache.path())
        .unwrap();
    assert_eq!(pairs.test[0].0, "京都 's 123 .");
}

#[test]
fn names_parse_and_the_shipped_ones_need_no_files() {
    for corpus in TranslationCorpus::ALL {
        assert_eq!(corpus.name().parse::<TranslationCorpus>().unwrap(), corpus);
    }
    let message = "iwslt15"
        .parse::<TranslationCorpus>()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("known corpora: libreoffice-help, "),
        "{message}"
    );
    let nowhere = Path::new("unused");
    let shipped = TranslationCorpus::LibreofficeHelp;
    assert_eq!(shipped.prepare(None, nowhere, &mut |_| ()).unwrap(), None);
    assert_eq!(shipped.load(None, nowhere).unwrap().name, shipped.name());
}

/// What a user types becomes what the prepared sentences are.
#[test]
fn typed_text_is_prepared_like_the_corpus() {
    let prepare =
        |corpus: TranslationCorpus, language, line| corpus.preparer(language).prepare(line);
    let line = "Er sagt: „Well-known“, 5 % usw. (z.B.) 'Ja.'";
    assert_eq!(
        prepare(TranslationCorpus::Iwslt14DeEn, Language::De, line),
        "er sagt : „ well-known “ , 5 % usw. ( z.b. ) &apos; ja . &apos;"
    );
    assert_eq!(
        prepare(TranslationCorpus::Multi30kDeEn, Language::De, line),
        "er sagt : &quot; well-known &quot; , 5 % usw. ( z.b. ) &apos; ja . &apos;"
    );
    assert_eq!(
        prepare(
            TranslationCorpus::Wmt17EnDe,
            Language::En,
            "A well-known “quote”."
        ),
        "A well @-@ known “ quote ” ."
    );
    assert_eq!(
        prepare(TranslationCorpus::KfttJaEn, Language::Ja, " 京都 の  寺 "),
        "京都 の 寺"
    );

    let (raw, tokens) = (
        libreoffice_help().unwrap(),
        libreoffice_help().unwrap().tokenized(true),
    );
    let preparer = TranslationCorpus::LibreofficeHelp.preparer(Language::De);
    for (raw, tokens) in raw.train.iter().zip(&tokens.train) {
        assert_eq!(preparer.prepare(&raw.0), tokens.0);
    }
}

#[test]
fn cleaning_counts_words() {
    let cleaning = Cleaning {
        ratio: 1.5,
        min: 1,
        max: 175,
    };
    assert!(cleaning.keeps(3, 2) && cleaning.keeps(2, 3) && cleaning.keeps(175, 175));
    assert!(!cleaning.keeps(4, 2) && !cleaning.keeps(0, 1) && !cleaning.keeps(176, 175));
}

/// The published files, not shipped; word counts as its authors give them.
#[test]
#[ignore = "needs SPARTA_MULTI30K=DIR with raw/train.de.gz and the others"]
fn multi30k_has_the_published_word_counts() {
    let dir = std::env::var("SPARTA_MULTI30K").expect("set SPARTA_MULTI30K=DIR");
    let cache = tempfile::tempdir().unwrap();
    let corpus = TranslationCorpus::Multi30kDeEn;
    let pairs = corpus.load(Some(Path::new(&dir)), cache.path()).unwrap();
    let counts = Split::ALL.map(|split| {
        pairs.pairs(split).iter().fold((0, 0), |(de, en), pair| {
            (
                de + pair.0.split_whitespace().count(),
                en + pair.1.split_whitespace().count(),
            )
        })
    });
    assert_eq!(
        counts,
        [(360_706, 377_534), (12_828, 13_308), (12_103, 12_968)]
    );
}

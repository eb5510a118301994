//! The files of patterns and masks, and what is said of bad ones.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use sparta_ops::pruning::{
    AttentionPattern, AttentionType, GlobalMask, Padding, PatternHeader, Placement, PruningError,
    Scope, Semantics, Valid,
};

use super::{SELF, altered, full_grid, generic_pattern, lm_grid, of_earlier_version};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn mask() -> GlobalMask {
    let pattern = generic_pattern(2, lm_grid(3, 5, 66));
    GlobalMask::from_pattern(&pattern, 0.35, Scope::Head, Semantics::Corrected).unwrap()
}

#[test]
fn a_pattern_reads_back() {
    let folder = Folder::new();
    let header = PatternHeader::new("corpus \"A\"\\\n\t", "модель")
        .with_layers(AttentionType::EncoderSelf, 2, full_grid(2, 3, 3))
        .with(AttentionType::Cross, 7, full_grid(1, 3, 5))
        .with_padding(Padding::AveragedIn);
    let mut pattern = AttentionPattern::new(header);
    let placement = Placement::at(1, 0).with_valid(vec![Valid::first(1, 2)]);
    pattern
        .observe(
            AttentionType::Cross,
            7,
            &[0.1, 0.9, 0.0],
            [1, 1, 1, 3],
            &placement,
        )
        .unwrap();
    pattern.save(folder.path("pattern")).unwrap();
    let loaded = AttentionPattern::load(folder.path("pattern")).unwrap();
    assert_eq!(loaded, pattern);
    assert!(loaded.padding_seen());
    assert_eq!(loaded.header().model, "модель");
}

#[test]
fn masks_read_back_and_their_bytes_do_not_change() {
    let folder = Folder::new();
    for mask in [mask(), GlobalMask::random_like(&mask(), u64::MAX)] {
        mask.save(folder.path("a")).unwrap();
        mask.save(folder.path("b")).unwrap();
        assert_eq!(GlobalMask::load(folder.path("a")).unwrap(), mask);
        assert_eq!(
            fs::read(folder.path("a")).unwrap(),
            fs::read(folder.path("b")).unwrap()
        );
    }
    let names: Vec<_> = fs::read_dir(folder.0.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "no temporary file is left: {names:?}");
}

#[test]
fn a_file_without_layers_reads_back() {
    let folder = Folder::new();
    let pattern = AttentionPattern::new(PatternHeader::new("c", "m"));
    pattern.save(folder.path("pattern")).unwrap();
    assert_eq!(
        AttentionPattern::load(folder.path("pattern")).unwrap(),
        pattern
    );
}

#[test]
fn any_safetensors_reader_opens_a_mask() {
    let folder = Folder::new();
    mask().save(folder.path("mask")).unwrap();
    let bytes = fs::read(folder.path("mask")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!(metadata["kind"], "ap");
    assert_eq!(metadata["p"], "0.35");
    assert_eq!(
        metadata["grid.decoder-self.1"],
        "heads=3 rows=5 cols=71 rule=causal:66"
    );
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(
        tensors.tensor("decoder-self.1.hidden").unwrap().shape(),
        [3, 5, 2]
    );
}

#[test]
fn every_truncation_is_an_error() {
    let folder = Folder::new();
    let path = folder.path("mask");
    mask().save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = GlobalMask::load(&path).unwrap_err();
        assert!(
            matches!(error, PruningError::Corrupt { .. }),
            "{length}: {error}"
        );
        assert!(
            error.to_string().contains("truncated or altered"),
            "{error}"
        );
    }
}

#[test]
fn one_altered_bit_is_an_error() {
    let folder = Folder::new();
    let path = folder.path("pattern");
    generic_pattern(1, full_grid(1, 4, 4)).save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for back in [1, 8, 100] {
        let mut altered = bytes.clone();
        altered[bytes.len() - back] ^= 1;
        fs::write(&path, altered).unwrap();
        let error = AttentionPattern::load(&path).unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }
}

/// The checksum left the header out: a mask of p = 0.35 was read as one of 0.36.
#[test]
fn an_altered_header_is_an_error() {
    let folder = Folder::new();
    let path = folder.path("file");
    mask().save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, altered(&bytes, r#""p":"0.35""#, r#""p":"0.36""#)).unwrap();
    let error = GlobalMask::load(&path).unwrap_err();
    assert!(matches!(error, PruningError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");

    let pattern = generic_pattern(1, full_grid(1, 4, 4));
    pattern.save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for (old, new) in [
        (r#""corpus":"corpus""#, r#""corpus":"corpse""#),
        (r#""model":"model""#, r#""model":"medal""#),
    ] {
        fs::write(&path, altered(&bytes, old, new)).unwrap();
        let error = AttentionPattern::load(&path).unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }
}

#[test]
fn files_of_earlier_versions_are_read() {
    let folder = Folder::new();
    let path = folder.path("file");
    let older = || {
        let bytes = fs::read(&path).unwrap();
        let older = of_earlier_version(&bytes);
        assert_eq!(older.len(), bytes.len());
        fs::write(&path, older).unwrap();
    };
    mask().save(&path).unwrap();
    older();
    assert_eq!(GlobalMask::load(&path).unwrap(), mask());
    let pattern = generic_pattern(1, full_grid(1, 4, 4));
    pattern.save(&path).unwrap();
    older();
    assert_eq!(AttentionPattern::load(&path).unwrap(), pattern);
}

#[test]
fn another_version_format_or_path() {
    let folder = Folder::new();
    let path = folder.path("mask");
    mask().save(&path).unwrap();
    let error = AttentionPattern::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("should be a sparta-attention-pattern file"),
        "{error}"
    );
    assert!(error.contains("says `sparta-global-mask`"), "{error}");

    let bytes = fs::read(&path).unwrap();
    let (old, new) = (br#""version":"1""#, br#""version":"9""#);
    let at = bytes.windows(old.len()).position(|w| w == old).unwrap();
    fs::write(
        &path,
        [&bytes[..at], new, &bytes[at + old.len()..]].concat(),
    )
    .unwrap();
    let error = GlobalMask::load(&path).unwrap_err();
    assert!(
        matches!(error, PruningError::Version { supported: 1, .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("of version `9`, and this build reads version 1"),
        "{error}"
    );

    let error = GlobalMask::load(folder.path("nothing"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read `") && error.contains("nothing"),
        "{error}"
    );
    // What never was a mask is not to be deleted.
    for bytes in [
        b"these are not tensors, and there are more than eight bytes".as_slice(),
        b"ok\n",
        b"\x1f\x8b\x08\0\0\0\0\0\x02\x03",
        b"PK\x03\x04\x14\0\0\0\x08\0",
    ] {
        fs::write(&path, bytes).unwrap();
        let error = GlobalMask::load(&path).unwrap_err();
        assert!(matches!(error, PruningError::WrongFormat { .. }), "{error}");
        let said = error.to_string();
        assert!(
            said.contains("should be a sparta-global-mask file, but it is no safetensors file"),
            "{said}"
        );
        assert!(!said.contains("delete"), "{said}");
    }
    let other = safetensors::serialize(
        std::iter::empty::<(&str, safetensors::tensor::TensorView<'_>)>(),
        None,
    );
    fs::write(&path, other.unwrap()).unwrap();
    assert!(matches!(
        GlobalMask::load(&path),
        Err(PruningError::WrongFormat { .. })
    ));
}

#[test]
fn a_failed_save_keeps_the_old_file_and_leaves_nothing() {
    let folder = Folder::new();
    let error = mask()
        .save(folder.path("missing/mask"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot write `"), "{error}");
    // A folder of that name cannot be replaced by a file.
    fs::create_dir(folder.path("mask")).unwrap();
    assert!(mask().save(folder.path("mask")).is_err());
    let names: Vec<_> = fs::read_dir(folder.0.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["mask"]);
}

proptest! {
    #[test]
    fn free_words_survive(corpus in ".*", model in any::<String>()) {
        let folder = Folder::new();
        let header = PatternHeader::new(corpus, model).with(SELF, 0, full_grid(1, 1, 1));
        let pattern = AttentionPattern::new(header);
        pattern.save(folder.path("pattern")).unwrap();
        prop_assert_eq!(AttentionPattern::load(folder.path("pattern")).unwrap(), pattern);
    }
}

/// A layer of no cells may have as many heads or rows as it likes in a file of a few bytes: memory for all of them was
/// asked for, or a loop of years begun.
#[test]
fn a_grid_without_cells_is_refused() {
    let folder = Folder::new();
    let path = folder.path("mask");
    for (grid, shape) in [
        ("heads=1099511627776 rows=0 cols=0", "[1099511627776,0,0]"),
        ("heads=1099511627776 rows=1 cols=0", "[1099511627776,1,0]"),
        ("heads=0 rows=1099511627776 cols=0", "[0,1099511627776,0]"),
    ] {
        let header = format!(
            r#"{{"__metadata__":{{"format":"sparta-global-mask","version":"1","checksum":"cbf29ce484222325","kind":"ap","p":"0.5","scope":"head","semantics":"corrected","corpus":"c","model":"m","grid.cross.0":"{grid} rule=full"}},"cross.0.hidden":{{"dtype":"U64","shape":{shape},"data_offsets":[0,0]}},"cross.0.observed":{{"dtype":"U64","shape":[1,0],"data_offsets":[0,0]}}}}"#
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        fs::write(&path, bytes).unwrap();
        let error = GlobalMask::load(&path).unwrap_err();
        assert!(matches!(error, PruningError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(grid), "{error}");
    }
}

/// The reason stands in the message; as a cause beside it, it would be printed twice.
#[test]
fn a_reason_is_said_once() {
    let error = GlobalMask::load(Folder::new().path("nowhere")).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
    assert!(std::error::Error::source(&error).is_none());
}

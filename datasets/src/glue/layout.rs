//! The published tables: files, headers, columns and sizes.

use super::GlueTask;

/// One published file.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartFile {
    /// The part's name.
    pub part: &'static str,
    /// File name.
    pub file: &'static str,
    /// Names of the columns; those of the header where there is one.
    pub columns: &'static [&'static str],
    /// Whether the first line has the names of the columns.
    pub has_header: bool,
    /// Column of the first text.
    pub first: usize,
    /// Column of the second text.
    pub second: Option<usize>,
    /// Column of the label.
    pub label: Option<usize>,
    /// Published number of examples.
    pub n_examples: usize,
}

impl PartFile {
    const fn table(
        (part, file, n_examples): (&'static str, &'static str, usize),
        columns: &'static [&'static str],
        (first, second): (usize, Option<usize>),
        label: Option<usize>,
    ) -> Self {
        Self {
            part,
            file,
            columns,
            has_header: true,
            first,
            second,
            label,
            n_examples,
        }
    }

    const fn without_header(self) -> Self {
        Self {
            has_header: false,
            ..self
        }
    }
}

const COLA: &[&str] = &["source", "label", "mark", "sentence"];
const SST2: &[&str] = &["sentence", "label"];
const ONE_TEXT: &[&str] = &["index", "sentence"];
/// Of the train and dev files of MRPC, in either published form.
pub(super) const MRPC: &[&str] = &["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"];
const MRPC_TEST: &[&str] = &["index", "#1 ID", "#2 ID", "#1 String", "#2 String"];
const QQP: &[&str] = &[
    "id",
    "qid1",
    "qid2",
    "question1",
    "question2",
    "is_duplicate",
];
const QQP_TEST: &[&str] = &["id", "question1", "question2"];
const STSB: &[&str] = &[
    "index",
    "genre",
    "filename",
    "year",
    "old_index",
    "source1",
    "source2",
    "sentence1",
    "sentence2",
    "score",
];
const MNLI_TEST: &[&str] = &[
    "index",
    "promptID",
    "pairID",
    "genre",
    "sentence1_binary_parse",
    "sentence2_binary_parse",
    "sentence1_parse",
    "sentence2_parse",
    "sentence1",
    "sentence2",
];
const MNLI: &[&str] = &[
    "index",
    "promptID",
    "pairID",
    "genre",
    "sentence1_binary_parse",
    "sentence2_binary_parse",
    "sentence1_parse",
    "sentence2_parse",
    "sentence1",
    "sentence2",
    "label1",
    "gold_label",
];
const MNLI_DEV: &[&str] = &[
    "index",
    "promptID",
    "pairID",
    "genre",
    "sentence1_binary_parse",
    "sentence2_binary_parse",
    "sentence1_parse",
    "sentence2_parse",
    "sentence1",
    "sentence2",
    "label1",
    "label2",
    "label3",
    "label4",
    "label5",
    "gold_label",
];
const QNLI: &[&str] = &["index", "question", "sentence", "label"];
const QNLI_TEST: &[&str] = &["index", "question", "sentence"];
const PAIR: &[&str] = &["index", "sentence1", "sentence2", "label"];
const PAIR_TEST: &[&str] = &["index", "sentence1", "sentence2"];

const COLA_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 8_551), COLA, (3, None), Some(1)).without_header(),
    PartFile::table(("dev", "dev.tsv", 1_043), COLA, (3, None), Some(1)).without_header(),
    PartFile::table(("test", "test.tsv", 1_063), ONE_TEXT, (1, None), None),
];
const SST2_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 67_349), SST2, (0, None), Some(1)),
    PartFile::table(("dev", "dev.tsv", 872), SST2, (0, None), Some(1)),
    PartFile::table(("test", "test.tsv", 1_821), ONE_TEXT, (1, None), None),
];
const MRPC_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 3_668), MRPC, (3, Some(4)), Some(0)),
    PartFile::table(("dev", "dev.tsv", 408), MRPC, (3, Some(4)), Some(0)),
    PartFile::table(("test", "test.tsv", 1_725), MRPC_TEST, (3, Some(4)), None),
];
const QQP_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 363_846), QQP, (3, Some(4)), Some(5)),
    PartFile::table(("dev", "dev.tsv", 40_430), QQP, (3, Some(4)), Some(5)),
    PartFile::table(("test", "test.tsv", 390_965), QQP_TEST, (1, Some(2)), None),
];
const STSB_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 5_749), STSB, (7, Some(8)), Some(9)),
    PartFile::table(("dev", "dev.tsv", 1_500), STSB, (7, Some(8)), Some(9)),
    PartFile::table(
        ("test", "test.tsv", 1_379),
        STSB.split_at(9).0,
        (7, Some(8)),
        None,
    ),
];
const MNLI_FILES: &[PartFile] = &[
    PartFile::table(
        ("train", "train.tsv", 392_702),
        MNLI,
        (8, Some(9)),
        Some(11),
    ),
    PartFile::table(
        ("dev-matched", "dev_matched.tsv", 9_815),
        MNLI_DEV,
        (8, Some(9)),
        Some(15),
    ),
    PartFile::table(
        ("dev-mismatched", "dev_mismatched.tsv", 9_832),
        MNLI_DEV,
        (8, Some(9)),
        Some(15),
    ),
    PartFile::table(
        ("test-matched", "test_matched.tsv", 9_796),
        MNLI_TEST,
        (8, Some(9)),
        None,
    ),
    PartFile::table(
        ("test-mismatched", "test_mismatched.tsv", 9_847),
        MNLI_TEST,
        (8, Some(9)),
        None,
    ),
];
const QNLI_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 104_743), QNLI, (1, Some(2)), Some(3)),
    PartFile::table(("dev", "dev.tsv", 5_463), QNLI, (1, Some(2)), Some(3)),
    PartFile::table(("test", "test.tsv", 5_463), QNLI_TEST, (1, Some(2)), None),
];
const RTE_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 2_490), PAIR, (1, Some(2)), Some(3)),
    PartFile::table(("dev", "dev.tsv", 277), PAIR, (1, Some(2)), Some(3)),
    PartFile::table(("test", "test.tsv", 3_000), PAIR_TEST, (1, Some(2)), None),
];
const WNLI_FILES: &[PartFile] = &[
    PartFile::table(("train", "train.tsv", 635), PAIR, (1, Some(2)), Some(3)),
    PartFile::table(("dev", "dev.tsv", 71), PAIR, (1, Some(2)), Some(3)),
    PartFile::table(("test", "test.tsv", 146), PAIR_TEST, (1, Some(2)), None),
];

/// The files of a task: train, dev, test. Sizes are those of the release of 2019 and after (QNLI
/// v2, QQP without broken rows).
pub(super) const fn files(task: GlueTask) -> &'static [PartFile] {
    match task {
        GlueTask::Cola => COLA_FILES,
        GlueTask::Sst2 => SST2_FILES,
        GlueTask::Mrpc => MRPC_FILES,
        GlueTask::Qqp => QQP_FILES,
        GlueTask::Stsb => STSB_FILES,
        GlueTask::Mnli => MNLI_FILES,
        GlueTask::Qnli => QNLI_FILES,
        GlueTask::Rte => RTE_FILES,
        GlueTask::Wnli => WNLI_FILES,
    }
}

/// Whether rows without all columns are left out, as BERT's and later readers do: the first release
/// of QQP has questions with line breaks in them.
pub(super) const fn skips_short_rows(task: GlueTask) -> bool {
    match task {
        GlueTask::Qqp => true,
        GlueTask::Cola | GlueTask::Sst2 | GlueTask::Mrpc | GlueTask::Stsb => false,
        GlueTask::Mnli | GlueTask::Qnli | GlueTask::Rte | GlueTask::Wnli => false,
    }
}

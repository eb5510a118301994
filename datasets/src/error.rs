//! The one error type of the crate; every message says what was asked, what was found, what to do.

use std::io;
use std::path::PathBuf;

use crate::Split;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between a corpus file and a batch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was being done, as a verb: `read`, `create`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },

    /// A corpus name nobody knows.
    #[error("unknown corpus `{name}`; known corpora: {known}")]
    UnknownCorpus {
        /// What was asked.
        name: String,
        /// The names that exist.
        known: String,
    },

    /// The files of a corpus are not where they were looked for.
    #[error("{corpus} not found in {}: {found}; {next}", dir.display())]
    MissingCorpus {
        /// Published name of the corpus.
        corpus: &'static str,
        /// The folder that was searched.
        dir: PathBuf,
        /// What is missing, or lies there instead.
        found: String,
        /// What to do.
        next: String,
    },

    /// A corpus file is there, but it is not the published one.
    #[error("wrong file {}: expected {expected}, found {found}; {next}", path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// What the published file has.
        expected: String,
        /// What this file has.
        found: String,
        /// What to do.
        next: String,
    },

    /// An archive could not be unpacked.
    #[error("cannot unpack {}: {cause}; delete it and fetch it again", path.display())]
    BadArchive {
        /// The archive.
        path: PathBuf,
        /// What the decoder said.
        cause: String,
    },

    /// What was in the cache is not what it should be, and lies under another name now.
    #[error("{}; it is set aside as {}, and the next `prepare` fetches it again", cause.problem(), kept.display())]
    SetAside {
        /// What is wrong with it.
        cause: Box<Error>,
        /// Where it is now.
        kept: PathBuf,
    },

    /// The corpus compiled into the program does not decode: a broken build.
    #[error(
        "the built-in corpus {name} is damaged: {cause}; check out datasets/data again and rebuild"
    )]
    DamagedBuiltin {
        /// File name in `datasets/data`.
        name: &'static str,
        /// What the decoder said.
        cause: String,
    },

    /// No cache folder can be derived from the environment.
    #[error("no cache folder: neither SPARTA_CACHE nor {looked_for} is set; set SPARTA_CACHE=DIR")]
    NoCacheDir {
        /// The platform's variables that were tried.
        looked_for: &'static str,
    },

    /// All mirrors of a file failed.
    #[error(
        "could not download {file}: {tried}; fetch it by hand and run `prepare --from DIR`, or set SPARTA_CACHE=DIR to a cache that has it"
    )]
    DownloadFailed {
        /// Name of the file.
        file: String,
        /// One `url: reason` for each mirror, separated by `; `.
        tried: String,
    },

    /// A file is not what it was when it was first downloaded.
    #[error(
        "{url} gives other bytes than at the first download: sha256 {found}, recorded {recorded}; if the change is wanted, delete {}",
        record.display()
    )]
    ChangedDownload {
        /// Its address.
        url: String,
        /// Hexadecimal sha256 of what it gives now.
        found: String,
        /// Hexadecimal sha256 of the first download.
        recorded: String,
        /// Where that is recorded.
        record: PathBuf,
    },

    /// The program was built without the `download` feature.
    #[error("{corpus} is not in {} and this build cannot download; rebuild with `--features download` or run `prepare --from DIR`", cache.display())]
    DownloadNotCompiled {
        /// Published name of the corpus.
        corpus: &'static str,
        /// The cache folder.
        cache: PathBuf,
    },

    /// A file has another checksum than it should.
    #[error("{} has sha256 {found}, expected {expected}; delete it and fetch it again", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Hexadecimal sha256 that was asked for.
        expected: String,
        /// Hexadecimal sha256 of the file.
        found: String,
    },

    /// A file is no token store, or one of another version.
    #[error("{} is not a token store of version {expected} ({found}); delete it and run `prepare` again", path.display())]
    NotATokenStore {
        /// The file.
        path: PathBuf,
        /// The version this build writes.
        expected: u32,
        /// What was found at the start of the file.
        found: String,
    },

    /// A token store has fewer or more bytes than its header says.
    #[error("token store {} is truncated: its header says {expected} tokens, the file holds {found}; delete it and run `prepare` again", path.display())]
    TruncatedTokenStore {
        /// The file.
        path: PathBuf,
        /// Tokens by the header.
        expected: u64,
        /// Whole tokens in the file.
        found: u64,
    },

    /// A token store's content does not match its checksum.
    #[error("token store {} was altered: payload sha256 is {found}, its header says {expected}; delete it and run `prepare` again", path.display())]
    AlteredTokenStore {
        /// The file.
        path: PathBuf,
        /// Hexadecimal sha256 in the header.
        expected: String,
        /// Hexadecimal sha256 of the payload.
        found: String,
    },

    /// A token store was written with another tokenizer.
    #[error("token store {} was made by tokenizer {found}, this run uses {expected}; delete it and run `prepare` again, or use the vocabulary it was made with", path.display())]
    OtherTokenizer {
        /// The file.
        path: PathBuf,
        /// Hash of the tokenizer in use.
        expected: String,
        /// Hash in the header.
        found: String,
    },

    /// A tokenizer hash that is not 64 hexadecimal digits.
    #[error("tokenizer hash `{found}` is not 64 hexadecimal digits; pass `Vocabulary::hash()`")]
    BadTokenizerHash {
        /// What was passed.
        found: String,
    },

    /// A vocabulary file that cannot be used.
    #[error("vocabulary file {}: {problem}; delete it and run `prepare` again", path.display())]
    BadVocabulary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// A vocabulary limit that leaves no room for a word.
    #[error(
        "vocabulary of at most {max_size} entries asked; <unk> and <eos> take two, so use 3 or more"
    )]
    VocabularyTooSmall {
        /// The limit that was asked for.
        max_size: usize,
    },

    /// A language code nobody knows.
    #[error(
        "unknown language `{code}`: use two letters of ISO 639-1, such as `nl`; those with rules of their own are {known}"
    )]
    UnknownLanguage {
        /// What was asked.
        code: String,
        /// The codes of those with rules.
        known: String,
    },

    /// Two sides of a parallel corpus that do not have the same number of sentences.
    #[error(
        "{left} has {n_left} sentences, {right} has {n_right}: they do not belong together; delete the files and run `prepare` again"
    )]
    UnmatchedPairs {
        /// One side.
        left: String,
        /// Its sentences.
        n_left: usize,
        /// The other side.
        right: String,
        /// Its sentences.
        n_right: usize,
    },

    /// Two files of the user's that do not have the same number of lines.
    #[error(
        "{} has {n_left} lines and {} has {n_right}: line by line they are each other's translation, so that neither may have more; look \
         where they part, e.g. by `paste`", left.display(), right.display()
    )]
    UnequalSides {
        /// One side.
        left: PathBuf,
        /// Its lines.
        n_left: usize,
        /// The other side.
        right: PathBuf,
        /// Its lines.
        n_right: usize,
    },

    /// A corpus split does not have the published number of sentences.
    #[error(
        "{corpus}: {split} has {found} sentence pairs, the published one has {expected}; get the published files and prepare again"
    )]
    WrongSize {
        /// Published name of the corpus.
        corpus: &'static str,
        /// The split.
        split: Split,
        /// Published number of pairs.
        expected: usize,
        /// Number of pairs found.
        found: usize,
    },

    /// A sentence that fits into no batch.
    #[error(
        "sentence pair {index} has {length} tokens, more than max_tokens = {max_tokens}; raise max_tokens or drop long pairs"
    )]
    SentenceTooLong {
        /// Index of the pair.
        index: usize,
        /// Tokens of its longer side.
        length: usize,
        /// The limit.
        max_tokens: usize,
    },

    /// Batch limits that allow no batch.
    #[error(
        "cannot make batches of max_tokens = {max_tokens}, max_sentences = {max_sentences:?}, multiple_of = {multiple_of}: each must be at least 1"
    )]
    BadBucket {
        /// Tokens asked for.
        max_tokens: usize,
        /// Sentences asked for.
        max_sentences: Option<usize>,
        /// Multiple asked for.
        multiple_of: usize,
    },

    /// A file of merges that cannot be used.
    #[error("BPE codes {origin}: {problem}; learn them again, or name a codes file of subword-nmt")]
    BadBpeCodes {
        /// Where the merges came from.
        origin: String,
        /// What is wrong with them.
        problem: String,
    },

    /// A text without a pair of symbols to merge.
    #[error(
        "no merges can be learned from {n_words} different words, none of two characters or more; pass a tokenised text"
    )]
    NothingToLearn {
        /// Different words seen.
        n_words: usize,
    },

    /// A dictionary limit that leaves no room for a symbol.
    #[error(
        "dictionary of at most {max_size} entries asked; <s>, <pad>, </s> and <unk> take four, so use 5 or more"
    )]
    DictionaryTooSmall {
        /// The limit that was asked for.
        max_size: usize,
    },

    /// A token id outside the vocabulary.
    #[error(
        "token id {id} is outside the vocabulary of {len} words; decode with the vocabulary the ids were made with"
    )]
    UnknownId {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        len: usize,
    },

    /// A file that is not a tokenizer of an encoder.
    #[error(
        "tokenizer {origin}: {problem}; use the tokenizer.json or vocab.txt published with an encoder, such as BERT, MiniLM, DistilBERT or RoBERTa"
    )]
    BadTokenizer {
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A special token that a task needs and a tokenizer does not have.
    #[error(
        "tokenizer {origin} has no {role} token, which {needed_by} needs; use the tokenizer of a model that was trained with one"
    )]
    NoSpecialToken {
        /// Where the tokenizer came from.
        origin: String,
        /// What the token is for: `mask`.
        role: &'static str,
        /// What asked for it.
        needed_by: &'static str,
    },

    /// Fractions that hide no token or more than there are.
    #[error(
        "cannot hide {fraction} of the tokens, {mask} of these by the mask token and {random} by random tokens: use a fraction above 0 and at most 1, and two parts of at least 0 whose sum is at most 1"
    )]
    BadMasking {
        /// Fraction of the tokens that is chosen.
        fraction: f64,
        /// Fraction of the chosen ones that becomes the mask token.
        mask: f64,
        /// Fraction of the chosen ones that becomes a random token.
        random: f64,
    },

    /// A length that does not hold a tokenizer's special tokens.
    #[error(
        "at most {max_len} tokens asked, {n_special} are taken by [CLS] and [SEP]; use a greater max_len"
    )]
    TooShortForSpecial {
        /// Tokens asked for.
        max_len: usize,
        /// Special tokens of the example.
        n_special: usize,
    },

    /// A part that a corpus does not have.
    #[error("{corpus} has no part `{name}`; it has {known}")]
    UnknownPart {
        /// Name of the corpus.
        corpus: String,
        /// What was asked.
        name: String,
        /// The parts that exist.
        known: String,
    },

    /// A row of a table file that is not as published.
    #[error("wrong file {}, line {line}: expected {expected}, found {found}; {next}", path.display())]
    WrongRow {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the published file has there.
        expected: String,
        /// What this file has.
        found: String,
        /// What to do.
        next: String,
    },

    /// Lengths that leave a window no room for its paragraph.
    #[error(
        "cannot cut windows of {max_len} tokens every {stride} behind questions of {max_question}: use a stride of at least 1 and a max_len greater than max_question + {n_special}, the special tokens"
    )]
    BadWindow {
        /// Tokens of a window.
        max_len: usize,
        /// Tokens between the starts of windows.
        stride: usize,
        /// Tokens of a question at most.
        max_question: usize,
        /// Special tokens around question and paragraph.
        n_special: usize,
    },

    /// Batch settings that allow no batch.
    #[error("cannot make batches of {batch_size} examples in at most {max_len} tokens: {next}")]
    BadExamples {
        /// Examples asked for.
        batch_size: usize,
        /// Length asked for.
        max_len: usize,
        /// What to do.
        next: String,
    },

    /// Batch shape or text too small to make one batch.
    #[error("cannot make batches of {batch_size} × {tgt_len} from {n_tokens} tokens: {next}")]
    BadStream {
        /// Columns asked for.
        batch_size: usize,
        /// Target length asked for.
        tgt_len: usize,
        /// Tokens at hand.
        n_tokens: usize,
        /// What to do.
        next: String,
    },

    /// A token stream too short to count n-grams of, or to score.
    #[error(
        "asked for an n-gram model over {found} tokens, at least {needed} are needed: give more text"
    )]
    TooFewTokens {
        /// Tokens at hand.
        found: usize,
        /// Least number of tokens.
        needed: usize,
    },

    /// A token id outside the vocabulary of an n-gram model.
    #[error(
        "token id {id} at position {position}, but the vocabulary has {vocab_size} entries: encode the text with the vocabulary of the run"
    )]
    TokenOutOfVocabulary {
        /// The id found.
        id: u32,
        /// Its place in the stream.
        position: usize,
        /// Size of the vocabulary.
        vocab_size: usize,
    },

    /// A vocabulary that n-gram counts cannot hold.
    #[error(
        "asked for n-grams over a vocabulary of {found}; 1 to {max} entries are possible: cut the vocabulary"
    )]
    VocabularySize {
        /// Size asked for.
        found: usize,
        /// Largest size possible.
        max: usize,
    },
}

impl Error {
    /// Whether it says that the content of a file is not what it should be, however it came there.
    pub(crate) const fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::BadArchive { .. }
                | Self::WrongFile { .. }
                | Self::WrongRow { .. }
                | Self::WrongSize { .. }
                | Self::UnmatchedPairs { .. }
        )
    }

    /// What is wrong, where it is about content without what to do.
    pub(crate) fn problem(&self) -> String {
        match self {
            Self::BadArchive { path, cause } => {
                format!("cannot unpack {}: {cause}", path.display())
            }
            Self::WrongFile {
                path,
                expected,
                found,
                ..
            } => format!(
                "wrong file {}: expected {expected}, found {found}",
                path.display()
            ),
            Self::WrongRow {
                path,
                line,
                expected,
                found,
                ..
            } => format!(
                "wrong file {}, line {line}: expected {expected}, found {found}",
                path.display()
            ),
            Self::WrongSize {
                corpus,
                split,
                expected,
                found,
            } => format!(
                "{corpus}: {split} has {found} sentence pairs, the published one has {expected}"
            ),
            Self::UnmatchedPairs {
                left,
                n_left,
                right,
                n_right,
            } => format!(
                "{left} has {n_left} sentences, {right} has {n_right}: they do not belong together"
            ),
            other => other.to_string(),
        }
    }

    /// A closure for `map_err` that names the action and the file.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Io {
            action,
            path,
            cause,
        }
    }
}

//! The readers of outside data, each with files as users have them.

mod archives;
mod models;
mod own_files;
mod recipes;
mod records;
mod texts;
mod tokenizers;

use super::Target;

/// Every reader.
pub static TARGETS: &[Target] = &[
    recipes::LM,
    recipes::TRANSLATION,
    recipes::GLUE,
    recipes::SQUAD,
    recipes::MLM,
    recipes::WORDS,
    models::MASK,
    models::PATTERN,
    models::CHECKPOINT,
    models::SAFETENSORS,
    models::PYTORCH,
    models::BERT_CONFIG,
    records::RUN_RECORD,
    records::KEPT,
    records::FIGURE,
    records::BENCH,
    records::METRICS,
    records::STATUS,
    records::SCORES,
    texts::TOKEN_STORE,
    texts::VOCABULARY,
    texts::BPE_CODES,
    texts::DICTIONARY,
    texts::MOSES,
    texts::GLUE,
    texts::MRPC,
    texts::SQUAD,
    texts::PAIRS,
    own_files::TEXT,
    own_files::PAIRS,
    own_files::TABLE,
    own_files::QUESTIONS,
    tokenizers::TOKENIZER_JSON,
    tokenizers::VOCAB_TXT,
    tokenizers::CONFIGS,
    archives::ZIP,
    archives::TAR,
    archives::TAR_GZ,
    archives::GZIP,
];

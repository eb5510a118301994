//! Training and decoding beside PyTorch on the same processor: same weights, batches and threads, in turns, after the
//! losses (or the translations) of both were compared.
//!
//! ```text
//! cargo bench -p sparta-experiments --bench training [--features tch,…] [-- --device flex --filter train/lm
//!     --rounds 3 --steps 20 --peer PYTHON --out results/bench/DATE-MACHINE/training]
//! ```
//!
//! PYTHON is one with the packages of benches/peer/requirements.txt; `SPARTA_BENCH=training benches/peer/run MACHINE` makes it
//! and does it all. Ours are the recipes of the programs, opened and trained as those do. Rates are target tokens a second
//! (of a BERT its tokens, without padding). Without `--peer` ours is timed alone.

#[path = "../../../ops/benches/common/arguments.rs"]
mod arguments;
mod arithmetic;
mod compared;
mod decode;
mod options;
#[path = "../../../ops/benches/common/peer.rs"]
mod peer;
mod report;
mod train;

use anyhow::Result;
use options::Options;
use report::Report;
use sparta_experiments::task::glue::Glue;
use sparta_experiments::task::lm::LanguageModel;
use sparta_experiments::task::translation::Translation;
use sparta_model::layer::NormalizerConfig;

/// The trainings: the recipe with edits, and the normaliser of the variant.
const TRAININGS: [train::Case; 5] = [
    train::Case {
        name: "train/lm",
        compare: train::compare::<LanguageModel>,
        recipe: "small/lm",
        edits: &["data.valid_tokens=2000"],
        without_dropout: &[],
        normalizer: NormalizerConfig::Softmax,
        is_one_shape: true,
    },
    train::Case {
        name: "train/iwslt-softmax",
        compare: train::compare::<Translation>,
        recipe: "small/iwslt",
        edits: IWSLT,
        without_dropout: &["model.dropout=0"],
        normalizer: NormalizerConfig::Softmax,
        is_one_shape: false,
    },
    train::Case {
        name: "train/iwslt-entmax15",
        compare: train::compare::<Translation>,
        recipe: "small/iwslt",
        edits: IWSLT,
        without_dropout: &["model.dropout=0"],
        normalizer: NormalizerConfig::Entmax15,
        is_one_shape: false,
    },
    train::Case {
        name: "train/minilm-l3",
        compare: train::compare::<Glue>,
        recipe: "small/glue",
        edits: &[
            "head.pooling=first", // the one that transformers has
            "data.train_examples=2000",
            "data.valid_examples=32",
            "data.test_examples=32",
        ],
        without_dropout: &[],
        normalizer: NormalizerConfig::Softmax,
        is_one_shape: true,
    },
    // As the recipe glue/minilm-l6, on texts that are at hand.
    train::Case {
        name: "train/minilm-l6",
        compare: train::compare::<Glue>,
        recipe: "small/glue",
        edits: &[
            "head.pooling=first",
            "head.lr_factor=1.0",
            "model.network=minilm-l6",
            "model.dropout=0.1",
            "model.attention_dropout=0.1",
            "data.max_len=128",
            "train.batch_size=32",
            "data.train_examples=2000",
            "data.valid_examples=32",
            "data.test_examples=32",
        ],
        without_dropout: &["model.dropout=0", "model.attention_dropout=0"],
        normalizer: NormalizerConfig::Softmax,
        is_one_shape: true,
    },
];

const IWSLT: &[&str] = &["data.valid_pairs=32", "data.test_pairs=32"];

fn main() -> Result<()> {
    // As the programs do (`experiments/src/threads.rs`).
    rayon::ThreadPoolBuilder::new()
        .use_current_thread()
        .build_global()?;
    sparta_experiments::memory::keep_freed();
    let options = Options::parse();
    let mut report = Report::new(&options);
    for case in &TRAININGS {
        if options.wants(case.name) {
            (case.compare)(case, &options, &mut report)?;
            report.write()?;
        }
    }
    for case in decode::CASES {
        if options.wants(case.name) {
            decode::compare(&case, &options, &mut report)?;
            report.write()?;
        }
    }
    Ok(())
}

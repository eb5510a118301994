//! What runs leave behind.

use std::fs;

use sparta_experiments::status::{STATUS as STATUS_FILE, Status};
use sparta_experiments::train::watch::Metrics;
use sparta_results::RunRecord;
use sparta_results::bench::BenchRow;
use sparta_results::figure::{self, CurvesFigure, DensityFigure, PatternFigure, TrajectoryFigure};
use sparta_results::kept::{QuestionScore, Segment, predictions};
use sparta_results::metric::bleu::{Bleu, BleuTokenizer};
use sparta_results::metric::chrf::Chrf;

use super::super::{Corpus, Target};

macro_rules! published {
    ($path:literal) => {
        include_bytes!(concat!("../../../../../results/", $path)).as_slice()
    };
}

/// Run records.
pub const RUN_RECORD: Target = Target {
    name: "run-record",
    corpus: || {
        Corpus::of([
            published!("published/glue-minilm-l6/records/glue-minilm-l6-64ac96e3-seed1-mrpc-ap-p90-MRPC-accuracy.run.json"),
            published!("published/glue-minilm-l6/records/glue-minilm-l6-64ac96e3-seed1-mrpc-majority-MRPC-f1.run.json"),
            published!("published/iwslt-small/records/iwslt-small-53363a02-seed1-softmax-decoder-self-ap-p40.run.json"),
            published!("published/iwslt-small/records/iwslt-small-53363a02-seed2-softmax-cross-ap-uses-p80-paper-rows.run.json"),
        ])
        .with_words(&["\"p_nominal\": ", "\"mask\": \"none\"", "\"value\": null", "\"observed\": {}", "../", "\"schema\": 2"])
    },
    open: |folder| {
        let (path, saved) = (folder.join("a.run.json"), folder.join("saved"));
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(record) = RunRecord::load(&path) else {
                return false;
            };
            // What was read is written, and read again.
            let again = RunRecord::load(record.save(&saved).expect("a record as it was read"));
            assert_eq!(again.expect("a record as it was written"), record);
            let _ = fs::remove_dir_all(&saved);
            true
        })
    },
};

/// Losses, answers and predictions that are kept beside models.
pub const KEPT: Target = Target {
    name: "kept",
    corpus: || {
        Corpus::of([
            "segment,nll,tokens,right\n0,0.30000000000000004,64,3\n1,345.678,64,\n",
            "id,exact_match,f1\n56be,1,1.0\n56bf,0,0.5\n",
            "part\tindex\texpected\tpredicted\tscores\ndev\t0\tneutral\tentailment\t0.9\t0.1\ndev\t1\ta\tb\t1\n",
        ])
        .with_words(&["NaN", "\"\"", "\"", ",,", "\t\t"])
    },
    open: |folder| {
        let path = folder.join("kept");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let read = [
                Segment::load_all(&path).map(drop),
                QuestionScore::load_all(&path).map(drop),
                predictions(&path, "dev").map(drop),
            ];
            read.iter().any(Result::is_ok)
        })
    },
};

/// The numbers of figures.
pub const FIGURE: Target = Target {
    name: "figure",
    corpus: || {
        Corpus::of([
            published!("published/lm-small/figures/density.json"),
            published!("published/lm-small/figures/curves.json"),
            published!("published/lm-small/figures/pattern-decoder-self.json"),
            published!("published/iwslt-small/figures/trajectory.json"),
        ])
    },
    open: |folder| {
        let (path, saved) = (folder.join("figure.json"), folder.join("saved"));
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let drawn = [
                figure::load::<DensityFigure>(&path)
                    .and_then(|figure| figure::save(&figure, &saved)),
                figure::load::<CurvesFigure>(&path)
                    .and_then(|figure| figure::save(&figure, &saved)),
                figure::load::<PatternFigure>(&path)
                    .and_then(|figure| figure::save(&figure, &saved)),
                figure::load::<TrajectoryFigure>(&path)
                    .and_then(|figure| figure::save(&figure, &saved)),
            ];
            let _ = fs::remove_dir_all(&saved);
            drawn.iter().any(Result::is_ok)
        })
    },
};

/// Summaries of benchmarks.
pub const BENCH: Target = Target {
    name: "bench-summary",
    corpus: || {
        Corpus::of([
            "case,shape,p,dtype,device,ours_ms,peer_ms,ratio,peer,peak_bytes\n\
             entmax15,8x8x512x64/s1,0,f32,flex,90.000,,,,16777216\n\
             softmax/causal/ap-p80/effective=79.98/blocks64=3.12,2x12x256x512x64/s1,80,f32,flex,41.000,40.000,0.98,ours-dense,8100000\n",
        ])
    },
    open: |folder| {
        let path = folder.join("summary.csv");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(rows) = BenchRow::read(&path) else {
                return false;
            };
            for row in &rows {
                let _ = (row.sizes(), row.time_change(), row.series());
            }
            true
        })
    },
};

/// Logs of training.
pub const METRICS: Target = Target {
    name: "metrics",
    corpus: || {
        Corpus::of([
            "{\"step\":10,\"loss\":3.5,\"lr\":0.001}\n{\"step\":20,\"loss\":3.25,\"alpha/cross/0\":[1.5,1.25]}\n{\"step\":30,\"loss\":\"NaN\"}\n",
        ])
    },
    open: |folder| {
        let path = folder.join("metrics.jsonl");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(mut log) = Metrics::resume(&path, 20, false) else {
                return false;
            };
            log.write(21, []).expect("a line more");
            drop(log);
            // What was kept are lines of a log, and stays as it is.
            let before = fs::read(&path).expect("read");
            drop(Metrics::resume(&path, 21, false).expect("a log"));
            assert_eq!(fs::read(&path).expect("read"), before);
            true
        })
    },
};

/// What processes say of themselves in run folders.
pub const STATUS: Target = Target {
    name: "status",
    corpus: || {
        Corpus::of([
            "{\"state\":\"running\",\"stage\":\"prune\",\"model\":\"ap-p80\",\"seed\":1,\"models_done\":3,\"models\":13,\"step\":5,\"steps\":300,\"seconds_left\":540.5,\"at_least\":true,\"host\":\"x\",\"pid\":7,\"started\":1764370000,\"updated\":1764370010}",
            "{\"state\":\"failed\",\"stage\":\"prepare\",\"model\":null,\"seed\":null,\"models_done\":0,\"models\":0,\"step\":0,\"steps\":0,\"seconds_left\":null,\"at_least\":false,\"host\":\"x\",\"pid\":7,\"started\":0,\"updated\":0}",
        ])
        .with_words(&["\"stopped\"", "\"done\"", "\"reproduce\"", "-1", "1e308"])
    },
    open: |folder| {
        let (folder, path) = (folder.to_owned(), folder.join(STATUS_FILE));
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(Some(status)) = Status::load(&folder) else {
                return false;
            };
            let left = status.seconds_left_now();
            assert!(left.is_none_or(|seconds| seconds >= 0.0), "{left:?}");
            !status.words().is_empty()
        })
    },
};

/// Translations that are scored.
pub const SCORES: Target = Target {
    name: "scores",
    corpus: || {
        Corpus::of([
            "Mr. Smith's \"plan\" costs $1,250.50... (net), see http://a.b/c?d=e -- it's U.S.-made.",
            "L'été, qu'il n'aura pas : c'est-à-dire « rien » !",
            "東京は、日本の首都です。「はい」",
        ])
    },
    open: |_| {
        Box::new(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let reference = [vec!["a line of words, it's."]];
            for tokenize in [
                BleuTokenizer::None,
                BleuTokenizer::V13a,
                BleuTokenizer::Intl,
                BleuTokenizer::Char,
            ] {
                let bleu = Bleu {
                    tokenize,
                    ..Bleu::default()
                };
                let score = bleu
                    .corpus(&[&text], &reference)
                    .expect("a line each")
                    .score;
                assert!((0.0..=100.0 + 1e-9).contains(&score), "{score}");
            }
            Chrf::default().corpus(&[&text], &reference).is_ok()
        })
    },
};

//! What stands at the end of each `--help`: commands as they are typed.

use clap::Command;

/// A subcommand, or "" for the program itself, with its commands.
type Of = (&'static str, &'static [&'static str]);

const LM: &[Of] = &[
    (
        "",
        &[
            "lm                                                          # the small table, on a CPU",
            "lm --recipe lm/wikitext2 --dry-run                          # what another would cost; writes nothing",
            "lm --set data.corpus=files --data novel.txt --out runs/novel",
            "lm --set 'model.normalizers=[\"softmax\", \"entmax15\"]' --seeds 1,2,3",
        ],
    ),
    (
        "prepare",
        &[
            "lm prepare --recipe lm/wikitext2 --out runs/wikitext2       # downloads the corpus",
            "lm prepare --recipe lm/wikitext2 --data wikitext-2 --out runs/wikitext2",
        ],
    ),
    (
        "train",
        &[
            "lm train --out runs/mine --seeds 1,2 --set train.lr=0.002",
            "lm train --out runs/mine --resume",
        ],
    ),
    (
        "observe",
        &[
            "lm observe --out runs/mine",
            "lm observe --out runs/mine --resume --device wgpu",
        ],
    ),
    (
        "prune",
        &[
            "lm prune --out runs/mine",
            "lm prune --out runs/mine --resume --set 'prune.block_sizes=[16]'",
        ],
    ),
    (
        "eval",
        &[
            "lm eval --out runs/mine",
            "lm eval --out runs/mine --resume --attention-by fused",
        ],
    ),
    (
        "report",
        &[
            "lm report --out runs/mine",
            "lm report --out runs/mine --seeds 1",
        ],
    ),
    (
        "reproduce",
        &[
            "lm reproduce --recipe small/lm --seeds 1,2,3",
            "lm reproduce --out runs/mine --resume",
        ],
    ),
    (
        "score",
        &[
            "lm score --model runs/mine < text.txt",
            "echo 'the people of the world' | lm score --model runs/mine/seed-1/rows/ap-p80 --words",
        ],
    ),
];

const IWSLT: &[Of] = &[
    (
        "",
        &[
            "iwslt                                                       # the small table, on a CPU",
            "iwslt --recipe iwslt/multi30k --dry-run                     # what another would cost; writes nothing",
            "iwslt --set data.corpus=files --set data.files.source=nl --data pairs.tsv --out runs/dutch",
        ],
    ),
    (
        "prepare",
        &[
            "iwslt prepare --recipe iwslt/multi30k --out runs/multi30k   # downloads the corpus",
            "iwslt prepare --recipe iwslt/iwslt14-de-en --data iwslt14 --out runs/iwslt14",
        ],
    ),
    (
        "train",
        &[
            "iwslt train --out runs/mine --set train.lr=0.001 --seeds 1,2",
            "iwslt train --out runs/mine --resume",
        ],
    ),
    (
        "observe",
        &[
            "iwslt observe --out runs/mine",
            "iwslt observe --out runs/mine --resume --device wgpu",
        ],
    ),
    (
        "prune",
        &[
            "iwslt prune --out runs/mine",
            "iwslt prune --out runs/mine --resume --seeds 1",
        ],
    ),
    (
        "eval",
        &[
            "iwslt eval --out runs/mine",
            "iwslt eval --out runs/mine --resume",
        ],
    ),
    (
        "report",
        &[
            "iwslt report --out runs/mine",
            "iwslt report --out runs/mine --seeds 1",
        ],
    ),
    (
        "reproduce",
        &[
            "iwslt reproduce --recipe small/iwslt --seeds 1,2,3",
            "iwslt reproduce --out runs/mine --resume",
        ],
    ),
    (
        "translate",
        &[
            "iwslt translate --model runs/mine < german.txt > english.txt",
            "echo 'Öffnet die Datei.' | iwslt translate --model runs/mine/seed-1/softmax/dense --n-best 5",
            "iwslt translate --model runs/mine --search exact --attention weights.jsonl < german.txt",
        ],
    ),
];

const GLUE: &[Of] = &[
    (
        "",
        &[
            "glue                                                        # the small table, on a CPU",
            "glue --recipe glue/bert-base --weights bert-base-uncased --data GLUE --tasks rte,mrpc",
            "glue --tasks files --data reviews.csv --set data.files.first=review --set data.files.label=stars",
        ],
    ),
    (
        "prepare",
        &[
            "glue prepare --recipe glue/minilm-l6 --tasks rte --weights minilm --out runs/rte",
            "glue prepare --recipe glue/minilm-l6 --tasks rte --weights minilm --data GLUE --out runs/rte",
        ],
    ),
    (
        "train",
        &[
            "glue train --out runs/mine --seeds 1,2 --set train.steps=1200",
            "glue train --out runs/mine --resume",
        ],
    ),
    (
        "observe",
        &[
            "glue observe --out runs/mine",
            "glue observe --out runs/mine --resume --device wgpu",
        ],
    ),
    (
        "prune",
        &[
            "glue prune --out runs/mine",
            "glue prune --out runs/mine --resume --tasks rte",
        ],
    ),
    (
        "eval",
        &[
            "glue eval --out runs/mine",
            "glue eval --out runs/mine --resume",
        ],
    ),
    (
        "report",
        &[
            "glue report --out runs/mine",
            "glue report --out runs/mine --tasks rte",
        ],
    ),
    (
        "reproduce",
        &[
            "glue reproduce --recipe small/glue --seeds 1,2,3",
            "glue reproduce --out runs/mine --resume",
        ],
    ),
    (
        "predict",
        &[
            "glue predict --model runs/mine < texts.txt > labels.tsv",
            "printf 'Who wrote it?\\tA poet did.\\n' | glue predict --model runs/mine/seed-1/question-sentence/dense --quiet",
        ],
    ),
];

const SQUAD: &[Of] = &[
    (
        "",
        &[
            "squad                                                       # the small table, on a CPU",
            "squad --recipe squad/bert-base --weights bert-base-uncased --dry-run",
            "squad --recipe squad/minilm-l6 --weights minilm --data squad-v1.1 --out runs/squad",
        ],
    ),
    (
        "prepare",
        &[
            "squad prepare --recipe squad/minilm-l6 --weights minilm --out runs/squad",
            "squad prepare --recipe squad/minilm-l6 --weights minilm --data squad-v1.1 --out runs/squad",
        ],
    ),
    (
        "train",
        &[
            "squad train --out runs/mine --set train.epochs=1",
            "squad train --out runs/mine --resume",
        ],
    ),
    (
        "observe",
        &[
            "squad observe --out runs/mine",
            "squad observe --out runs/mine --resume --device wgpu",
        ],
    ),
    (
        "prune",
        &[
            "squad prune --out runs/mine",
            "squad prune --out runs/mine --resume --set 'prune.block_sizes=[16]'",
        ],
    ),
    (
        "eval",
        &[
            "squad eval --out runs/mine",
            "squad eval --out runs/mine --resume",
        ],
    ),
    (
        "report",
        &[
            "squad report --out runs/mine",
            "squad report --out runs/mine --seeds 1",
        ],
    ),
    (
        "reproduce",
        &[
            "squad reproduce --recipe small/squad --seeds 1,2",
            "squad reproduce --out runs/mine --resume",
        ],
    ),
    (
        "answer",
        &[
            "squad answer --model runs/mine < questions.json > predictions.json",
            "squad answer --model runs/mine/seed-1/squad/rows/ap-p90 --null-threshold 0.5 --null-odds odds.json < questions.json",
        ],
    ),
    (
        "measure",
        &[
            "squad measure --attention-by reference",
            "squad measure --attention-by fused --mask runs/mine/seed-1/squad/masks/ap-p90.safetensors",
        ],
    ),
];

const MLM: &[Of] = &[
    (
        "",
        &[
            "mlm                                                         # the small table, on a CPU",
            "mlm --recipe mlm/bert-base --weights bert-base-uncased --dry-run",
            "mlm --set data.corpus=files --data novel.txt --out runs/novel",
        ],
    ),
    (
        "prepare",
        &[
            "mlm prepare --recipe mlm/bert-base --weights bert-base-uncased --out runs/mlm",
            "mlm prepare --set data.corpus=files --data novel.txt --out runs/novel",
        ],
    ),
    (
        "train",
        &[
            "mlm train --out runs/mine --set train.lr=0.0001",
            "mlm train --out runs/mine --resume",
        ],
    ),
    (
        "observe",
        &[
            "mlm observe --out runs/mine",
            "mlm observe --out runs/mine --resume --device wgpu",
        ],
    ),
    (
        "prune",
        &[
            "mlm prune --out runs/mine",
            "mlm prune --out runs/mine --resume --set 'prune.block_sizes=[16]'",
        ],
    ),
    (
        "eval",
        &[
            "mlm eval --out runs/mine",
            "mlm eval --out runs/mine --resume",
        ],
    ),
    (
        "report",
        &[
            "mlm report --out runs/mine",
            "mlm report --out runs/mine --seeds 1",
        ],
    ),
    (
        "reproduce",
        &[
            "mlm reproduce --recipe small/mlm --seeds 1,2",
            "mlm reproduce --out runs/mine --resume",
        ],
    ),
];

const SPARTA: &[Of] = &[
    (
        "",
        &[
            "sparta doctor                                               # what works here",
            "sparta runs                                                 # how far runs are",
            "sparta analyze runs/lm-small-1a2b3c4d                       # what the attention of its models does",
        ],
    ),
    (
        "doctor",
        &["sparta doctor", "sparta doctor --json > here.json"],
    ),
    (
        "recipes",
        &["sparta recipes", "sparta recipes small/lm > mine.toml"],
    ),
    (
        "runs",
        &["sparta runs", "sparta runs runs/lm-small-1a2b3c4d --json"],
    ),
    (
        "sweep",
        &[
            "sparta sweep small/lm --grid train.lr=1e-3,2e-3 --seeds 1,2,3 --out runs/rates",
            "sparta sweep --resume --out runs/rates                      # goes on; what is complete stays",
            "sparta sweep small/lm --grid train.lr=1e-3,2e-3 --engine slurm --sbatch=--time=4:00:00 --dry-run",
        ],
    ),
    (
        "claims",
        &[
            "sparta claims                                               # which commands make the runs of each claim",
            "sparta claims runs/lm-small-1a2b3c4d runs/iwslt-small-1a2b3c4d --out claims.md",
        ],
    ),
    (
        "report",
        &[
            "sparta report",
            "sparta report runs/mine --out tables --latex --csv",
        ],
    ),
    (
        "compare",
        &[
            "sparta compare runs/mine                                    # its rows with their controls",
            "sparta compare runs/a/seed-1/dense runs/b/seed-1/dense --samples 10000 --json",
        ],
    ),
    (
        "analyze",
        &[
            "sparta analyze runs/mine",
            "sparta analyze runs/mine/seed-1/softmax/dense --figure density,diversity --examples 200",
            "sparta analyze omega                                        # the regularised argmax, of no run",
        ],
    ),
    (
        "attend",
        &[
            "sparta attend runs/mine --text 'Öffnet die Datei.'",
            "sparta attend runs/mine/seed-1/rows/ap-p80 --text 'the state of the union' --out page.html",
        ],
    ),
    (
        "export",
        &[
            "sparta export runs/mine --out exported",
            "sparta export runs/mine/seed-1/rows/ap-p80 --format hf --out exported --device flex",
        ],
    ),
    (
        "mask",
        &[
            "sparta mask 'local(w=16)' --type encoder-self --layers 3 --heads 12 --len 128 --out window.safetensors",
            "sparta mask 'strided(l=16)' --type decoder-self --layers 4 --heads 4 --len 64 --memory 64 --out far.safetensors",
        ],
    ),
    (
        "plot",
        &[
            "sparta plot results/bench/2026-11-29-2-core-epyc-avx512/attention/summary.csv",
            "sparta plot target/bench/summary.csv",
        ],
    ),
    (
        "completions",
        &[
            "sparta completions bash --out ~/.local/share/bash-completion/completions   # of all programs",
            "sparta completions zsh --out ~/.zfunc                       # a folder of $fpath",
            "sparta completions fish lm",
        ],
    ),
];

/// The programs with their commands.
const PROGRAMS: [(&str, &[Of]); 6] = [
    ("lm", LM),
    ("iwslt", IWSLT),
    ("glue", GLUE),
    ("squad", SQUAD),
    ("mlm", MLM),
    ("sparta", SPARTA),
];

/// The commands that the help of a program, or of a subcommand of it, ends with.
pub(super) fn of(program: &str, subcommand: &str) -> &'static [&'static str] {
    let of_program = PROGRAMS.iter().find(|(name, _)| *name == program);
    let all = of_program.map_or(&[] as &[Of], |(_, all)| all);
    let found = all.iter().find(|(name, _)| *name == subcommand);
    found.map_or(&[], |(_, lines)| lines)
}

/// The same command line with examples at the end of each help.
pub(super) fn with_examples(command: Command) -> Command {
    let program = command.get_name().to_owned();
    let after = |subcommand: &str| {
        let lines: String = (of(&program, subcommand).iter())
            .map(|line| format!("\n  {line}"))
            .collect();
        format!("Examples:{lines}")
    };
    // What a command says at its end besides stands before its examples.
    let with = |command: Command, subcommand: &str| {
        let said = command.get_after_help().map(|said| format!("{said}\n\n"));
        let text = said.unwrap_or_default() + &after(subcommand);
        command.after_help(text)
    };
    let command = with(command, "");
    command.mut_subcommands(|subcommand| {
        let name = subcommand.get_name().to_owned();
        with(subcommand, &name)
    })
}

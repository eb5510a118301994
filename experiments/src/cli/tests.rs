//! Command lines, read as the programs read them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, ValueEnum};
use clap_complete::Shell;
use sparta_ops::attention::Implementation;
use sparta_results::evidence::{Claim, ClaimTest, shipped};
use sparta_results::{RunRecord, load_all};

use super::completions::{ProgramName, script};
use super::examples;
use super::glue::Glue;
use super::iwslt::Iwslt;
use super::lm::Lm;
use super::mlm::Mlm;
use super::program::{Program, command, parse};
use super::sparta::Sparta;
use super::squad::Squad;
use crate::command::{recipe_of, words as words_of};
use crate::protocol::{Request, RunFolder, Stage, Task};
use crate::recipe::{LmRecipe, Recipe};
use crate::task;
use crate::task::lm::LanguageModel;
use crate::task::translation::Translation;

#[test]
fn the_command_lines_are_consistent() {
    command::<Lm>().debug_assert();
    command::<Iwslt>().debug_assert();
    command::<Glue>().debug_assert();
    command::<Squad>().debug_assert();
    command::<Mlm>().debug_assert();
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn request(line: &str) -> Request<LmRecipe> {
    let cli = parse::<Lm>(words(line)).unwrap();
    cli.request().unwrap()
}

#[test]
fn options_stand_before_or_after_the_stage() {
    let train = request("lm train --seeds 3,4 --set train.lr=0.5 --device cuda:1");
    assert_eq!(train.stage, Stage::Train);
    assert_eq!(train.recipe.seeds(), [3, 4]);
    assert_eq!(train.attention, Implementation::Auto);
    let fused = request("lm --attention-by fused");
    assert_eq!(fused.attention, Implementation::Fused);
    // With its recipe: without one, it is of a run that is there.
    let resume = "lm --resume --recipe small/lm";
    assert_eq!(request(resume).stage, Stage::Reproduce);
    assert!(request(&format!("{resume} observe")).resume);
    let both = request("lm --set train.lr=0.5 train --set train.steps=7")
        .recipe
        .train;
    assert_eq!((both.optimizer.lr, both.steps), (0.5, 7));
    let twice = parse::<Lm>(words("lm --out a train --out b")).unwrap_err();
    assert!(
        twice.to_string().contains("`--out` is given twice"),
        "{twice}"
    );
}

#[test]
fn the_help_names_the_recipes_and_what_an_option_may_say() {
    let help = |line| parse::<Lm>(words(line)).unwrap_err().to_string();
    assert!(help("lm --help").contains("lm/wikitext103-base"));
    let of_stages = "Average their attention over the training set";
    assert!(
        help("lm --help").contains(of_stages),
        "{}",
        help("lm --help")
    );
    assert!(help("lm observe --help").starts_with(of_stages));
    assert!(help("lm train --help").contains("auto, reference, fused"));
    assert!(!help("lm report --help").contains("--device"));
    let tasks = parse::<Glue>(words("glue --tasks rta"))
        .unwrap_err()
        .to_string();
    assert!(
        tasks.contains("rte") && tasks.contains("question-sentence"),
        "{tasks}"
    );
}

/// An option as it is typed.
fn typed(id: &str) -> String {
    let value = match id {
        "recipe" => "x",
        "device" => "flex",
        "attention_by" => "fused",
        "sets" => "train.lr=0.5",
        "seeds" => "7",
        "out" | "data" | "weights" => "x",
        "tasks" => "rte",
        "dry_run" | "mixed" | "profile" | "quiet" | "resume" => {
            return format!("--{}", id.replace('_', "-"));
        }
        other => panic!("no value for `{other}`: say here how it is typed"),
    };
    let flag = match id {
        "sets" => "set".to_owned(),
        id => id.replace('_', "-"),
    };
    format!("--{flag} {value}")
}

/// The options that each subcommand takes, before it and after it, of all that the program has.
fn taken<P: Program>() -> Vec<(String, BTreeSet<String>)> {
    let program = command::<P>();
    let ids = program.get_arguments().map(|arg| arg.get_id().to_string());
    let ids: Vec<String> = ids
        .filter(|id| !["help", "version"].contains(&id.as_str()))
        .collect();
    let of_subcommand = |subcommand: &clap::Command| {
        let name = subcommand.get_name();
        let needs = match name {
            "score" | "translate" | "predict" | "answer" => " --model x",
            _ => "",
        };
        let mut taken = BTreeSet::new();
        for id in &ids {
            let option = typed(id);
            let program = program.get_name();
            let outcomes = [
                format!("{program} {option} {name}{needs}"),
                format!("{program} {name}{needs} {option}"),
            ]
            .map(|line| match parse::<P>(words(&line)) {
                Ok(_) => true,
                Err(error) => {
                    let said = error.to_string();
                    assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{line}: {said}");
                    let flag = option.split(' ').next().unwrap_or_default();
                    let expected = format!("`{program} {name}` does not use `{flag}`: ");
                    assert!(said.contains(&expected), "{line}: {said}");
                    false
                }
            });
            assert_eq!(outcomes[0], outcomes[1], "{name} {option}");
            if outcomes[0] {
                taken.insert(id.clone());
            }
        }
        (name.to_owned(), taken)
    };
    program.get_subcommands().map(of_subcommand).collect()
}

/// Every subcommand of every program against every option of it.
#[test]
fn an_option_that_a_subcommand_does_not_use_is_refused() {
    let computes =
        "attention_by data device dry_run mixed out profile quiet recipe resume seeds sets";
    let stages = [
        ("prepare", "data out quiet recipe seeds sets"),
        ("train", computes),
        ("observe", computes),
        ("prune", computes),
        ("eval", computes),
        ("report", "mixed out quiet recipe seeds sets"),
        ("reproduce", computes),
    ];
    let check = |found: Vec<(String, BTreeSet<String>)>, more: &str, own: &[(&str, &str)]| {
        let of_stage = |(stage, options): &(&str, &str)| {
            let more = more
                .split_whitespace()
                .filter(|&more| !(*stage == "report" && more == "weights"));
            (
                stage.to_string(),
                options.split(' ').chain(more).map(str::to_owned).collect(),
            )
        };
        let of_own = |(name, options): &(&str, &str)| {
            let options = options.split(' ').map(str::to_owned).collect();
            (name.to_string(), options)
        };
        let expected: Vec<(String, BTreeSet<String>)> = stages
            .iter()
            .map(of_stage)
            .chain(own.iter().map(of_own))
            .collect();
        assert_eq!(found, expected);
    };
    check(taken::<Lm>(), "", &[("score", "device quiet")]);
    check(taken::<Iwslt>(), "", &[("translate", "device quiet")]);
    check(
        taken::<Glue>(),
        "weights tasks",
        &[("predict", "device quiet")],
    );
    let measure = "attention_by device quiet recipe sets weights";
    let of_squad = [("measure", measure), ("answer", "device quiet")];
    check(taken::<Squad>(), "weights", &of_squad);
    check(taken::<Mlm>(), "weights", &[]);
}

/// A device is read with the command line, by every program and subcommand that has one.
#[test]
fn a_device_that_is_none_is_a_wrong_value() {
    for program in ProgramName::value_variants() {
        let command = program.command();
        let name = command.get_name().to_owned();
        let has_device =
            |of: &clap::Command| of.get_arguments().any(|arg| arg.get_id() == "device");
        let subcommands = command.get_subcommands().filter(|of| has_device(of));
        let mut lines: Vec<String> = subcommands
            .map(|of| format!("{name} {}", of.get_name()))
            .collect();
        if has_device(&command) {
            lines.push(name);
        }
        assert!(lines.len() >= 4, "{lines:?}");
        for line in lines {
            for (device, said) in [
                ("cudda", "unknown device `cudda`; known are auto, flex, "),
                ("cudda", "did you mean `cuda`?"),
                ("cuda:x", "`x` in `cuda:x` is not a device number"),
            ] {
                let words = words(&format!("{line} --device {device}"));
                let error = command.clone().try_get_matches_from(words).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ValueValidation, "{line}: {error}");
                assert_eq!(error.exit_code(), 2);
                assert!(error.to_string().contains(said), "{line}: {error}");
            }
        }
    }
}

#[test]
fn a_run_folder_brings_its_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let there = LmRecipe::load("wikitext2", &["train.lr=0.125".into()]).unwrap();
    crate::protocol::RunFolder::at(run.clone())
        .enter(&there, true)
        .unwrap();
    let out = run.display();
    let report = request(&format!("lm report --out {out}"));
    assert_eq!(report.recipe, there);
    // What only chooses runs may be asked for; another recipe is not reported as if it were this one.
    let choice = request(&format!(
        "lm report --out {out} --seeds 7 --set prune.block_sizes=[16]"
    ));
    assert_eq!(choice.recipe.hash(), there.hash());
    assert_eq!(choice.recipe.seeds(), [7]);
    for other in ["--recipe small/lm", "--set train.lr=0.5"] {
        let cli = parse::<Lm>(words(&format!("lm report --out {out} {other}"))).unwrap();
        let error = cli.request().unwrap_err().to_string();
        assert!(error.contains("another recipe"), "{error}");
    }
}

/// The words of the program in a line as a shell reads it: without its comment, what is piped and redirected.
fn as_a_shell_reads(line: &str, program: &str) -> Vec<String> {
    let words = words_of(line).unwrap_or_else(|| panic!("a quotation mark is open: {line}"));
    let commands: Vec<&[String]> = words.split(|word| word == "|").collect();
    let own = commands.iter().find(|words| words[0] == program);
    let own = own.unwrap_or_else(|| panic!("`{line}` does not run {program}"));
    let is_end = |word: &String| ["<", ">"].contains(&word.as_str());
    let end = own.iter().position(is_end).unwrap_or(own.len());
    own[..end].to_vec()
}

/// The command of each claim is read, and the table that it makes has every cell that the claim compares.
#[test]
fn the_command_of_a_claim_makes_the_runs_it_is_judged_by() {
    fn of<T: Task, P: Program<Recipe = T::Recipe>>(
        claim: &Claim,
        (record, published): (&RunRecord, &Path),
    ) {
        let words = as_a_shell_reads(&claim.command, T::Recipe::PROGRAM);
        if let Err(error) = parse::<P>(words.iter().map(OsString::from)) {
            panic!("{}: {error}", claim.command);
        }
        let recipe = recipe_of::<T::Recipe>(&words);
        let recipe = recipe.unwrap_or_else(|error| panic!("{}: {error:#}", claim.command));
        let (ClaimTest::Cells { table, .. } | ClaimTest::Figure { table, .. }) = &claim.test;
        assert_eq!(recipe.table(), table, "{}", claim.id);
        assert!(recipe.seeds().len() > 1, "{}", claim.id);
        let ClaimTest::Cells { every, .. } = &claim.test else {
            return;
        };
        let folder = RunFolder::at(published.join("squad-small"));
        let runs = T::table(&recipe, &folder).unwrap().expected;
        for cell in every.iter().flatten() {
            let is_made = runs.iter().any(|run| {
                cell.has(&RunRecord {
                    // Of SQuAD every kernel has a row, with the same lines.
                    row: match T::Recipe::PROGRAM {
                        "squad" => cell.row.clone().unwrap_or_default(),
                        _ => run.row.clone(),
                    },
                    variant: run.variant.clone(),
                    condition: run.condition,
                    p_nominal: run.p,
                    ..record.clone()
                })
            });
            assert!(is_made, "{}: `{}` makes no {cell}", claim.id, claim.command);
        }
    }
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published");
    let record = load_all(published.join("lm-small/records"))
        .unwrap()
        .remove(0);
    let of_all = (&record, published.as_path());
    for claim in shipped() {
        match claim.command.split(' ').next() {
            Some("lm") => of::<LanguageModel, Lm>(&claim, of_all),
            Some("iwslt") => of::<Translation, Iwslt>(&claim, of_all),
            Some("glue") => of::<task::glue::Glue, Glue>(&claim, of_all),
            Some("squad") => of::<task::squad::Squad, Squad>(&claim, of_all),
            other => panic!("{other:?} makes no tables of claims"),
        }
    }
}

/// The commands in blocks of a page that run one of the programs, as they are typed.
fn commands_of(page: &str) -> Vec<String> {
    const BY_CARGO: &str = "cargo run --release --bin ";
    let blocks = page.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("\n```").next());
    let lines = blocks.flat_map(|block| {
        let whole = block.replace("\\\n", " ");
        whole.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let command = |line: String| {
        let line = match line.split_once(BY_CARGO) {
            Some((_, run)) => match run.split_once(" -- ") {
                Some((program, options)) if !program.contains(' ') => {
                    format!("{program} {options}")
                }
                _ => run.to_owned(),
            },
            None => line,
        };
        let is_ours = |program: &ProgramName| {
            let name = program.command().get_name().to_owned();
            line == name || line.starts_with(&format!("{name} "))
        };
        ProgramName::value_variants()
            .iter()
            .any(is_ours)
            .then_some(line)
    };
    lines.filter_map(command).collect()
}

/// What README and the pages under docs/ say to type is read, and its recipe can be.
#[test]
fn commands_of_the_documentation_can_be_typed() {
    fn of<P: Program>(line: &str) -> Result<(), String> {
        let words = as_a_shell_reads(line, P::Recipe::PROGRAM);
        parse::<P>(words.iter().map(OsString::from)).map_err(|error| error.to_string())?;
        let is_by_recipe = !matches!(
            words.get(1).map(String::as_str),
            Some("score" | "translate" | "predict" | "answer")
        );
        match is_by_recipe {
            true => recipe_of::<P::Recipe>(&words)
                .map_err(|error| format!("{error:#}"))
                .map(|_| ()),
            false => Ok(()),
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap().flatten();
    let pages = docs
        .map(|entry| entry.path())
        .chain([root.join("README.md")]);
    let (mut n, mut wrong) = (0, Vec::new());
    for page in pages {
        for line in commands_of(&std::fs::read_to_string(&page).unwrap()) {
            let read = match line.split(' ').next() {
                Some("lm") => of::<Lm>(&line),
                Some("iwslt") => of::<Iwslt>(&line),
                Some("glue") => of::<Glue>(&line),
                Some("squad") => of::<Squad>(&line),
                Some("mlm") => of::<Mlm>(&line),
                _ => Sparta::command()
                    .try_get_matches_from(as_a_shell_reads(&line, "sparta"))
                    .map(|_| ())
                    .map_err(|error| error.to_string()),
            };
            n += 1;
            if let Err(error) = read {
                wrong.push(format!("{}: {line}: {error}", page.display()));
            }
        }
    }
    assert!(n > 40, "{n} commands");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each example of a program is read, of the subcommand that it stands under, and its recipe can be.
fn check_examples<R: Recipe>(
    program: ProgramName,
    parse: impl Fn(&[String]) -> Result<(), clap::Error>,
) {
    let command = program.command();
    let name = command.get_name();
    let subcommands = command.get_subcommands().map(clap::Command::get_name);
    for of in subcommands.filter(|of| *of != "help").chain([""]) {
        let lines = examples::of(name, of);
        assert!(
            (2..=4).contains(&lines.len()),
            "`{name} {of}` has {} examples: give two or three in cli/examples.rs",
            lines.len()
        );
        for line in lines {
            let words = as_a_shell_reads(line, name);
            for file in words.iter().filter(|word| word.starts_with("results/")) {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
                assert!(path.exists(), "`{line}`: there is no {file}");
            }
            if let Err(error) = parse(&words) {
                panic!("{line}: {error}");
            }
            assert!(
                of.is_empty() || words[1] == of,
                "`{line}` stands under {of}"
            );
            let is_of_model = ["score", "translate", "predict"].contains(&of);
            let is_by_recipe = R::PROGRAM == name && !is_of_model;
            if is_by_recipe && let Err(error) = recipe_of::<R>(&words) {
                panic!("{line}: {error:#}");
            }
        }
    }
}

#[test]
fn every_help_ends_with_commands_that_can_be_typed() {
    fn of<P: Program>(program: ProgramName) {
        check_examples::<P::Recipe>(program, |words| {
            parse::<P>(words.iter().map(OsString::from)).map(|_| ())
        });
    }
    for program in ProgramName::value_variants() {
        match program {
            ProgramName::Lm => of::<Lm>(*program),
            ProgramName::Iwslt => of::<Iwslt>(*program),
            ProgramName::Glue => of::<Glue>(*program),
            ProgramName::Squad => of::<Squad>(*program),
            ProgramName::Mlm => of::<Mlm>(*program),
            ProgramName::Sparta => check_examples::<LmRecipe>(*program, |words| {
                let matches = Sparta::command().try_get_matches_from(words)?;
                Sparta::from_arg_matches(&matches).map(|_| ())
            }),
        }
    }
    let help = parse::<Lm>(words("lm train --help"))
        .unwrap_err()
        .to_string();
    assert!(
        help.contains("Examples:\n  lm train --out runs/mine"),
        "{help}"
    );
}

/// Several defaults are shown with spaces between them, as nobody can type them: the help says them itself.
#[test]
fn a_default_is_shown_as_it_is_typed() {
    for program in ProgramName::value_variants() {
        let command = program.command();
        for of in command.get_subcommands().chain([&command]) {
            for arg in of.get_arguments() {
                let defaults = arg.get_default_values();
                let name = (command.get_name(), of.get_name(), arg.get_id());
                assert!(defaults.len() <= 1, "{name:?}: {defaults:?}");
            }
        }
    }
    let mut analyze = Sparta::command();
    let analyze = analyze.find_subcommand_mut("analyze").unwrap();
    let help = analyze.render_long_help().to_string();
    assert!(help.contains("[default: -1,1]"), "{help}");
    for line in [
        "sparta analyze RUN --offset -1,1",
        "sparta analyze --offset=-1,1 RUN",
        "sparta analyze --offset -1 --offset 1 RUN",
    ] {
        let matches = Sparta::command().try_get_matches_from(words(line));
        let matches = matches.unwrap_or_else(|error| panic!("{line}: {error}"));
        let (_, of) = matches.subcommand().unwrap();
        let offsets: Vec<i64> = of.get_many("offsets").unwrap().copied().collect();
        let runs: Vec<&PathBuf> = of.get_many("runs").unwrap().collect();
        assert_eq!((offsets, runs), (vec![-1, 1], vec![&PathBuf::from("RUN")]));
    }
    let far = "sparta analyze RUN --offset 9223372036854775807";
    let error = Sparta::command().try_get_matches_from(words(far));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("-1048576..=1048576"), "{error}");
}

#[test]
fn every_shell_completes_every_subcommand_of_every_program() {
    for program in ProgramName::value_variants() {
        let command = program.command();
        for shell in Shell::value_variants() {
            let script = script(*shell, *program);
            for subcommand in command.get_subcommands() {
                let name = subcommand.get_name();
                assert!(
                    script.contains(name),
                    "{shell}: no `{name}` of {}",
                    command.get_name()
                );
            }
            let flag = match shell {
                // Long options without their hyphens.
                Shell::Fish => "-l out",
                _ => "--out",
            };
            assert!(
                script.contains(flag),
                "{shell}: no {flag} of {}",
                command.get_name()
            );
            // What `report` refuses is not offered behind it.
            if let (Shell::Bash, ProgramName::Lm) = (shell, program) {
                let (_, of_report) = script
                    .split_once("lm__subcmd__report)\n            opts=\"")
                    .expect("report");
                let (of_report, _) = of_report.split_once('"').expect("its end");
                assert!(
                    of_report.contains("--seeds") && !of_report.contains("--device"),
                    "{of_report}"
                );
            }
        }
    }
}

//! A sweep as a job array of SLURM: one task a run, which stops at a checkpoint before its time is over and goes back into
//! the queue.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::Scheduler;
use crate::io::{print_line, write_text};
use crate::version::{quoted, typed};

/// Name of the script in the folder of a sweep.
const SCRIPT: &str = "sweep.sbatch";
/// Seconds before its time limit at which a task stops at a checkpoint.
const BEFORE_LIMIT: u32 = 120;

/// The tasks of an array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks<'a> {
    /// The folder of the sweep.
    pub(super) folder: &'a Path,
    /// Which runs, by their numbers.
    pub(super) numbers: &'a [usize],
    /// What each is given besides.
    pub(super) arguments: &'a [OsString],
}

/// That there is a SLURM to submit to.
///
/// # Errors
/// No `sbatch`, with both ways out.
pub(super) fn find() -> Result<()> {
    let found = Command::new("sbatch").arg("--version").output();
    let version = found.with_context(|| {
        "`sbatch` cannot be run here; submit on a machine of the cluster, look at the script with `--dry-run`, or work here \
         with `--engine local`"
    })?;
    ensure!(
        version.status.success(),
        "`sbatch --version` fails: {}",
        said(&version.stderr)
    );
    Ok(())
}

/// Submits the tasks; prints the number of the job. `again` is the command that goes on with the sweep.
///
/// # Errors
/// What SLURM says; a disk that refuses.
pub(super) fn submit(tasks: &Tasks<'_>, again: &str, scheduler: &Scheduler) -> Result<()> {
    let folder = tasks.folder;
    if tasks.numbers.is_empty() {
        print_line(format!(
            "all runs of {} are complete: `sparta report {}`",
            folder.display(),
            typed(folder)
        ))?;
        return Ok(());
    }
    find()?;
    let script = script(tasks, scheduler)?;
    let path = folder.join(SCRIPT);
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    write_text(&path, &script)?;
    let output = Command::new("sbatch")
        .arg("--parsable")
        .arg(&path)
        .output()
        .context("cannot start sbatch")?;
    if !output.status.success() {
        bail!(
            "SLURM refuses {}: {}; change it by `--sbatch OPTION` and submit again with `{}`",
            path.display(),
            said(&output.stderr),
            submit_again(again, scheduler)
        );
    }
    // With several clusters it is NUMBER;CLUSTER.
    let job = said(&output.stdout);
    let job = job.split(';').next().unwrap_or_default();
    let (shown, n) = (typed(folder), tasks.numbers.len());
    print_line(format!(
        "job {job}, {n} tasks: squeue -j {job}; sparta runs {shown}; sparta report {shown}"
    ))?;
    Ok(())
}

/// The command that goes on with a sweep, with what SLURM was told.
fn submit_again(again: &str, scheduler: &Scheduler) -> String {
    let mut command = format!("{again} --engine slurm");
    for option in &scheduler.options {
        command += &format!(" --sbatch={}", quoted(option));
    }
    if let Some(n) = scheduler.at_a_time {
        command += &format!(" --at-a-time {n}");
    }
    command
}

fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The script of the array.
///
/// # Errors
/// A path that a script cannot hold.
pub(super) fn script(tasks: &Tasks<'_>, scheduler: &Scheduler) -> Result<String> {
    let folder = tasks.folder;
    let folder = absolute(folder).with_context(|| folder.display().to_string())?;
    let sparta = std::env::current_exe().context("cannot find this program")?;
    let mut words: Vec<OsString> = vec![sparta.into(), "sweep".into(), "--out".into()];
    words.push(folder.clone().into());
    words.extend_from_slice(tasks.arguments);
    let command = in_shell(&words)?;
    let logs = logs(&folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    let at_a_time = scheduler.at_a_time.map(|n| format!("%{n}"));
    let own: String = (scheduler.options.iter())
        .map(|option| format!("#SBATCH {option}\n"))
        .collect();
    for option in &scheduler.options {
        ensure!(
            option.starts_with('-') && !option.contains('\n'),
            "`--sbatch {option}` is no option of sbatch; write for example `--sbatch=--time=4:00:00`"
        );
    }
    Ok(format!(
        r#"#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array={}{}
#SBATCH --output={logs}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@{BEFORE_LIMIT}
{own}
# A task stops at a checkpoint when it is cancelled or preempted (TERM), and {BEFORE_LIMIT} seconds before its time is over
# (USR1), after which it goes back into the queue. One that starts again goes on from its checkpoint.
{command} --task "$SLURM_ARRAY_TASK_ID" &
task=$! again=
trap 'again=1; kill -TERM $task' USR1
trap 'kill -TERM $task' TERM INT
wait $task
status=$?
# A signal ends `wait` before the task.
while kill -0 $task 2>/dev/null; do
    wait $task
    status=$?
done
if [ -n "$again" ] && [ $status -ne 0 ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit $status
"#,
        ranges(tasks.numbers),
        at_a_time.unwrap_or_default(),
    ))
}

/// The pattern of the logs' names, in the form of a line for sbatch.
fn logs(folder: &Path) -> Result<String> {
    let Some(folder) = folder.to_str() else {
        bail!(
            "{} is not UTF-8, and no name of a log of SLURM; use another folder with `--out DIR`",
            folder.display()
        );
    };
    ensure!(
        !folder.contains(['"', '\\', '\n', '%']),
        "SLURM takes `\"`, `\\` and `%` in {folder} for something else; use another folder with `--out DIR`"
    );
    Ok(format!("\"{folder}/logs/%a.log\""))
}

/// Words of a command as a shell reads them.
fn in_shell(words: &[OsString]) -> Result<String> {
    let quoted = words.iter().map(|word| {
        let Some(text) = word.to_str() else {
            bail!(
                "{} is not UTF-8, which a script must be",
                PathBuf::from(word).display()
            );
        };
        Ok(quoted(text))
    });
    Ok(quoted.collect::<Result<Vec<_>>>()?.join(" "))
}

/// A command as it is typed.
pub(super) fn shown(words: &[OsString]) -> String {
    let word = |word: &OsString| quoted(&OsStr::to_string_lossy(word));
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Numbers as SLURM writes them: `0-2,5`.
fn ranges(tasks: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &task in tasks {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == task => *last = task,
            _ => ranges.push((task, task)),
        }
    }
    let written = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    written.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_joined_to_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[3]), "3");
    }

    /// A shell reads the words that were written.
    #[cfg(unix)]
    #[test]
    fn a_script_is_bash_and_has_every_word_as_it_was() {
        let arguments = ["--data", "/data/o'clock and \"more\" $HOME", "--quiet"];
        let tasks = Tasks {
            folder: Path::new("/tmp/a b"),
            numbers: &[0, 1, 3],
            arguments: &arguments.map(OsString::from),
        };
        let scheduler = Scheduler {
            options: vec!["--time=4:00:00".into(), "--partition=gpu".into()],
            at_a_time: Some(2),
        };
        let text = script(&tasks, &scheduler).unwrap();
        for line in [
            "#SBATCH --array=0-1,3%2",
            "#SBATCH --output=\"/tmp/a b/logs/%a.log\"",
            "#SBATCH --job-name=ab",
            "#SBATCH --time=4:00:00",
        ] {
            assert!(text.lines().any(|of| of == line), "{text}");
        }
        let checked = Command::new("bash").arg("-n").arg("-c").arg(&text).status();
        assert!(checked.unwrap().success());
        let line = text.lines().find(|line| line.contains("--task")).unwrap();
        let words = line.split_once(' ').unwrap().1.trim_end_matches(" &");
        let printed = Command::new("bash")
            .args(["-c", &format!("printf '%s\\n' {words}")])
            .env("SLURM_ARRAY_TASK_ID", "7")
            .output()
            .unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        let said: Vec<&str> = printed.lines().collect();
        assert_eq!(
            said,
            [
                "sweep",
                "--out",
                "/tmp/a b",
                "--data",
                "/data/o'clock and \"more\" $HOME",
                "--quiet",
                "--task",
                "7"
            ]
        );
    }

    /// Where a sweep computes is in its plan; what SLURM was told is in no file that is read again.
    #[test]
    fn a_sweep_that_slurm_refused_is_submitted_again_by_the_command_that_is_said() {
        let scheduler = Scheduler {
            options: vec!["--time=4:00:00".into(), "--comment=a b".into()],
            at_a_time: Some(2),
        };
        let again = "sparta sweep --resume --out 'my runs'";
        assert_eq!(
            submit_again(again, &scheduler),
            format!(
                "{again} --engine slurm --sbatch=--time=4:00:00 --sbatch='--comment=a b' --at-a-time 2"
            )
        );
    }

    #[test]
    fn what_a_script_cannot_hold_is_refused() {
        let of = |folder| Tasks {
            folder: Path::new(folder),
            numbers: &[0],
            arguments: &[],
        };
        let error = script(&of("/tmp/50%"), &Scheduler::default()).unwrap_err();
        assert!(error.to_string().contains("--out DIR"), "{error}");
        let words = Scheduler {
            options: vec!["time=4".into()],
            at_a_time: None,
        };
        let error = script(&of("/tmp/a"), &words).unwrap_err();
        assert!(error.to_string().contains("--sbatch=--time"), "{error}");
    }
}

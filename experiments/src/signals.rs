//! Which signal asked this process to stop: shells and schedulers tell by its number in the exit status. Those that
//! tell of files become errors.

#![allow(unsafe_code, reason = "the system's table of handlers")]

use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::Result;

/// SIGINT, which is Ctrl-C; the only one where there are no signals.
const CTRL_C: i32 = 2;

static LAST: AtomicI32 = AtomicI32::new(CTRL_C);

/// Exit status of a process that a signal stopped, as shells have it: 128 and its number.
#[must_use]
pub fn exit_status() -> u8 {
    u8::try_from(128 + LAST.load(Ordering::SeqCst)).unwrap_or(u8::MAX)
}

/// Lets `handle` take over the signals that ask a process to stop, and takes note of each before it does. A hang-up
/// that this process was started to ignore (`nohup`) stays ignored.
///
/// # Errors
/// That of `handle`; if the system refuses.
#[cfg(unix)]
pub(crate) fn remember(handle: impl FnOnce() -> Result<()>) -> Result<()> {
    use std::io::Error;
    use std::sync::atomic::AtomicUsize;

    use anyhow::Context;

    const ASKED: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
    static BEFORE: [AtomicUsize; 3] = [const { AtomicUsize::new(libc::SIG_DFL) }; 3];

    extern "C" fn note(signal: libc::c_int) {
        LAST.store(signal, Ordering::SeqCst);
        let before = ASKED.iter().zip(&BEFORE).find(|(of, _)| **of == signal);
        let Some(handler) = before.map(|(_, handler)| handler.load(Ordering::SeqCst)) else {
            return;
        };
        if handler != libc::SIG_DFL && handler != libc::SIG_IGN {
            // SAFETY: it is the handler that the system had for this signal, which was set without SA_SIGINFO and thus
            // is a function of the signal's number alone.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }

    // SAFETY: as below; nothing is set.
    let is_ignored = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    };
    handle()?;
    for (signal, before) in ASKED.into_iter().zip(&BEFORE) {
        // SAFETY: `sigaction` reads and writes the structures it is given, of which all zeros is a valid value; `note`
        // does what a handler may: it stores to atomics and calls the handler before it.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let found = libc::sigaction(signal, std::ptr::null(), &raw mut action);
            if found != 0 || action.sa_flags & libc::SA_SIGINFO != 0 {
                found
            } else {
                before.store(action.sa_sigaction, Ordering::SeqCst);
                action.sa_sigaction = match signal == libc::SIGHUP && is_ignored {
                    true => libc::SIG_IGN,
                    false => note as extern "C" fn(libc::c_int) as usize,
                };
                libc::sigaction(signal, &raw const action, std::ptr::null_mut())
            }
        };
        if done != 0 {
            return Err(Error::last_os_error()).context("cannot listen for signals");
        }
    }
    Ok(())
}

/// Makes errors of the signals that tell of files and would end the process without a word: a file that a limit
/// (`ulimit -f`) stops from growing fails as on a full disk, and a memory-mapped file that another program cut while it
/// was read is said.
#[cfg(unix)]
pub(crate) fn tell_of_files() {
    /// What is mapped are token stores; each is checked when it is opened, by an error that has its name.
    const CUT: &[u8] = b"error: a memory-mapped file of tokens was cut by another program, or its disk failed, while it \
        was read (SIGBUS); what was saved is kept: the same command with `--resume` names the file, and `prepare` \
        makes it again\n";

    extern "C" fn cut(_: libc::c_int) {
        // SAFETY: a handler may call both; the bytes live as long as the process.
        unsafe {
            let _ = libc::write(libc::STDERR_FILENO, CUT.as_ptr().cast(), CUT.len());
            libc::_exit(1);
        }
    }

    // SAFETY: the handlers are functions that a handler may be.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(
            libc::SIGBUS,
            cut as extern "C" fn(libc::c_int) as libc::sighandler_t,
        );
    }
}

/// There are none that tell of files.
#[cfg(not(unix))]
pub(crate) fn tell_of_files() {}

/// There are none to take note of.
///
/// # Errors
/// That of `handle`.
#[cfg(not(unix))]
pub(crate) fn remember(handle: impl FnOnce() -> Result<()>) -> Result<()> {
    handle()
}

/// Asks a process of ours to stop at its next checkpoint.
pub(crate) fn ask_to_stop(child: &std::process::Child) {
    #[cfg(unix)]
    if let Ok(id) = libc::pid_t::try_from(child.id()) {
        // SAFETY: it takes numbers; the child was not waited for, so that the number is still its own.
        unsafe { libc::kill(id, libc::SIGTERM) };
    }
    #[cfg(not(unix))]
    let _ = child;
}

/// Whether a process of ours ended by a signal that asks to stop.
#[must_use]
pub(crate) fn is_stopped(status: std::process::ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        let signal = status.signal();
        signal.is_some_and(|n| [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].contains(&n))
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_was_asked_to_stop_is_told_from_one_that_failed() {
        let ended = |script: &str| {
            let mut shell = Command::new("sh");
            is_stopped(shell.args(["-c", script]).status().unwrap())
        };
        assert!(ended("kill -TERM $$"));
        assert!(!ended("exit 1") && !ended("kill -KILL $$") && !ended("true"));
    }
}

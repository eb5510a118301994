//! Panics of a backend become errors: no panic message or backtrace reaches a user.
//!
//! Burn reports a failing device, a lost driver or exhausted memory by panicking, at times on a
//! thread of its own. The hook collects what was said on any thread; [`catch`] turns it into text.
//! Set `RUST_BACKTRACE=1` to see the backtrace as well.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, Once, PoisonError};

use crate::io::say;
use crate::protocol::{available_memory, gigabytes};

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());
static INSTALL: Once = Once::new();

/// Replaces the panic printer of the process by one that only remembers.
pub fn install_hook() {
    INSTALL.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            remember(info);
            if cfg!(test) {
                before(info);
            }
        }));
    });
}

fn remember(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map(|l| format!(" ({}:{})", l.file(), l.line()))
        .unwrap_or_default();
    let said = format!("{}{place}", said(info.payload()));
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
        say(format_args!(
            "panic: {said}\n{}",
            std::backtrace::Backtrace::force_capture()
        ));
    }
    HEARD
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(said);
}

fn said(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Runs `work`; a panic in it becomes `Err` with the first thing that was said, on one line.
///
/// # Errors
/// The message of the first panic heard on any thread while `work` ran.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install_hook();
    HEARD.lock().unwrap_or_else(PoisonError::into_inner).clear();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
        let first = heard.first().cloned().unwrap_or_else(|| said(&*payload));
        let mut line = first.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.chars().count() > 400 {
            line = line.chars().take(400).collect::<String>() + " …";
        }
        line
    })
}

/// What to change when a device had no memory for what was asked: words that backends and allocators say it in.
#[must_use]
pub fn advice(message: &str) -> Option<String> {
    const SAID: [&str; 6] = [
        "out of memory",
        "outofmemory",
        "can't allocate memory",
        "cannot allocate memory",
        "not enough memory",
        "memory allocation of",
    ];
    let message = message.to_lowercase();
    if !SAID.iter().any(|words| message.contains(words)) {
        return None;
    }
    let free = gigabytes(available_memory());
    Some(format!(
        "memory ran out ({free} are free on this machine; a GPU has its own): take smaller batches (`train.batch_size` or `train.max_tokens`, with `train.grad_accum` for as many \
         examples a step), shorter texts (`model.tgt_len`, `model.mem_len`, `data.max_len`), or `--attention-by fused`, which never \
         holds all scores; `--dry-run` says what a recipe \
         takes, and a changed recipe is a new run"
    ))
}

#[cfg(test)]
mod tests {
    use super::{advice, catch};

    #[test]
    fn what_ran_out_of_memory_is_told_what_to_change() {
        for said in [
            "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate",
            "CUDA out of memory. Tried to allocate 2.00 GiB",
            "Validation Error Caused by: Not enough memory left.",
            "called `Result::unwrap()` on an `Err` value: OutOfMemory",
        ] {
            let advice = advice(said).unwrap();
            assert!(
                advice.contains("grad_accum") && advice.contains("--attention-by"),
                "{advice}"
            );
        }
        assert_eq!(advice("lost device 7"), None);
    }

    #[test]
    fn a_panic_becomes_one_line() {
        assert_eq!(catch(|| 3), Ok(3));
        let error = catch(|| -> u32 { panic!("lost\n  device {}", 7) }).unwrap_err();
        assert!(error.starts_with("lost device 7 ("), "{error}");
    }
}

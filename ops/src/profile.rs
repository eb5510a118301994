//! Where time goes: spans of a program, and within them the operations that have kernels on CPUs.
//!
//! Off until [`start`], and then at the cost of two looks at the clock a span. A span's time is its own: what spans within
//! it took is theirs. Operations of devices that compute later (GPUs) are not measured here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

static IS_ON: AtomicBool = AtomicBool::new(false);
static TOTALS: Mutex<BTreeMap<Path, (u64, Duration)>> = Mutex::new(BTreeMap::new());

/// The outermost span, and the span.
type Path = [&'static str; 2];

thread_local! {
    /// Spans that are open on this thread, and how long those within each took.
    static OPEN: RefCell<Vec<(&'static str, Duration)>> = const { RefCell::new(Vec::new()) };
}

/// What the spans of one name took, within one outermost span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanTotal {
    /// The outermost span.
    pub part: &'static str,
    /// The span; the part itself for what is in none of the others.
    pub name: &'static str,
    /// How often.
    pub calls: u64,
    /// Its own time, in seconds.
    pub seconds: f64,
}

/// Begins to measure, from nothing.
pub fn start() {
    totals().clear();
    IS_ON.store(true, Ordering::Relaxed);
}

/// Ends measuring; what was measured, in order of time.
pub fn stop() -> Vec<SpanTotal> {
    IS_ON.store(false, Ordering::Relaxed);
    let mut found: Vec<_> = std::mem::take(&mut *totals())
        .into_iter()
        .map(|([part, name], (calls, time))| SpanTotal {
            part,
            name,
            calls,
            seconds: time.as_secs_f64(),
        })
        .collect();
    found.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    found
}

/// Does `work`, as a span of this name.
#[inline]
pub fn span<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    match IS_ON.load(Ordering::Relaxed) {
        true => measured(name, work),
        false => work(),
    }
}

fn measured<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    /// Closes the span, also of work that panics.
    struct Closing(Instant);

    impl Drop for Closing {
        fn drop(&mut self) {
            let elapsed = self.0.elapsed();
            let closed = OPEN.with_borrow_mut(|open| {
                let (name, within) = open.pop()?;
                if let Some((_, within)) = open.last_mut() {
                    *within += elapsed;
                }
                let part = open.first().map_or(name, |(part, _)| part);
                Some(([part, name], elapsed.saturating_sub(within)))
            });
            if let Some((path, own)) = closed {
                let mut totals = totals();
                let (calls, time) = totals.entry(path).or_default();
                *calls += 1;
                *time += own;
            }
        }
    }

    OPEN.with_borrow_mut(|open| open.push((name, Duration::ZERO)));
    let _closing = Closing(Instant::now());
    work()
}

fn totals() -> std::sync::MutexGuard<'static, BTreeMap<Path, (u64, Duration)>> {
    TOTALS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: there is one clock.
    #[test]
    fn a_span_has_its_own_time() {
        let wait = |ms| std::thread::sleep(Duration::from_millis(ms));
        span("unmeasured", || wait(1));
        start();
        for _ in 0..2 {
            span("outer", || {
                wait(20);
                span("inner", || span("innermost", || wait(40)));
            });
        }
        span("inner", || wait(1));
        let panicking = || std::panic::catch_unwind(|| span("failing", || panic!("on purpose")));
        span("outer", panicking).unwrap_err();
        // One thread's spans are within no other's.
        std::thread::scope(|scope| {
            span("outer", || scope.spawn(|| span("elsewhere", || ())).join()).unwrap();
        });
        let found = stop();
        let of = |part, name| {
            let found = found
                .iter()
                .find(|total| [total.part, total.name] == [part, name]);
            found.map(|total| (total.calls, total.seconds)).unwrap()
        };
        // Waits may be longer, and are not shorter.
        assert!(of("outer", "innermost").0 == 2 && of("outer", "innermost").1 >= 0.08);
        assert!(of("outer", "outer").0 == 4 && of("outer", "outer").1 >= 0.04);
        assert!(of("outer", "inner").0 == 2 && of("outer", "inner").1 < of("outer", "innermost").1);
        assert_eq!(of("inner", "inner").0, 1);
        assert_eq!(of("outer", "failing").0, 1);
        assert_eq!(of("elsewhere", "elsewhere").0, 1);
        assert!(found.iter().all(|total| total.name != "unmeasured"));
        assert!(found.is_sorted_by(|a, b| a.seconds >= b.seconds));
        assert!(stop().is_empty());
    }
}

//! Gives a target its inputs, and counts what goes wrong.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once, OnceLock, mpsc};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::fence::Fence;
use super::mutation::altered;
use super::{Target, allocator};

/// How many inputs, and which.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Inputs at most.
    pub inputs: u64,
    /// Seconds at most.
    pub seconds: u64,
    /// Another seed gives other inputs.
    pub seed: u64,
    /// Number of the first input.
    pub first: u64,
}

/// An input may take this long: of computing, or of doing nothing. On a busy machine more time passes.
const LONGEST: Duration = Duration::from_secs(5);
/// An input that computes now and then may take this long.
const LONGEST_BUSY: Duration = Duration::from_secs(300);
/// Computing that is none.
const NOTHING: Duration = Duration::from_millis(1);
/// Bytes that a reader may hold whatever its input.
const SPARE: usize = 64_000_000;
/// Bytes that a reader may hold for each byte of its input.
const FACTOR: usize = 10;
/// After so many hangs, each of which leaves a thread at work, a target is given up.
const MOST_HANGS: u64 = 3;

/// What a target did with its inputs.
#[derive(Default)]
pub struct Counts {
    target: &'static str,
    seed: u64,
    pub inputs: u64,
    pub accepted: u64,
    pub seconds: f64,
    pub panics: u64,
    pub hangs: u64,
    pub allocations: u64,
    pub outside: u64,
    /// Most bytes held for one input.
    pub most_held: usize,
    /// Longest time of one input.
    pub longest: Duration,
    /// Kinds of faults: how often, and the first input.
    kinds: BTreeMap<String, (u64, u64)>,
}

impl Counts {
    /// All that went wrong.
    pub fn n_faults(&self) -> u64 {
        self.panics + self.hangs + self.allocations + self.outside
    }

    fn note(&mut self, kind: String, input: u64) {
        let seen = self.kinds.entry(kind).or_insert((0, input));
        seen.0 += 1;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} inputs, {:.0} s, {} accepted, {} panics, {} hangs, {} allocations, {} outside; at most {:.1} MB and {:.2} s an input",
            self.target,
            self.inputs,
            self.seconds,
            self.accepted,
            self.panics,
            self.hangs,
            self.allocations,
            self.outside,
            self.most_held as f64 / 1e6,
            self.longest.as_secs_f64(),
        )?;
        for (kind, (n, first)) in &self.kinds {
            write!(
                f,
                "\n  {n} x {kind}\n      --target {} --seed {} --first {first} --inputs 1",
                self.target, self.seed
            )?;
        }
        Ok(())
    }
}

thread_local! {
    /// What a panic of this thread said, where the thread is one of the fuzzer.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}
const THREAD: &str = "fuzz";

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> String {
    (payload
        .downcast_ref::<&str>()
        .map(|said| (*said).to_owned()))
    .or_else(|| payload.downcast_ref::<String>().cloned())
    .unwrap_or_default()
}

/// Keeps what panics of the fuzzer's threads say; those of others are printed as before.
fn keep_panics() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(THREAD) {
                return before(info);
            }
            let place = info
                .location()
                .map(|at| format!("{}:{}", at.file(), at.line()))
                .unwrap_or_default();
            let said: String = said(info.payload()).chars().take(160).collect();
            SAID.set(Some(format!(
                "panic at {place}: {}",
                said.replace('\n', " ")
            )));
        }));
    });
}

/// Where a thread is, for the one that watches it.
struct Place {
    input: AtomicU64,
    /// Milliseconds since the start, [`u64::MAX`] between inputs.
    since: AtomicU64,
    /// The clock of the thread, and what it said at `since`.
    clock: OnceLock<Clock>,
    computed: AtomicU64,
    /// That nobody waits for it any more.
    is_left: AtomicBool,
}

impl Place {
    /// Whether the input that is being read takes too long.
    fn hangs(&self, start: Instant) -> bool {
        let since = self.since.load(Ordering::Acquire);
        if since == u64::MAX {
            return false;
        }
        let passed = start.elapsed().saturating_sub(Duration::from_millis(since));
        let before = Duration::from_micros(self.computed.load(Ordering::Acquire));
        let now = self.clock.get().and_then(|clock| clock.now());
        match now.map(|now| now.saturating_sub(before)) {
            Some(computed) => {
                computed > LONGEST
                    || (passed > LONGEST && computed < NOTHING)
                    || passed > LONGEST_BUSY
            }
            None => passed > LONGEST,
        }
    }
}

/// What one input did.
struct Outcome {
    input: u64,
    accepted: bool,
    most_held: usize,
    len: usize,
    took: Duration,
    panic: Option<String>,
    outside: bool,
}

/// Runs a target in a folder of its own below `work`; inputs with faults are kept in `keep`.
///
/// # Panics
/// When an unaltered file of the target is not accepted, or its folder cannot be made.
pub fn run(target: &'static Target, limits: &Limits, work: &Path, keep: Option<&Path>) -> Counts {
    keep_panics();
    let root = work.join(format!(
        "sparta-fuzz-{}-{}",
        std::process::id(),
        target.name
    ));
    let mut counts = Counts {
        target: target.name,
        seed: limits.seed,
        ..Counts::default()
    };
    let start = Instant::now();
    let end = limits.first.saturating_add(limits.inputs);
    let mut next = limits.first;
    while next < end && counts.hangs < MOST_HANGS {
        let (send, receive) = mpsc::sync_channel(256);
        let place = Arc::new(Place {
            input: AtomicU64::new(next),
            since: AtomicU64::new(u64::MAX),
            clock: OnceLock::new(),
            computed: AtomicU64::new(0),
            is_left: AtomicBool::new(false),
        });
        let (at, root, limits) = (
            Arc::clone(&place),
            root.join(counts.hangs.to_string()),
            *limits,
        );
        let is_first = next == limits.first && counts.hangs == 0;
        let work = move || {
            feed(
                target,
                &limits,
                &root,
                (next..end, start),
                is_first,
                &at,
                &send,
            )
        };
        let thread = std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(work)
            .expect("a thread starts");
        loop {
            match receive.recv_timeout(Duration::from_millis(250)) {
                Ok(outcome) => {
                    take(&mut counts, target, limits.seed, outcome, keep);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    if let Err(payload) = thread.join() {
                        panic!("{}: {}", target.name, said(&*payload));
                    }
                    next = end;
                    break;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if place.hangs(start) {
                        let input = place.input.load(Ordering::Acquire);
                        place.is_left.store(true, Ordering::Release);
                        counts.inputs += 1;
                        counts.hangs += 1;
                        counts.longest = counts.longest.max(LONGEST);
                        counts.note(format!("over {} s", LONGEST.as_secs()), input);
                        keep_input(target, limits.seed, input, keep);
                        next = input + 1;
                        break;
                    }
                }
            }
        }
    }
    counts.seconds = start.elapsed().as_secs_f64();
    if counts.hangs == 0 {
        let _ = fs::remove_dir_all(&root);
    }
    counts
}

fn take(counts: &mut Counts, target: &Target, seed: u64, outcome: Outcome, keep: Option<&Path>) {
    let Outcome {
        input,
        accepted,
        most_held,
        len,
        took,
        panic,
        outside,
    } = outcome;
    counts.inputs += 1;
    counts.accepted += u64::from(accepted);
    counts.most_held = counts.most_held.max(most_held);
    counts.longest = counts.longest.max(took);
    let before = counts.n_faults();
    if let Some(said) = panic {
        counts.panics += 1;
        counts.note(said, input);
    }
    if most_held > FACTOR * len + SPARE {
        counts.allocations += 1;
        counts.note(
            format!(
                "more than {FACTOR} times the input and {} MB",
                SPARE / 1_000_000
            ),
            input,
        );
    }
    if outside {
        counts.outside += 1;
        counts.note("a trace outside of the folder".to_owned(), input);
    }
    if counts.n_faults() > before {
        keep_input(target, seed, input, keep);
    }
}

fn keep_input(target: &Target, seed: u64, input: u64, keep: Option<&Path>) {
    let Some(folder) = keep else { return };
    let bytes = altered(seed, target.name, input, &(target.corpus)());
    let path = folder.join(format!("{}-{seed}-{input}", target.name));
    if let Err(error) = fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes)) {
        eprintln!("cannot keep {}: {error}", path.display());
    }
}

/// The thread that reads.
fn feed(
    target: &Target,
    limits: &Limits,
    root: &Path,
    (inputs, start): (std::ops::Range<u64>, Instant),
    is_first: bool,
    place: &Place,
    outcomes: &mpsc::SyncSender<Outcome>,
) {
    let fence = Fence::around(root).expect("the folder of the target can be made");
    let corpus = (target.corpus)();
    let mut read = (target.open)(&fence.inside());
    // Of a process that dies (a stack that overflows, memory that is not there) this is what is left.
    let at = root.with_extension("at");
    let mut at = fs::File::create(&at).expect("the number of the input can be written");
    if is_first {
        for (number, file) in corpus.good.iter().enumerate() {
            assert!(
                read(file),
                "file {number} of the corpus is not accepted as it is"
            );
        }
    }
    let clock = *place.clock.get_or_init(Clock::of_this_thread);
    let computed = || clock.now().unwrap_or_default();
    let first = inputs.start;
    for input in inputs {
        // One at least, however slow the machine is.
        let is_over = input > first && start.elapsed().as_secs() >= limits.seconds;
        if place.is_left.load(Ordering::Acquire) || is_over {
            return;
        }
        let bytes = altered(limits.seed, target.name, input, &corpus);
        place.input.store(input, Ordering::Release);
        let noted = at.rewind().and_then(|()| write!(at, "{input:20}"));
        noted.expect("the number of the input can be written");
        let at_first = computed();
        place
            .computed
            .store(at_first.as_micros() as u64, Ordering::Release);
        place
            .since
            .store(start.elapsed().as_millis() as u64, Ordering::Release);
        let before = Instant::now();
        SAID.set(None);
        let (result, most_held) =
            allocator::most_held(|| catch_unwind(AssertUnwindSafe(|| read(&bytes))));
        let took = match clock.now() {
            Some(now) => now.saturating_sub(at_first),
            None => before.elapsed(),
        };
        place.since.store(u64::MAX, Ordering::Release);
        let panic = result
            .is_err()
            .then(|| SAID.take().unwrap_or_else(|| "panic".to_owned()));
        let outcome = Outcome {
            input,
            accepted: result.unwrap_or(false),
            most_held,
            len: bytes.len(),
            took,
            panic,
            outside: fence.is_broken(),
        };
        if outcome.panic.is_some() {
            // What it was in the middle of is not known.
            read = (target.open)(&fence.inside());
        }
        if outcomes.send(outcome).is_err() {
            return;
        }
    }
}

//! The time that a thread computed, which on a busy machine is not the time that passed.

#![allow(unsafe_code, reason = "the system's clocks of threads")]

use std::time::Duration;

/// The clock of a thread, which others can read as long as the thread lives.
#[derive(Debug, Clone, Copy)]
pub struct Clock(#[cfg(target_os = "linux")] libc::clockid_t);

impl Clock {
    /// That of the calling thread.
    #[cfg(target_os = "linux")]
    pub fn of_this_thread() -> Self {
        let mut id = 0;
        // SAFETY: the calling thread is there, and `id` is written.
        let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut id) };
        assert_eq!(failed, 0, "a thread has a clock");
        Self(id)
    }

    /// That of the calling thread; elsewhere there is none.
    #[cfg(not(target_os = "linux"))]
    pub fn of_this_thread() -> Self {
        Self()
    }

    /// What the thread has computed; none where the system does not say, or the thread has ended.
    #[cfg(target_os = "linux")]
    pub fn now(self) -> Option<Duration> {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `now` is written; a clock of a thread that has ended is refused.
        let failed = unsafe { libc::clock_gettime(self.0, &raw mut now) };
        (failed == 0).then(|| Duration::new(now.tv_sec as u64, now.tv_nsec as u32))
    }

    /// What the thread has computed; elsewhere nobody says.
    #[cfg(not(target_os = "linux"))]
    pub fn now(self) -> Option<Duration> {
        None
    }
}

//! Unix: `setsid`, and signals turned into calls on an ordinary thread.
//!
//! It must not do anything in a signal handler itself; `signal-hook` writes to a pipe there and no more.

use std::ffi::c_int;
use std::io;
use std::thread::JoinHandle;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::Termination;

pub(super) fn detach_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// The thread that waits for signals.
#[derive(Debug)]
pub(super) struct Watch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn watch(mut callback: Box<dyn FnMut(Termination) + Send>) -> io::Result<Watch> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    let thread = std::thread::Builder::new().name("termination".into()).spawn(move || {
        for signal in signals.forever() {
            callback(meaning(signal));
        }
    })?;
    Ok(Watch { handle, thread: Some(thread) })
}

fn meaning(signal: c_int) -> Termination {
    match signal {
        SIGINT => Termination::Interrupt,
        SIGHUP => Termination::HangUp,
        _ => Termination::Terminate,
    }
}

/// Told by Linux in `/proc`; elsewhere none is known to be ignored.
pub(super) fn ignored() -> Vec<Termination> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    [SIGTERM, SIGINT, SIGHUP]
        .into_iter()
        .filter(|signal| mask & (1 << (signal - 1)) != 0)
        .map(meaning)
        .collect()
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        let Some(thread) = self.thread.take() else { return };
        let is_own = thread.thread().id() == std::thread::current().id();
        if !is_own && thread.join().is_err() {
            tracing::warn!("the termination callback panicked");
        }
    }
}

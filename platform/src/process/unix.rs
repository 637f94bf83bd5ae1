//! Unix: `setsid`, and signals turned into calls on an ordinary thread.
//!
//! It must not do anything in a signal handler itself; `signal-hook` writes to a pipe there and no more.

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
            callback(match signal {
                SIGINT => Termination::Interrupt,
                SIGHUP => Termination::HangUp,
                _ => Termination::Terminate,
            });
        }
    })?;
    Ok(Watch { handle, thread: Some(thread) })
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

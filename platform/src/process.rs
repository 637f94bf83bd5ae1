//! Living in the background: leaving the terminal's session, and ending cleanly when told to.
//!
//! It must not know what there is to clean up; that is the callback's business (typically
//! [`Unmounter::unmount_now`](crate::mount::Unmounter::unmount_now)).

use std::io;

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;

/// Why the process was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// SIGTERM: somebody, or a shutdown, ends the process.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

/// Makes this process independent of the terminal it was started from, so that closing that or pressing
/// Ctrl-C there does not reach it. To be called by a freshly started child; its standard streams are the
/// starter's to set (to `/dev/null` or a log, never closed: their numbers must stay taken).
///
/// # Errors
/// If the process is a group leader already; does nothing successfully where there are no sessions.
pub fn detach_session() -> io::Result<()> {
    system::detach_session()
}

/// From now on a signal to end (SIGTERM, SIGINT, SIGHUP) calls `callback` instead, on a thread of its own
/// where anything is allowed, once per signal. The process no longer ends by itself.
///
/// # Errors
/// If the handlers cannot be set; [`io::ErrorKind::Unsupported`] where there are no signals.
pub fn on_termination(callback: impl FnMut(Termination) + Send + 'static) -> io::Result<TerminationGuard> {
    Ok(TerminationGuard { _watch: system::watch(Box::new(callback))? })
}

/// Which of these signals this process was started to ignore, as `nohup` and a shell's `&` do. To be asked before
/// [`on_termination`], which no longer lets any of them be ignored by itself.
pub fn ignored_terminations() -> Vec<Termination> {
    system::ignored()
}

/// Stops calling back when dropped; later signals to end are then ignored, not acted on.
#[derive(Debug)]
pub struct TerminationGuard {
    _watch: system::Watch,
}

//! Systems without sessions and signals.
//!
//! It must not know anything; it exists so that callers need no conditional code.

use std::io;

use super::Termination;

#[expect(clippy::unnecessary_wraps, reason = "same signature as on systems where it can fail")]
pub(super) fn detach_session() -> io::Result<()> {
    Ok(())
}

/// Nothing to watch.
#[derive(Debug)]
pub(super) struct Watch;

pub(super) fn watch(_callback: Box<dyn FnMut(Termination) + Send>) -> io::Result<Watch> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

pub(super) fn ignored() -> Vec<Termination> {
    Vec::new()
}

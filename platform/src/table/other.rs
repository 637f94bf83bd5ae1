//! Systems without mounts: the list is empty and nothing can be unmounted.
//!
//! It must not know anything; it exists so that callers need no conditional code.

use std::io;
use std::path::Path;

use super::{MountEntry, UnmountError, UnmountMode};

#[expect(clippy::unnecessary_wraps, reason = "same signature as on systems where reading the table can fail")]
pub(super) fn mounts() -> io::Result<Vec<MountEntry>> {
    Ok(Vec::new())
}

pub(super) fn unmount(_mountpoint: &Path, _mode: UnmountMode) -> Result<(), UnmountError> {
    Err(UnmountError::Unsupported)
}

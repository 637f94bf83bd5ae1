//! The adapter of systems that have none yet: every mount is refused with a sentence that says so.
//!
//! It must not know anything else; it exists so that `mount` needs no conditional code.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::mount::{MountError, MountOptions};
use crate::port::ReadOnlyTree;
use crate::table::Device;

#[cfg(windows)]
const REASON: &str = "mounting is not possible on Windows: WinFsp support is not built yet";
#[cfg(target_os = "macos")]
const REASON: &str = "mounting is not possible on macOS: macFUSE support is not built yet";
#[cfg(not(any(windows, target_os = "macos")))]
const REASON: &str = "mounting is not supported on this operating system";

/// A server that cannot exist.
#[derive(Debug)]
pub(crate) struct Serving(Infallible);

impl Serving {
    pub(crate) fn mountpoint(&self) -> &Path {
        match self.0 {}
    }

    pub(crate) fn device(&self) -> Option<Device> {
        match self.0 {}
    }

    pub(crate) fn liveness(&self) -> Liveness {
        match self.0 {}
    }

    pub(crate) fn join(self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn wait_at_most(self, _patience: Duration) {
        match self.0 {}
    }
}

/// Whether a mount that cannot exist is alive.
#[derive(Clone, Debug)]
pub(crate) struct Liveness(Infallible);

impl Liveness {
    pub(crate) fn is_alive(&self) -> bool {
        match self.0 {}
    }
}

/// Refuses.
pub(crate) fn serve(
    _tree: Arc<dyn ReadOnlyTree>,
    _mountpoint: &Path,
    _options: &MountOptions,
) -> Result<Serving, MountError> {
    Err(MountError::Unsupported(REASON))
}

//! How operating systems ask for files.
//!
//! This crate owns the *port* ([`ReadOnlyTree`]) and one adapter per operating system that serves any
//! implementation of it: fuser on Linux (and later macOS), `WinFsp` later on Windows, and [`loopback`], which
//! drives the port with no kernel at all so that one behaviour suite covers every adapter.
//!
//! It must not know what a vault, a commit or a pack is: it depends on nothing that defines them. It is the
//! only crate of the workspace in which `unsafe` may appear.

#[cfg(target_os = "linux")]
mod fuse;
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub mod lending;
pub mod loopback;
pub mod mount;
pub mod port;
pub mod process;
pub mod table;
#[cfg(not(target_os = "linux"))]
mod unsupported;

pub use mount::{MountError, MountOptions, Mounted, Opens, Unmounter, mount};
pub use port::{
    Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit, VolumeInfo,
};
pub use table::{MountEntry, UnmountError, UnmountMode};

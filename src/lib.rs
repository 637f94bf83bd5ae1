//! hubvault: a local, embedded, versioned repository for large machine-learning artifacts.
//!
//! A vault is one folder that holds committed, immutable revisions of files. Ids are Git's, file metadata is
//! the Hugging Face Hub's, and a revision can be read as a folder through a mount.
//!
//! - [`ops`]: the use cases; [`ops::Repository`] is where to start.
//! - [`snapshot`]: one committed revision, read-only.
//! - [`mount`]: a snapshot answering what a kernel asks of a file system.
//! - [`store`]: bytes at rest; for those who build on the format.
//! - `cli`: the `hv` program; the only part that has a terminal, a clock and an environment.
//!
//! Imports point down: `cli` to `ops`, `snapshot` and `mount`; `mount` to `snapshot`; `ops` to `snapshot` and
//! `store`; `snapshot` to `store`. A test checks that.

#[cfg(feature = "cli")]
pub mod cli;
pub mod mount;
pub mod ops;
pub mod snapshot;
pub mod store;

pub use ops::{OpsError, Repository};
pub use snapshot::{Snapshot, SnapshotError};

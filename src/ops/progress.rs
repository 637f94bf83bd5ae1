//! How far long work is: the one vocabulary in which all of it tells.
//!
//! Who asks for the work passes a closure that is told; what is shown of it, and how often, is theirs to say. Must not
//! know who listens, or what the time is.

use std::path::Path;

use serde::Serialize;

/// Something that work tells while it goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// What is to be gone through from now on; counting begins anew.
    Found {
        /// Number of files: the user's, or packs.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// This file is begun.
    File(&'a Path),
    /// So many more bytes were gone through.
    Read(u64),
    /// It goes on with this.
    Phase(Phase),
}

/// A part of the work that is not about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is found out what there is to do.
    Looking,
    /// Somebody is committing; it goes on when they are done.
    Waiting,
    /// What is in the vault is stored again.
    Storing,
    /// What nothing needs is taken away.
    Collecting,
    /// What was done becomes visible.
    Publishing,
}

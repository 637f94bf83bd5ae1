//! Recoding: content that is there is stored another way, pack by pack, without being read from outside again.
//!
//! A pack is never changed. What files need of it goes into new packs, and every file record that lies in it is said
//! again, in one ordinary transaction whose index is newer and so the one that is believed. That the old pack is then
//! not needed any more is for a collection to find out, which knows who still reads it. `survey` finds out which packs
//! are worth it, `sources` what files need of them, `run` writes. Files that damage hurts stay as they are. Nothing here
//! knows refs or paths.

mod run;
mod sources;
mod survey;

use std::collections::HashSet;

pub use run::Recoded;
pub use survey::{Candidate, stored_len, survey};

use sources::{Damage, Sources};

use super::catalog::Catalog;
use super::error::StoreError;
use super::id::{PackId, Sha256};

/// Something that cannot be read, and the contents that have a part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hurt {
    /// What is wrong, naming the vault file.
    pub problem: String,
    /// The contents.
    pub contents: Vec<Sha256>,
}

impl StoreError {
    /// Whether stored bytes could not be read: they are damaged or missing, or the disk did not give them.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Io { action: "read", .. })
    }
}

/// The contents of which something lies in a pack of its own file that cannot be read at all.
///
/// # Errors
/// [`StoreError::Damaged`] for a damaged index.
pub fn lost(catalog: &Catalog, pack: PackId, problem: &StoreError) -> Result<Vec<Hurt>, StoreError> {
    let sources = Sources::find(catalog, &[pack], &HashSet::new())?;
    Ok(sources.hurt(&[Damage { place: (pack, 0), range: 0..u64::MAX, problem: problem.to_string() }]))
}

//! What a vault is set to: what was fixed when it was made, and what can be changed at any time.
//!
//! A change is a transaction like any other, so it can be undone, and every copy of the vault knows it.

use serde::Serialize;

use super::error::OpsError;
use super::{Actor, Compression, Repository};
use crate::store::publish::Change;

/// The settings of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VaultSettings {
    /// How hard content is compressed when nothing else is said.
    pub compression: Compression,
    /// Files of at least this many bytes are LFS pointers in Git's eyes; fixed when the vault was made.
    pub large_file_threshold: u64,
}

impl Repository {
    /// What the vault is set to.
    pub fn settings(&self) -> VaultSettings {
        VaultSettings {
            compression: self.vault().view().state.compression,
            large_file_threshold: self.vault().settings().large_file_threshold,
        }
    }

    /// From now on content is compressed like this when nothing else is said; what is there stays as it is. Answers the
    /// number of the transaction, if one was needed.
    pub fn set_compression(&self, compression: Compression, actor: &Actor) -> Result<Option<u64>, OpsError> {
        self.transact(actor, "settings", |transaction, view| {
            if view.state.compression == compression {
                return Ok(transaction.confirm().map(|()| None)?);
            }
            let change = Change { compression: Some(compression), ..Change::default() };
            Ok(Some(transaction.publish(change)?.seq))
        })
    }
}

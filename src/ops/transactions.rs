//! The transactions of a vault as its users see them: what was done, when, by whom, and what it moved.

use std::sync::Arc;

use serde::Serialize;

use super::Repository;
use super::error::OpsError;
use super::reflog::as_iso;
use crate::store::id::ObjectId;
use crate::store::log::backward::{Backward, backward};
use crate::store::log::record::Record;
use crate::store::object::Timestamp;
use crate::store::pack::Compression;
use crate::store::vault::View;

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransactionInfo {
    /// Its number; the first is 1.
    pub transaction: u64,
    /// When it was made; as JSON ISO 8601 in UTC.
    #[serde(serialize_with = "as_iso")]
    pub timestamp: Timestamp,
    /// Who made it, as `Name <email>`.
    pub actor: String,
    /// What was asked for, in one word.
    pub command: String,
    /// Every ref it moved, by name.
    pub refs: Vec<MovedRef>,
    /// Short name of the default branch from then on, when it changed.
    pub default_branch: Option<String>,
    /// How hard content is compressed from then on, when that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Bytes of packs it brought.
    pub pack_bytes: u64,
}

/// A ref that a transaction moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MovedRef {
    /// The full name.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Where it was; `None` when it was new.
    pub old: Option<ObjectId>,
    /// Where it went; `None` when it was deleted.
    pub new: Option<ObjectId>,
    /// Why, as the reflog shows it.
    pub message: String,
}

/// Transactions, newest first, read as they are asked for.
#[derive(Debug)]
pub struct Transactions(Backward<Arc<View>>);

impl Iterator for Transactions {
    type Item = Result<TransactionInfo, OpsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.0.next()?;
        Some(read.map(|(_, record)| describe(record)).map_err(OpsError::from))
    }
}

fn describe(record: Record) -> TransactionInfo {
    TransactionInfo {
        transaction: record.seq,
        timestamp: record.timestamp(),
        default_branch: record.default_branch.map(|name| name.short().to_owned()),
        compression: record.compression,
        pack_bytes: record.packs.iter().map(|pack| pack.len).sum(),
        refs: record
            .refs
            .into_iter()
            .map(|change| MovedRef {
                git_ref: change.name.to_string(),
                old: change.old,
                new: change.new,
                message: change.message,
            })
            .collect(),
        actor: record.actor,
        command: record.command,
    }
}

impl Repository {
    /// Every transaction that counts, newest first. Damage to the log is the last item, after all that is newer.
    pub fn transactions(&self) -> Transactions {
        Transactions(backward(self.vault().view()))
    }

    /// The transaction with this number.
    ///
    /// # Errors
    /// [`OpsError::TransactionNotFound`].
    pub fn transaction(&self, number: u64) -> Result<TransactionInfo, OpsError> {
        let view = self.vault().view();
        record(&view, Some(number))?.map(describe).ok_or(OpsError::TransactionNotFound(number))
    }
}

/// The record with this number, or the newest; `None` when no record that counts has it.
pub(super) fn record(view: &View, number: Option<u64>) -> Result<Option<Record>, OpsError> {
    for read in backward(view) {
        let (at, record) = read?;
        match number {
            Some(number) if at.seq > number => {}
            Some(number) if at.seq < number => break,
            _ => return Ok(Some(record)),
        }
    }
    Ok(None)
}

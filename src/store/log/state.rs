//! The state of a vault: the fold of its log. Plain data, no I/O.
//!
//! A state is never changed once it is made; folding a record gives the next one. Readers keep the one they
//! opened for as long as they like.

use std::collections::BTreeMap;

use super::record::{Checkpoint, Previous, Record};
use crate::store::frame::Checksum;
use crate::store::id::{IndexId, ObjectId};
use crate::store::refname::RefName;

/// Refs, default branch and live indexes after some transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The newest transaction; `None` before the first.
    pub tip: Option<Previous>,
    /// Number of the next record to write.
    pub next: u64,
    /// Every ref.
    pub refs: BTreeMap<RefName, ObjectId>,
    /// The branch `HEAD` stands for; `None` before the first transaction.
    pub default_branch: Option<RefName>,
    /// Live indexes, oldest first.
    pub indexes: Vec<IndexId>,
}

impl State {
    /// The state a checkpoint describes.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Self {
        Self {
            tip: Some(checkpoint.at),
            next: checkpoint.at.seq + 1,
            refs: checkpoint.refs,
            default_branch: Some(checkpoint.default_branch),
            indexes: checkpoint.indexes,
        }
    }

    /// The checkpoint that describes this state; `None` before the first transaction.
    pub fn to_checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            at: self.tip?,
            refs: self.refs.clone(),
            default_branch: self.default_branch.clone()?,
            indexes: self.indexes.clone(),
        })
    }

    /// Folds one more record.
    pub fn fold(&mut self, record: &Record, checksum: Checksum) {
        self.tip = Some(Previous { seq: record.seq, checksum });
        self.next = self.next.max(record.seq + 1);
        for change in &record.refs {
            match change.new {
                Some(id) => self.refs.insert(change.name.clone(), id),
                None => self.refs.remove(&change.name),
            };
        }
        if record.default_branch.is_some() {
            self.default_branch.clone_from(&record.default_branch);
        }
        self.indexes.retain(|id| !record.retired_indexes.contains(id));
        self.indexes.extend(record.index);
    }
}

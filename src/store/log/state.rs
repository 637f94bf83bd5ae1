//! The state of a vault: the fold of its log. Plain data, no I/O.
//!
//! A state is never changed once it is made; folding a record gives the next one. Readers keep the one they
//! opened for as long as they like.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Checkpoint, Previous, Record};
use crate::store::frame::Checksum;
use crate::store::id::{IndexId, ObjectId, PackId};
use crate::store::pack::Compression;
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
    /// How hard content is compressed when nothing else is said.
    pub compression: Compression,
    /// Live indexes, oldest first.
    pub indexes: Vec<IndexId>,
    /// Packs that are retired and that live indexes may still describe: to be taken as absent.
    pub retired_packs: BTreeSet<PackId>,
    /// Number of the newest transaction that collects ([`Record::collects`]); 0 when there is none.
    pub collected: u64,
}

impl State {
    /// The state a checkpoint describes.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Self {
        Self {
            tip: Some(checkpoint.at),
            next: checkpoint.at.seq + 1,
            refs: checkpoint.refs,
            default_branch: Some(checkpoint.default_branch),
            compression: checkpoint.compression,
            indexes: checkpoint.indexes,
            retired_packs: checkpoint.retired_packs,
            collected: checkpoint.collected,
        }
    }

    /// The checkpoint that describes this state; `None` before the first transaction.
    pub fn to_checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            at: self.tip?,
            refs: self.refs.clone(),
            default_branch: self.default_branch.clone()?,
            compression: self.compression,
            indexes: self.indexes.clone(),
            retired_packs: self.retired_packs.clone(),
            collected: self.collected,
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
        self.compression = record.compression.unwrap_or(self.compression);
        let before = self.indexes.len();
        self.indexes.retain(|id| !record.retired_indexes.contains(id));
        self.retired_packs.extend(&record.retired_packs);
        if self.indexes.is_empty() && before > 0 {
            // The index it brought, if any, is the only one, and describes no retired pack.
            self.retired_packs.clear();
        }
        self.indexes.extend(record.index);
        if record.collects {
            self.collected = record.seq;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::frame;
    use crate::store::log::record::{CHECKPOINT, RECORD};

    fn record(seq: u64, compression: Option<Compression>) -> Record {
        let json = serde_json::json!({ "seq": seq, "previous": null, "time": 0, "offset": 0, "actor": "", "command": "" });
        Record { compression, ..serde_json::from_value(json).unwrap() }
    }

    #[test]
    fn only_what_says_a_setting_needs_a_later_program() {
        let versions = |bytes: &[u8]| String::from_utf8_lossy(bytes).split(' ').nth(1).unwrap().to_owned();
        let mut state = State { default_branch: Some(RefName::branch("main").unwrap()), ..State::default() };
        for (compression, after, of_record, of_checkpoint) in [
            (None, Compression::Auto, "1", "1"),
            (Some(Compression::Max), Compression::Max, "2", "2"),
            (None, Compression::Max, "1", "2"),
            (Some(Compression::Auto), Compression::Auto, "2", "1"),
        ] {
            let record = record(state.next + 1, compression);
            let (bytes, checksum) = record.encode();
            assert_eq!(versions(&bytes), of_record);
            assert_eq!(frame::decode::<Record>(RECORD, &bytes).unwrap().0, record);
            state.fold(&record, checksum);
            assert_eq!(state.compression, after);
            let (bytes, _) = state.to_checkpoint().unwrap().encode();
            assert_eq!(versions(&bytes), of_checkpoint);
            let read = State::from_checkpoint(frame::decode(CHECKPOINT, &bytes).unwrap().0);
            assert_eq!(read.compression, after);
        }
    }
}

//! What a transaction record and a checkpoint say, field by field; `docs/format.md` explains them.
//!
//! Plain data that serialises to JSON with stable names. Unknown fields are refused: a later version of the
//! format raises the frame's version instead of being half understood. No I/O here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::store::frame::{self, Checksum};
use crate::store::id::{IndexId, ObjectId, PackId};
use crate::store::object::Timestamp;
use crate::store::pack::Compression;
use crate::store::refname::RefName;

/// Frame kind of a record.
pub const RECORD: &str = "record";
/// Frame kind of a checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// Version of what says how content is compressed: a program that does not know that must not take part.
const SETTINGS: u32 = 2;

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its number; the first is 1.
    pub seq: u64,
    /// Number and checksum of the record it was built on; absent for the first.
    pub previous: Option<Previous>,
    /// When it was made, seconds since 1970 UTC.
    pub time: i64,
    /// Offset of the maker's clock from UTC in minutes.
    pub offset: i32,
    /// Who made it, as `Name <email>`.
    pub actor: String,
    /// What was asked for, in one word: `commit`, `branch`.
    pub command: String,
    /// Every ref it moved, in name order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<RefChange>,
    /// The default branch from now on, when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<RefName>,
    /// How hard content is compressed from now on when nothing else is said, when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Packs it brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<NewPack>,
    /// The index it brought, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexId>,
    /// Indexes that are live no longer because the new one says all they said that is still needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_indexes: Vec<IndexId>,
    /// Packs that are live no longer: what indexes still say of them does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_packs: Vec<PackId>,
    /// Whether files that no state names are removed once it is durable: a transaction that began before it
    /// may rely on one of them, and must not be published after it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collects: bool,
}

impl Record {
    /// The bytes of its file, and the checksum of their JSON part.
    pub fn encode(&self) -> (Vec<u8>, Checksum) {
        frame::encode_as(if self.compression.is_some() { SETTINGS } else { frame::VERSION }, RECORD, self)
    }

    /// When it was made, with the maker's offset.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp { seconds: self.time, offset_minutes: self.offset }
    }
}

/// The record another one was built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its number.
    pub seq: u64,
    /// BLAKE3 of its JSON.
    pub checksum: Checksum,
}

/// A ref that a transaction created, moved or deleted: an entry of its reflog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefChange {
    /// The full name.
    pub name: RefName,
    /// Where it was; `None` when it is new.
    pub old: Option<ObjectId>,
    /// Where it is; `None` when it was deleted.
    pub new: Option<ObjectId>,
    /// Why, as the reflog shows it.
    pub message: String,
}

/// A pack that a transaction brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPack {
    /// Its name.
    pub id: PackId,
    /// Its length in bytes.
    pub len: u64,
}

/// The state after a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The transaction it follows.
    pub at: Previous,
    /// Every ref.
    pub refs: BTreeMap<RefName, ObjectId>,
    /// The default branch.
    pub default_branch: RefName,
    /// How hard content is compressed when nothing else is said.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub compression: Compression,
    /// The live indexes, oldest first.
    pub indexes: Vec<IndexId>,
    /// Packs that live indexes may still describe and that are retired.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub retired_packs: BTreeSet<PackId>,
    /// Number of the newest transaction that collects; 0 when there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub collected: u64,
}

impl Checkpoint {
    /// The bytes of its file, and the checksum of their JSON part.
    pub fn encode(&self) -> (Vec<u8>, Checksum) {
        let version = if is_usual(&self.compression) { frame::VERSION } else { SETTINGS };
        frame::encode_as(version, CHECKPOINT, self)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_usual(compression: &Compression) -> bool {
    *compression == Compression::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

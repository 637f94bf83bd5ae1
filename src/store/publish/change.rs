//! What a record says: which refs move, what is retired, and whether that fits the state it is said of.
//!
//! Values and checks only; must not touch a medium.

use crate::store::error::StoreError;
use crate::store::id::{IndexId, ObjectId, PackId};
use crate::store::log::record::{NewPack, Record, RefChange};
use crate::store::log::state::State;
use crate::store::pack::Compression;
use crate::store::refname::RefName;
use crate::store::transaction::Context;

/// What a transaction changes besides the content it brings.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Refs to move. `old` is where each must be now.
    pub refs: Vec<RefChange>,
    /// The default branch from now on, when it changes.
    pub default_branch: Option<RefName>,
    /// How hard content is compressed when nothing else is said, from now on, when that changes.
    pub compression: Option<Compression>,
}

impl Change {
    /// Moves one ref from where it is expected to be.
    pub fn moving(name: RefName, old: Option<ObjectId>, new: Option<ObjectId>, message: &str) -> Self {
        Self { refs: vec![move_ref(name, old, new, message)], ..Self::default() }
    }

    /// Whether every ref is where it was believed to be, and none will stand in another's way.
    pub(super) fn check(&self, state: &State) -> Result<(), StoreError> {
        for wanted in &self.refs {
            let found = state.refs.get(&wanted.name).copied();
            if found != wanted.old {
                return Err(StoreError::RefMoved { name: wanted.name.clone(), expected: wanted.old, found });
            }
            let goes =
                |name: &RefName| self.refs.iter().any(|other| other.name == *name && other.new.is_none());
            let in_the_way = |other: &&RefName| other.conflicts_with(&wanted.name) && !goes(other);
            if wanted.new.is_some()
                && let Some(other) = state.refs.keys().find(in_the_way)
            {
                return Err(StoreError::RefConflict { name: wanted.name.clone(), other: other.clone() });
            }
        }
        Ok(())
    }
}

/// Where a ref is expected to be and where it goes.
pub fn move_ref(name: RefName, old: Option<ObjectId>, new: Option<ObjectId>, message: &str) -> RefChange {
    RefChange { name, old, new, message: message.to_owned() }
}

/// What a collection says is live no longer.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Retired {
    /// Indexes, whose live part the new one says.
    pub(in crate::store) indexes: Vec<IndexId>,
    /// Packs, whose live chunks were moved.
    pub(in crate::store) packs: Vec<PackId>,
}

impl Retired {
    /// The record that says so.
    pub(in crate::store) fn into_record(self, plain: Record) -> Record {
        Record { retired_indexes: self.indexes, retired_packs: self.packs, collects: true, ..plain }
    }
}

/// A record on top of `state` that changes nothing but the content there is.
pub(in crate::store) fn plain_record(
    context: &Context,
    state: &State,
    packs: Vec<NewPack>,
    index: Option<IndexId>,
) -> Record {
    Record {
        seq: state.next,
        previous: state.tip,
        time: context.time.seconds,
        offset: context.time.offset_minutes,
        actor: context.actor.clone(),
        command: context.command.clone(),
        refs: Vec::new(),
        default_branch: None,
        compression: None,
        packs,
        index,
        retired_indexes: Vec::new(),
        retired_packs: Vec::new(),
        collects: false,
    }
}

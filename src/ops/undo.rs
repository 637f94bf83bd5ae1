//! `undo`: a new transaction that puts back what an earlier one moved. The log only grows: the undone transaction
//! stays in it, and undoing the undo does it again.
//!
//! Only refs, the default branch and settings are put back, and only when each is still where the transaction left it: what
//! came later is never lost with it.

use serde::Serialize;

use super::error::OpsError;
use super::models::RefMove;
use super::transactions::record;
use super::{Actor, Repository};
use crate::snapshot::reflog::show;
use crate::store::id::ObjectId;
use crate::store::log::backward::backward;
use crate::store::log::record::{Record, RefChange};
use crate::store::pack::Compression;
use crate::store::publish::{Change, move_ref};
use crate::store::refname::RefName;
use crate::store::vault::View;

/// What an undo did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoOutcome {
    /// Number of the transaction that was undone.
    pub undone: u64,
    /// What it was, in one word.
    pub command: String,
    /// Where its refs are now, by name.
    pub refs: Vec<RefMove>,
    /// Short name of the default branch from now on, when it changes.
    pub default_branch: Option<String>,
    /// How hard content is compressed from now on, when that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Number of the new transaction; `None` when nothing was done yet.
    pub transaction: Option<u64>,
    /// Number of the newest transaction before the undone one that can be undone next: undoing without a number would do
    /// again what was undone. `None` also when nothing was done yet.
    pub further_back: Option<u64>,
}

impl Repository {
    /// Puts back every ref that `transaction` (default: the newest) moved, the default branch and settings. With `dry_run`
    /// nothing is changed, and the same is checked.
    ///
    /// # Errors
    /// [`OpsError::UndoConflict`] when something moved one of them since; [`OpsError::CannotUndo`] for a
    /// transaction that moved nothing, for the first one, and when a commit to go back to is gone.
    pub fn undo(
        &self,
        transaction: Option<u64>,
        dry_run: bool,
        actor: &Actor,
    ) -> Result<UndoOutcome, OpsError> {
        if dry_run {
            let view = self.vault().refresh()?;
            return Ok(Undo::find(&view, transaction)?.outcome(None));
        }
        let mut outcome = self.transact(actor, "undo", |open, view| {
            let undo = Undo::find(view, transaction)?;
            let published = open.publish(undo.change())?;
            Ok(undo.outcome(Some(published.seq)))
        })?;
        let next = self.vault().refresh().map_err(OpsError::from);
        match next.and_then(|view| newest_undoable(&view, outcome.undone)) {
            Ok(next) => outcome.further_back = next.map(|next| next.seq),
            // It is done, whatever else cannot be read.
            Err(error) => tracing::debug!(%error, "what can be undone next cannot be told"),
        }
        Ok(outcome)
    }
}

/// What is to be put back.
struct Undo {
    record: Record,
    default_branch: Option<RefName>,
    compression: Option<Compression>,
}

impl Undo {
    /// The undo of the transaction with this number, or of the newest.
    fn find(view: &View, number: Option<u64>) -> Result<Self, OpsError> {
        let missing = || OpsError::TransactionNotFound(number.unwrap_or_default());
        let record = record(view, number)?.ok_or_else(missing)?;
        if changes_something(&record) {
            return Self::plan(view, record);
        }
        let detail = "it moved no branch or tag and changed no setting (`hv op log` shows which ones did)";
        let detail = newest_undoable(view, record.seq)?.map_or_else(
            || detail.to_owned(),
            |next| {
                let (number, command) = (next.seq, next.command);
                format!(
                    "{detail}; the newest that can be undone is {number} (`{command}`): `hv undo {number}`"
                )
            },
        );
        Err(refuse(&record, &detail))
    }

    fn plan(view: &View, mut record: Record) -> Result<Self, OpsError> {
        record.refs.sort_by(|a, b| a.name.cmp(&b.name));
        if record.previous.is_none() {
            return Err(refuse(&record, "it made the vault; to be rid of the vault, delete its folder"));
        }
        for change in &record.refs {
            check_unmoved(view, &record, change)?;
            if let Some(id) = change.old {
                check_there(view, &record, change, id)?;
            }
        }
        let default_branch = default_before(view, &record)?;
        let compression = compression_before(view, &record)?;
        let undo = Self { record, default_branch, compression };
        undo.check_default(view)?;
        Ok(undo)
    }

    /// The default branch must exist afterwards.
    fn check_default(&self, view: &View) -> Result<(), OpsError> {
        let default = match &self.default_branch {
            Some(name) => name,
            None => view.default_branch()?,
        };
        let put_back = self.record.refs.iter().find(|change| change.name == *default);
        if put_back.map_or_else(|| view.target(default), |change| change.old).is_some() {
            return Ok(());
        }
        let detail = format!(
            "{default} would be the default branch and not exist; make another one the default first \
             (`hv branch --default NAME`)"
        );
        Err(refuse(&self.record, &detail))
    }

    fn change(&self) -> Change {
        let message = format!("undo: of transaction {} ({})", self.record.seq, self.record.command);
        let back = |change: &RefChange| move_ref(change.name.clone(), change.new, change.old, &message);
        Change {
            refs: self.record.refs.iter().map(back).collect(),
            default_branch: self.default_branch.clone(),
            compression: self.compression,
        }
    }

    fn outcome(self, transaction: Option<u64>) -> UndoOutcome {
        let back = |change: &RefChange| RefMove::new(&change.name, change.new, change.old, transaction);
        UndoOutcome {
            undone: self.record.seq,
            refs: self.record.refs.iter().map(back).collect(),
            default_branch: self.default_branch.map(|name| name.short().to_owned()),
            compression: self.compression,
            command: self.record.command,
            transaction,
            further_back: None,
        }
    }
}

/// Whether there is anything to take back.
fn changes_something(record: &Record) -> bool {
    !record.refs.is_empty() || record.default_branch.is_some() || record.compression.is_some()
}

/// Most records that are looked at for one to undo.
const LOOKED_AT: usize = 1000;

/// The newest record before the one with this number that can be undone now.
fn newest_undoable(view: &View, before: u64) -> Result<Option<Record>, OpsError> {
    for read in
        backward(view).skip_while(|read| read.as_ref().is_ok_and(|(at, _)| at.seq >= before)).take(LOOKED_AT)
    {
        let (_, record) = read?;
        if changes_something(&record) && stands(view, &record)? && Undo::plan(view, record.clone()).is_ok() {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Whether all that a record moved is where it left it: much sooner known than all that an undo needs.
fn stands(view: &View, record: &Record) -> Result<bool, OpsError> {
    let default = view.default_branch()?;
    Ok(record.refs.iter().all(|change| view.target(&change.name) == change.new)
        && record.default_branch.as_ref().is_none_or(|name| name == default)
        && record.compression.is_none_or(|compression| compression == view.state.compression))
}

fn refuse(record: &Record, detail: &str) -> OpsError {
    OpsError::CannotUndo { transaction: record.seq, detail: detail.to_owned() }
}

fn check_unmoved(view: &View, record: &Record, change: &RefChange) -> Result<(), OpsError> {
    if view.target(&change.name) == change.new {
        return Ok(());
    }
    let moved = |later: &Record| later.refs.iter().any(|moved| moved.name == change.name);
    conflict(view, record, &change.name.to_string(), &moved)
}

/// The error for something that is not where `record` left it.
fn conflict(
    view: &View,
    record: &Record,
    what: &str,
    moved: &dyn Fn(&Record) -> bool,
) -> Result<(), OpsError> {
    let later = newest_since(view, record, moved)?;
    Err(OpsError::UndoConflict {
        transaction: record.seq,
        what: what.to_owned(),
        later: later.as_ref().map_or(record.seq, |later| later.seq),
        command: later.map_or_else(|| record.command.clone(), |later| later.command),
    })
}

/// The newest record after `record` that is `wanted`.
fn newest_since(
    view: &View,
    record: &Record,
    wanted: &dyn Fn(&Record) -> bool,
) -> Result<Option<Record>, OpsError> {
    for read in backward(view) {
        let (at, later) = read?;
        if at.seq <= record.seq {
            break;
        }
        if wanted(&later) {
            return Ok(Some(later));
        }
    }
    Ok(None)
}

/// A commit to go back to must still be in the vault.
fn check_there(view: &View, record: &Record, change: &RefChange, id: ObjectId) -> Result<(), OpsError> {
    if view.catalog.try_object(id)?.is_some() {
        return Ok(());
    }
    let removed = newest_since(view, record, &|later| matches!(later.command.as_str(), "gc" | "squash"))?;
    let when = removed.map_or_else(String::new, |later| {
        format!(
            ": transaction {} (`{}`, {}) removed what nothing led to",
            later.seq,
            later.command,
            show(later.timestamp())
        )
    });
    Err(refuse(record, &format!("{id}, where {} was, is no longer in the vault{when}", change.name)))
}

/// What the default branch was before `record`, when that changed it.
fn default_before(view: &View, record: &Record) -> Result<Option<RefName>, OpsError> {
    let Some(set) = &record.default_branch else { return Ok(None) };
    let said = |record: &Record| record.default_branch.clone();
    if view.default_branch()? != set {
        conflict(view, record, "the default branch", &|later| said(later).is_some())?;
    }
    said_before(view, record, &said)
}

/// How hard content was compressed before `record`, when that changed it.
fn compression_before(view: &View, record: &Record) -> Result<Option<Compression>, OpsError> {
    let Some(set) = record.compression else { return Ok(None) };
    let said = |record: &Record| record.compression;
    if view.state.compression != set {
        conflict(view, record, "the compression setting", &|later| said(later).is_some())?;
    }
    Ok(said_before(view, record, &said)?.or_else(|| Some(Compression::default())))
}

/// What the newest record before `record` that says something says.
fn said_before<T>(
    view: &View,
    record: &Record,
    said: &dyn Fn(&Record) -> Option<T>,
) -> Result<Option<T>, OpsError> {
    for read in backward(view) {
        let (at, earlier) = read?;
        if at.seq < record.seq
            && let Some(value) = said(&earlier)
        {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

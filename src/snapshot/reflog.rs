//! What a branch or tag was before: its reflog, read from the transaction log.
//!
//! Every change of a ref is in a record, so nothing here needs the commits to exist: a reflog can be read after the
//! ref was deleted and after `gc`. [`find`] says which ref a name means, [`Reflog`] is its changes, newest first;
//! `@{...}` in a revision picks one. It knows no clock: times are instants.

use std::ops::Deref;

use super::error::{SnapshotError, not_found};
use crate::store::StoreError;
use crate::store::frame::Checksum;
use crate::store::id::ObjectId;
use crate::store::log::backward::{Backward, backward};
use crate::store::object::Timestamp;
use crate::store::refname::RefName;
use crate::store::vault::View;

/// A change of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the transaction.
    pub seq: u64,
    /// Checksum of its record.
    pub checksum: Checksum,
    /// When it was made.
    pub time: Timestamp,
    /// Who made it, as `Name <email>`.
    pub actor: String,
    /// Where the ref was; `None` when it was new.
    pub old: Option<ObjectId>,
    /// Where it went; `None` when it was deleted.
    pub new: Option<ObjectId>,
    /// Why.
    pub message: String,
}

/// The changes of one ref, newest first, read as they are asked for. Damage to the log is the last item, after
/// everything that is newer.
#[derive(Debug)]
pub struct Reflog<V> {
    records: Backward<V>,
    name: RefName,
}

/// The reflog of the ref with this full name; empty when it never existed.
pub fn reflog<V: Deref<Target = View>>(view: V, name: RefName) -> Reflog<V> {
    Reflog { records: backward(view), name }
}

impl<V> Reflog<V> {
    /// The full name of the ref.
    pub fn name(&self) -> &RefName {
        &self.name
    }
}

impl<V: Deref<Target = View>> Iterator for Reflog<V> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, record) = match self.records.next()? {
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            };
            let time = record.timestamp();
            let Some(change) = record.refs.into_iter().find(|change| change.name == self.name) else {
                continue;
            };
            return Some(Ok(Entry {
                seq: at.seq,
                checksum: at.checksum,
                time,
                actor: record.actor,
                old: change.old,
                new: change.new,
                message: change.message,
            }));
        }
    }
}

/// The ref that `name` means: `HEAD`, `@` or nothing (the default branch), a full name, or the short name of a
/// branch or tag that exists or once did.
///
/// # Errors
/// [`SnapshotError::AmbiguousRevision`] for the short name of a branch and a tag,
/// [`SnapshotError::RevisionNotFound`] when nothing ever had the name.
pub fn find(view: &View, name: &str) -> Result<RefName, SnapshotError> {
    if matches!(name, "" | "@" | "HEAD") {
        return Ok(view.default_branch()?.clone());
    }
    let candidates: Vec<RefName> = if name.starts_with("refs/") {
        RefName::new(name).into_iter().collect()
    } else {
        [RefName::branch(name), RefName::tag(name)].into_iter().flatten().collect()
    };
    let exist = candidates.iter().filter(|name| view.target(name).is_some()).cloned().collect();
    one_of(name, exist)?.map_or_else(|| one_of_the_past(view, name, &candidates), Ok)
}

fn one_of(name: &str, mut found: Vec<RefName>) -> Result<Option<RefName>, SnapshotError> {
    if found.len() > 1 {
        return Err(SnapshotError::AmbiguousRevision {
            revision: name.to_owned(),
            detail: format!("it is a branch and a tag; say refs/heads/{name} or refs/tags/{name}"),
        });
    }
    Ok(found.pop())
}

/// The ref among `candidates` that existed once.
fn one_of_the_past(view: &View, name: &str, candidates: &[RefName]) -> Result<RefName, SnapshotError> {
    let mut seen: Vec<RefName> = Vec::new();
    for record in backward(view) {
        if seen.len() == candidates.len() {
            break;
        }
        let changes = record?.1.refs;
        let names = changes.into_iter().map(|change| change.name);
        for name in names.filter(|name| candidates.contains(name)) {
            if !seen.contains(&name) {
                seen.push(name);
            }
        }
    }
    one_of(name, seen)?.ok_or_else(|| SnapshotError::RevisionNotFound {
        revision: name.to_owned(),
        detail: "no branch or tag has or had this name; `hv branch` and `hv tag` list them".to_owned(),
    })
}

/// Where the ref `name` was `n` changes ago; 0 is where it is now. `revision` is for errors, as it was asked for.
pub fn nth(view: &View, name: &RefName, n: usize, revision: &str) -> Result<ObjectId, SnapshotError> {
    let mut last: Option<Entry> = None;
    let mut count = 0;
    for entry in reflog(view, name.clone()) {
        let entry = entry?;
        if count == n {
            return value(&entry, name, revision);
        }
        count += 1;
        last = Some(entry);
    }
    Err(not_found(revision, &format!("{name} changed {count} time(s); {}", since(last.as_ref(), name))))
}

/// Where the ref `name` was at an instant, in seconds since 1970 UTC: after the newest change that is not later.
pub fn at(view: &View, name: &RefName, seconds: i64, revision: &str) -> Result<ObjectId, SnapshotError> {
    let mut last: Option<Entry> = None;
    for entry in reflog(view, name.clone()) {
        let entry = entry?;
        if entry.time.seconds <= seconds {
            return value(&entry, name, revision);
        }
        last = Some(entry);
    }
    Err(not_found(revision, &since(last.as_ref(), name)))
}

fn value(entry: &Entry, name: &RefName, revision: &str) -> Result<ObjectId, SnapshotError> {
    let deleted = || {
        let when = show(entry.time);
        not_found(
            revision,
            &format!("{name} did not exist then: transaction {} deleted it {when}", entry.seq),
        )
    };
    entry.new.ok_or_else(deleted)
}

fn since(first: Option<&Entry>, name: &RefName) -> String {
    first.map_or_else(
        || format!("{name} never existed"),
        |entry| {
            let when = show(entry.time);
            format!("{name} was created {when}, by transaction {}: that is as far back as it goes", entry.seq)
        },
    )
}

/// A time for people, as its maker's clock showed it.
pub fn show(time: Timestamp) -> String {
    time.format("%Y-%m-%d %H:%M:%S %z")
}

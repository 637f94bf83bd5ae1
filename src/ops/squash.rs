//! `squash_history`: a branch's history begins anew, with the same files.
//!
//! The commits from a root to the head, along first parents, are made again on top of nothing: same trees, authors,
//! messages and times, other parents, so other ids. One transaction moves the branch; what the old history alone
//! needed is freed by the collection that follows, unless the undo window, a reader or another ref still has it.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::error::OpsError;
use super::gc::{GcOptions, GcReport};
use super::history::History;
use super::refs::{branch_named, head};
use super::{Actor, Phase, Progress, Repository};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::interrupt::Interrupt;
use crate::store::object::{Commit, Kind, message};
use crate::store::publish::Change;
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

/// Headers that speak of the commit as it was: a signature, a merged tag.
const BOUND_TO_OLD: [&[u8]; 3] = [b"gpgsig", b"gpgsig-sha256", b"mergetag"];

/// How to squash.
#[derive(Debug, Clone, Default)]
pub struct SquashOptions {
    /// First commit that is kept, as the new beginning; the head alone when `None`.
    pub root_revision: Option<String>,
    /// Title of the new first commit; its own when `None`.
    pub commit_message: Option<String>,
    /// The rest of its message.
    pub commit_description: Option<String>,
    /// How to collect garbage afterwards, if at all.
    pub gc: Option<GcOptions>,
}

/// What squashing did.
#[derive(Debug, Clone, Serialize)]
pub struct SquashReport {
    /// Full name of the branch.
    pub ref_name: String,
    /// Where it was.
    pub old_head: ObjectId,
    /// Where it is.
    pub new_head: ObjectId,
    /// The commit that its history now begins with, as it was before.
    pub root_commit_before: ObjectId,
    /// Commits made again.
    pub rewritten_commit_count: u64,
    /// Commits of the old history that have no new counterpart.
    pub dropped_ancestor_count: u64,
    /// Other refs that lead to some of the old history, and so keep it.
    pub blocking_refs: Vec<String>,
    /// Number of the transaction; none when the history was like this already.
    pub transaction: Option<u64>,
    /// What the collection freed, if one was asked for.
    pub gc_report: Option<GcReport>,
}

impl Repository {
    /// Lets the history of a branch (short name or `refs/heads/...`) begin at `options.root_revision`.
    ///
    /// # Errors
    /// [`OpsError::NotInHistory`] when the root is not on the branch's line of first parents;
    /// [`OpsError::RefName`] for what is no branch. [`OpsError::OnlySquashed`] when the collection fails or is interrupted:
    /// the branch is squashed then.
    pub fn squash_history(
        &self,
        branch: &str,
        options: &SquashOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<SquashReport, OpsError> {
        let name = branch_named(branch)?;
        progress(Progress::Phase(Phase::Looking));
        let interrupt = self.vault().interrupt();
        let mut report = self.transact(actor, "squash", |transaction, view| {
            squash(transaction, view, &name, options, interrupt)
        })?;
        if let Some(gc) = &options.gc {
            match (self.gc(gc, &actor.again(), progress), report.transaction) {
                (Ok(freed), _) => report.gc_report = Some(freed),
                (Err(source), None) => return Err(source),
                (Err(source), Some(transaction)) => {
                    let (report, source) = (Box::new(report), Box::new(source));
                    return Err(OpsError::OnlySquashed { report, transaction, source });
                }
            }
        }
        Ok(report)
    }
}

fn squash(
    transaction: &mut Transaction<'_>,
    view: &Arc<View>,
    name: &RefName,
    options: &SquashOptions,
    interrupt: &Interrupt,
) -> Result<SquashReport, OpsError> {
    let head = head(view, name)?;
    let root = match &options.root_revision {
        Some(revision) => resolve::commit(view, revision)?,
        None => head,
    };
    let chain = chain(view, name, head, root)?;
    let new_head = remake(transaction, view, &chain, options, interrupt)?.unwrap_or(head);
    let mut old = HashSet::new();
    for step in History::from(view, &head.to_string())? {
        interrupt.check()?;
        old.insert(step?.0);
    }
    let mut report = SquashReport {
        ref_name: name.to_string(),
        old_head: head,
        new_head,
        root_commit_before: root,
        rewritten_commit_count: chain.len() as u64,
        dropped_ancestor_count: (old.len() - chain.len()) as u64,
        blocking_refs: Vec::new(),
        transaction: None,
        gc_report: None,
    };
    if new_head == head {
        transaction.confirm()?;
        return Ok(report);
    }
    report.blocking_refs = blocking(view, name, &old, interrupt)?;
    let why = format!("squash: {} commits from {}", chain.len(), root.short());
    let change = Change::moving(name.clone(), Some(head), Some(new_head), &why);
    report.transaction = Some(transaction.publish(change)?.seq);
    Ok(report)
}

/// Makes the commits of a chain again on top of nothing; answers the last.
fn remake(
    transaction: &mut Transaction<'_>,
    view: &View,
    chain: &[ObjectId],
    options: &SquashOptions,
    interrupt: &Interrupt,
) -> Result<Option<ObjectId>, OpsError> {
    let mut made = None;
    for &id in chain.iter().rev() {
        interrupt.check()?;
        let mut commit = view.catalog.commit(id)?;
        commit.extra_headers.retain(|(header, _)| !BOUND_TO_OLD.contains(&header.as_slice()));
        if made.is_none() {
            rename(&mut commit, options);
        }
        commit.parents = made.into_iter().collect();
        made = Some(transaction.add_object(Kind::Commit, &commit.encode())?);
    }
    Ok(made)
}

fn rename(commit: &mut Commit, options: &SquashOptions) {
    if options.commit_message.is_some() || options.commit_description.is_some() {
        let title = options.commit_message.clone().unwrap_or_else(|| commit.title());
        commit.message = message(&title, options.commit_description.as_deref());
    }
}

/// The commits from `head` down to `root` along first parents.
fn chain(view: &View, name: &RefName, head: ObjectId, root: ObjectId) -> Result<Vec<ObjectId>, OpsError> {
    let mut chain = vec![head];
    let mut at = head;
    while at != root {
        at = view.catalog.commit(at)?.parents.first().copied().ok_or_else(|| OpsError::NotInHistory {
            revision: root.short(),
            branch: name.short().to_owned(),
        })?;
        chain.push(at);
    }
    Ok(chain)
}

/// Other refs that lead to one of `old`.
fn blocking(
    view: &Arc<View>,
    name: &RefName,
    old: &HashSet<ObjectId>,
    interrupt: &Interrupt,
) -> Result<Vec<String>, OpsError> {
    let mut found = Vec::new();
    for (other, id) in view.state.refs.iter().filter(|(other, _)| *other != name) {
        for step in History::from(view, &id.to_string())? {
            interrupt.check()?;
            if old.contains(&step?.0) {
                found.push(other.to_string());
                break;
            }
        }
    }
    Ok(found)
}

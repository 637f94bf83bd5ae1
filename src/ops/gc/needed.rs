//! What a collection must leave alone, and for whom.
//!
//! Roots are every ref, the commit of every live lease, and where refs were and went in the undo window. What is reached
//! from them stays, whatever else goes. A damaged vault is not collected from: what cannot be read could lead to anything.

use std::collections::HashSet;

use super::{GcOptions, Holder};
use crate::ops::{Phase, Progress};
use crate::store::StoreError;
use crate::store::catalog::broken_index;
use crate::store::collect::{Basis, Folder, Policy, readers};
use crate::store::id::{ObjectId, PackId};
use crate::store::lease::Lease;
use crate::store::log::{record_path, scan};
use crate::store::mark::{Marker, Missing};
use crate::store::vault::{Vault, View};
use crate::store::{index, pack};

/// What a collection starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Roots {
    /// What refs lead to, readers, and the undo window.
    Refs,
    /// All that is stored: only what was stored again elsewhere goes. The history is not walked.
    Everything,
}

/// What is needed, and who needs what no ref does.
pub(super) struct Needed<'v> {
    pub(super) basis: Basis<'v>,
    pub(super) held: Vec<Holder>,
}

/// Going through all that is needed.
struct Walk<'v, 'p> {
    vault: &'v Vault,
    view: &'v View,
    marker: Marker<'v>,
    policy: Policy,
    folder: Folder,
    held: Vec<Holder>,
    progress: &'p mut dyn FnMut(Progress<'_>),
}

impl<'v> Needed<'v> {
    /// Marks all that is needed `now`, from `roots`; `progress` is told how many bytes of content that is so far.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`]; what is said of the damage when the vault is not whole.
    pub(super) fn find(
        vault: &'v Vault,
        view: &'v View,
        (options, roots): (&GcOptions, Roots),
        now: i64,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, StoreError> {
        progress(Progress::Phase(Phase::Looking));
        check_whole(view)?;
        let folder = Folder::read(vault.media())?;
        let leases = readers(vault.media())?;
        let mut walk = Walk {
            vault,
            view,
            marker: Marker::new(&view.catalog),
            policy: Policy { thorough: options.thorough, ..Policy::default() },
            folder,
            held: Vec::new(),
            progress,
        };
        if roots == Roots::Everything {
            walk.marker.mark_all()?;
        } else {
            for &id in view.state.refs.values() {
                walk.mark(id, Missing::Refuse)?;
            }
        }
        let leases = walk.readers(leases)?;
        let settled = if roots == Roots::Everything { HashSet::new() } else { walk.past(options, now)? };
        let Walk { marker: Marker { marks, .. }, policy, folder, held, .. } = walk;
        let interrupt = vault.interrupt();
        Ok(Self { basis: Basis { view, marks, policy, folder, leases, settled, interrupt }, held })
    }
}

/// What cannot be read could lead to anything, and an unfinished transaction could still be completed.
fn check_whole(view: &View) -> Result<(), StoreError> {
    if let Some(broken) = view.catalog.broken().first() {
        return Err(broken_index(broken));
    }
    if let Some(tip) = view.state.tip
        && view.state.next > tip.seq + 1
    {
        let detail = "it is passed over: if the vault is still being copied, let that finish; else the next commit \
                      settles that it never was";
        return Err(StoreError::damaged(&record_path(view.state.next - 1), detail));
    }
    for index in view.catalog.indexes() {
        index.check_all_blocks()?;
        index.check_layout()?;
    }
    Ok(())
}

impl Walk<'_, '_> {
    fn mark(&mut self, root: ObjectId, missing: Missing) -> Result<(), StoreError> {
        self.marker.begin(root, missing);
        let mut told = self.marker.tally.content;
        while self.marker.step()? {
            self.vault.interrupt().check()?;
            let found = self.marker.tally.content;
            if found > told {
                (self.progress)(Progress::Read(found - told));
                told = found;
            }
        }
        Ok(())
    }

    /// What is being read: its commit stays, and its content where it is. Answers the leases that were marked for.
    fn readers(&mut self, leases: Vec<(PackId, Option<Lease>)>) -> Result<Vec<PackId>, StoreError> {
        let catalog = &self.view.catalog;
        let mut marked = Vec::new();
        for (name, lease) in leases {
            let Some(lease) = lease else {
                // It is not on the list of those marked: then nothing is removed.
                self.policy.keep_unnamed_packs = true;
                continue;
            };
            if catalog.try_object(lease.commit)?.is_none() {
                // Collected before it was seen: its holder has an older view, and nothing can be marked for it.
                self.policy.keep_unnamed_packs = true;
                continue;
            }
            marked.push(name);
            let before = self.marker.tally;
            self.mark(lease.commit, Missing::Skip)?;
            let size = self.marker.tally.since(&before).stored;
            let mut content = Marker::new(catalog);
            if let Ok(commit) = catalog.commit(lease.commit) {
                content.mark(commit.tree, Missing::Skip)?;
            }
            self.policy.held.add(catalog, &content.marks)?;
            self.policy.keep_unnamed_packs |= lease.transaction < self.view.state.collected;
            self.held.push(Holder { by: lease.purpose, pid: Some(lease.pid), until: None, size });
        }
        Ok(marked)
    }

    /// Where refs were in the undo window. Answers which unnamed files earlier records retired.
    fn past(&mut self, options: &GcOptions, now: i64) -> Result<HashSet<String>, StoreError> {
        let unnamed: HashSet<_> = self.folder.unnamed(self.view)?.into_iter().map(|(path, _)| path).collect();
        let mut settled = HashSet::new();
        let before = self.marker.tally;
        let mut newest = None;
        let mut at = self.view.state.tip;
        while let Some(tip) = at {
            let record = scan::record(self.vault.media(), tip)?;
            if options.keep_since.is_some_and(|since| record.time >= since) {
                let reached = self.marker.tally;
                for id in record.refs.iter().flat_map(|change| [change.old, change.new]).flatten() {
                    self.mark(id, Missing::Skip)?;
                }
                if self.marker.tally != reached {
                    newest = newest.max(Some(record.time));
                }
            }
            let retired = record.retired_packs.iter().map(|&id| pack::path_of(id));
            let retired = retired.chain(record.retired_indexes.iter().map(|&id| index::path_of(id)));
            settled.extend(retired.filter(|path| unnamed.contains(path)));
            at = record.previous;
        }
        if let (Some(newest), Some(since)) = (newest, options.keep_since) {
            let size = self.marker.tally.since(&before).stored;
            let until = Some(newest.saturating_add(now.saturating_sub(since)));
            self.held.push(Holder { by: "undo".to_owned(), pid: None, until, size });
        }
        Ok(settled)
    }
}

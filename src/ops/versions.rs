//! A vault as it goes on, for mounts that outlive one commit: refs as they are now, and commits that are kept.
//!
//! Each commit that is opened has a lease of its own, taken in the order that is safe beside a collection
//! ([`Repository::leased_snapshot`]). Knows nothing of what is shown, or how.

use std::collections::{BinaryHeap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Actor, Repository};
use crate::snapshot::versions::{Held, Refs, Versions};
use crate::snapshot::{ObjectId, Snapshot, SnapshotError, resolve};
use crate::store::id::PackId;
use crate::store::lease::{self, Lease};
use crate::store::log::scan;
use crate::store::vault::View;

/// A repository that goes on being read.
#[derive(Debug)]
pub struct LiveVault {
    repository: Repository,
    purpose: String,
    pid: u32,
    since: i64,
    nonce: [u8; 16],
    leases: AtomicU64,
    last: Mutex<Option<(Arc<View>, Arc<Refs>)>>,
}

impl LiveVault {
    /// Reads `repository` on behalf of the process `pid`; `purpose` is what its leases say, for people. The actor's
    /// nonce names the leases, its time is theirs.
    pub fn new(repository: Repository, actor: &Actor, purpose: &str, pid: u32) -> Self {
        Self {
            repository,
            purpose: purpose.to_owned(),
            pid,
            since: actor.signature.time().seconds,
            nonce: actor.nonce,
            leases: AtomicU64::new(0),
            last: Mutex::new(None),
        }
    }

    /// The newest state. The log's next file says whether there is one: that is one question to the disk.
    fn newest(&self) -> Result<Arc<View>, SnapshotError> {
        let vault = self.repository.vault();
        let view = vault.view();
        if scan::has_grown(vault.media(), view.state.next) { Ok(vault.refresh()?) } else { Ok(view) }
    }

    /// A name no other lease has: the nonce never repeats, and neither does the count.
    fn lease_name(&self) -> PackId {
        let count = self.leases.fetch_add(1, Relaxed);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.nonce).update(&count.to_le_bytes());
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        PackId::from_bytes(name)
    }
}

fn refs_of(view: &View) -> Refs {
    let mut refs = Refs { number: view.state.next, ..Refs::default() };
    for (name, &id) in &view.state.refs {
        let map = match (name.is_branch(), name.is_tag()) {
            (true, _) => &mut refs.branches,
            (_, true) => &mut refs.tags,
            _ => continue,
        };
        map.insert(name.short().to_owned(), id);
    }
    if let Ok(branch) = view.default_branch() {
        branch.short().clone_into(&mut refs.default_branch);
        let commit = view.target(branch).and_then(|id| view.catalog.commit(id).ok());
        refs.time = commit.map_or(0, |commit| commit.committer.time().seconds);
    }
    refs
}

impl Versions for LiveVault {
    fn refs(&self) -> Result<Arc<Refs>, SnapshotError> {
        let view = self.newest()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, refs)) = &*last
            && Arc::ptr_eq(known, &view)
        {
            return Ok(Arc::clone(refs));
        }
        let refs = Arc::new(refs_of(&view));
        // Of two that come at once, the newer state stays.
        if last.as_ref().is_none_or(|(known, _)| known.state.next <= view.state.next) {
            *last = Some((view, Arc::clone(&refs)));
        }
        Ok(refs)
    }

    fn commit(&self, id: ObjectId) -> Result<(ObjectId, i64), SnapshotError> {
        let view = self.newest()?;
        let commit = resolve::peeled(&view, id)?;
        Ok((commit, view.catalog.commit(commit)?.committer.time().seconds))
    }

    fn hold(&self, commit: ObjectId, name: &str) -> Result<Held, SnapshotError> {
        let vault = self.repository.vault();
        let transaction = self.newest()?.state.tip.map_or(0, |tip| tip.seq);
        let (purpose, pid, since) = (self.purpose.clone(), self.pid, self.since);
        let lease = Lease { commit, purpose, pid, since, transaction };
        let lease = lease::take(&self.repository.media, self.lease_name(), &lease);
        // Only now is the commit looked up: see `Repository::leased_snapshot`.
        let view = vault.refresh()?;
        let snapshot = Snapshot::open_at(view, commit, name, self.repository.cache())?;
        Ok(Held { snapshot, lease })
    }

    fn history(&self, most: usize) -> Result<Vec<(i64, ObjectId)>, SnapshotError> {
        let view = self.newest()?;
        let (mut seen, mut pending, mut found) = (HashSet::new(), BinaryHeap::new(), Vec::new());
        for id in self.refs()?.branches.values() {
            if seen.insert(*id) {
                pending.push((view.catalog.commit(*id)?.committer.time().seconds, *id));
            }
        }
        while let Some((time, id)) = pending.pop() {
            found.push((time, id));
            if found.len() == most {
                break;
            }
            for parent in view.catalog.commit(id)?.parents {
                if seen.insert(parent) {
                    pending.push((view.catalog.commit(parent)?.committer.time().seconds, parent));
                }
            }
        }
        Ok(found)
    }

    fn cached_bytes(&self) -> usize {
        self.repository.cache.bytes()
    }

    fn may_hold_whole_files(&self) -> bool {
        // Damage is found by whoever reads what is damaged.
        self.repository.vault().view().catalog.may_hold_whole_files().unwrap_or(true)
    }
}

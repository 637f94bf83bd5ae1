//! Making a collection: under its lock, published first, files removed after.
//!
//! One record says all of it. Only when there is no room for that, a first record that retires whole dead packs
//! makes some: it needs a few hundred bytes. Readers are looked for again between publishing and removing: one that
//! came meanwhile may look for what is to go, and then everything stays for the next collection.

use std::collections::HashSet;
use std::time::Duration;

use super::Basis;
use super::compose::{Count, Target, compose};
use super::survey::Plan;
use crate::store::error::StoreError;
use crate::store::id::{IndexId, PackId};
use crate::store::index;
use crate::store::lease::{self, Lease};
use crate::store::log::{CHECKPOINT_EVERY, checkpoint_path, record_path};
use crate::store::media::{Lock, LockMode, Media, Wait};
use crate::store::pack;
use crate::store::publish::{Retired, plain_record, remove};
use crate::store::scratch;
use crate::store::transaction::{COLLECT_LOCK, Context, TURN_LOCK};
use crate::store::vault::{Vault, View};

/// Bytes and files that went and came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Bytes of packs that went.
    pub packs: u64,
    /// Bytes of indexes that went.
    pub indexes: u64,
    /// Bytes of temporary files that went.
    pub temporary: u64,
    /// Files that went.
    pub files: u64,
    /// Bytes of packs that came.
    pub new_packs: u64,
    /// Bytes of index, record and checkpoint that came.
    pub new_indexes: u64,
}

fn is_pack(path: &str) -> bool {
    path.strip_suffix(".pack").is_some()
}

impl Freed {
    /// Counts a file that went.
    pub fn count(&mut self, path: &str, len: u64) {
        self.files += 1;
        match path {
            _ if !path.starts_with("packs/") => self.temporary += len,
            _ if is_pack(path) => self.packs += len,
            _ => self.indexes += len,
        }
    }

    /// Whether more comes than goes.
    fn is_worth_it(&self) -> bool {
        self.packs + self.indexes > self.new_packs + self.new_indexes
    }
}

/// What a collection did, or would do.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Bytes and files.
    pub freed: Freed,
    /// Whether there is enough to free for a transaction that says so.
    pub collects: bool,
    /// Numbers of the transactions it published.
    pub transactions: Vec<u64>,
    /// Bytes of files that could go and stay because somebody began to read meanwhile, or has an old view.
    pub waiting: u64,
    /// Why it could not do all.
    pub out_of_space: Option<String>,
    /// Files that could not be removed, and why.
    pub stuck: Vec<String>,
}

/// A collection in progress: no transaction is going on until it is dropped.
#[derive(Debug)]
pub struct Collector<'v> {
    vault: &'v Vault,
    _lock: Box<dyn Lock>,
}

/// How often and how long (in milliseconds) new transactions are kept waiting for those that go on to end, and how
/// long they may then begin again. Commits take milliseconds; nobody should wait for somebody's upload of an hour.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);
const BREATH: Duration = Duration::from_millis(300);

impl Vault {
    /// Waits until no transaction is going on and keeps it that way; `waiting` is told when that takes a while.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`], also while it waits.
    pub fn collector(&self, waiting: &mut dyn FnMut()) -> Result<Collector<'_>, StoreError> {
        let media = self.media();
        let take = |path: &str, wait| {
            media.lock(path, LockMode::Exclusive, wait).map_err(StoreError::io("lock", path))
        };
        media.create_dir("locks").map_err(StoreError::io("create", "locks"))?;
        let mut told = false;
        loop {
            self.interrupt().check()?;
            // Whoever begins passes this one first: so that many short transactions cannot keep a collection out.
            let turn = take(TURN_LOCK, Wait::Forever)?;
            for _ in 0..TRIES {
                if let Some(lock) = take(COLLECT_LOCK, Wait::No)? {
                    return Ok(Collector { vault: self, _lock: lock });
                }
                if !told {
                    waiting();
                    told = true;
                }
                std::thread::sleep(PAUSE);
            }
            drop(turn);
            std::thread::sleep(BREATH);
        }
    }
}

/// Files that dead writers and dead readers left, with their lengths.
pub fn leftovers(media: &dyn Media) -> Result<Vec<(String, u64)>, StoreError> {
    let paths = scratch::left(media)?.into_iter().chain(lease::dead(media)?);
    Ok(paths.filter_map(|path| media.len(&path).ok().flatten().map(|len| (path, len))).collect())
}

/// Bytes of the log files of one transaction.
pub fn log_len(media: &dyn Media, seq: u64) -> u64 {
    let len = |path: String| media.len(&path).ok().flatten().unwrap_or(0);
    len(record_path(seq)) + len(checkpoint_path(seq))
}

/// Who is reading: leases that are held, by name; `None` for one that cannot be read.
pub fn readers(media: &dyn Media) -> Result<Vec<(PackId, Option<Lease>)>, StoreError> {
    lease::held(media)
}

impl Basis<'_> {
    /// What unnamed files may go.
    fn removable(&self) -> Result<(Vec<(String, u64)>, u64), StoreError> {
        let (mut go, mut waiting) = (Vec::new(), 0);
        for (path, len) in self.folder.unnamed(self.view)? {
            if self.policy.keep_unnamed_packs && is_pack(&path) {
                waiting += len;
            } else {
                go.push((path, len));
            }
        }
        Ok((go, waiting))
    }

    /// What the plan would bring: lengths of packs, index, record and checkpoint.
    fn count(&self, plan: &Plan, context: &Context) -> Result<(u64, u64), StoreError> {
        let mut count = Count::default();
        compose(self, plan, &mut Target::Count(&mut count))?;
        let index = count.finish();
        let packs = count.packs.iter().map(|pack| pack.len).sum();
        let id = (index > 0).then_some(IndexId::from_bytes([0; 32]));
        let state = &self.view.state;
        let record = self.retired(plan).into_record(plain_record(context, state, count.packs, id));
        let (bytes, checksum) = record.encode();
        let mut after = state.clone();
        after.fold(&record, checksum);
        let checkpoint = after.to_checkpoint().filter(|_| record.seq.is_multiple_of(CHECKPOINT_EVERY));
        let checkpoint = checkpoint.map_or(0, |checkpoint| checkpoint.encode().0.len());
        Ok((packs, index + (bytes.len() + checkpoint) as u64))
    }

    fn retired(&self, plan: &Plan) -> Retired {
        let rewritten = self.view.catalog.indexes().iter().zip(&plan.rewritten);
        let moved = plan.moved.iter().map(|(_, row)| row.id);
        Retired {
            indexes: rewritten.filter(|(_, said)| **said).map(|(index, _)| index.id()).collect(),
            packs: plan.dropped.iter().map(|(id, _)| *id).chain(moved).collect(),
        }
    }

    /// Files that go once the plan is published.
    fn files(&self, plan: &Plan) -> Vec<(String, u64)> {
        let retired = self.retired(plan);
        let length = |id: &PackId| self.folder.pack_len(*id);
        let packs = retired.packs.iter().filter_map(|id| Some((pack::path_of(*id), length(id)?)));
        let indexes =
            self.view.catalog.indexes().iter().filter(|index| retired.indexes.contains(&index.id()));
        packs.chain(indexes.map(|index| (index::path_of(index.id()), index.len()))).collect()
    }

    /// What the plan would do.
    pub fn predict(&self, plan: &Plan, context: &Context) -> Result<Outcome, StoreError> {
        let (go, waiting) = self.removable()?;
        let mut outcome = Outcome { waiting, ..Outcome::default() };
        let is_settled = |path: &String| self.settled.contains(path);
        go.iter()
            .filter(|(path, _)| is_settled(path))
            .for_each(|(path, len)| outcome.freed.count(path, *len));
        if let Some(published) = self.worth(plan, go.iter().filter(|(path, _)| !is_settled(path)), context)? {
            outcome.collects = true;
            let freed = &mut outcome.freed;
            freed.packs += published.packs;
            freed.indexes += published.indexes;
            freed.files += published.files;
            freed.new_packs += published.new_packs;
            freed.new_indexes += published.new_indexes;
        }
        Ok(outcome)
    }

    /// What publishing the plan frees, if that is more than it takes.
    fn worth<'f>(
        &self,
        plan: &Plan,
        unnamed: impl Iterator<Item = &'f (String, u64)>,
        context: &Context,
    ) -> Result<Option<Freed>, StoreError> {
        let mut freed = Freed::default();
        unnamed.for_each(|(path, len)| freed.count(path, *len));
        self.files(plan).iter().for_each(|(path, len)| freed.count(path, *len));
        if freed.files == 0 {
            return Ok(None);
        }
        let (packs, indexes) = self.count(plan, context)?;
        (freed.new_packs, freed.new_indexes) = (packs, indexes);
        Ok(freed.is_worth_it().then_some(freed))
    }
}

impl Collector<'_> {
    /// Removes what dead writers and dead readers left. Files that cannot be removed are noted.
    pub fn sweep(&self, outcome: &mut Outcome) -> Result<(), StoreError> {
        leftovers(self.vault.media())?.iter().for_each(|(path, _)| self.remove(path, outcome));
        Ok(())
    }

    fn remove(&self, path: &str, outcome: &mut Outcome) {
        match remove(self.vault.media(), path) {
            Ok(len) => outcome.freed.count(path, len),
            Err(error) => outcome.stuck.push(error.to_string()),
        }
    }

    /// Collects; `moved` is told how many more bytes of live chunks were moved.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the newest state is not the one that was marked (only where locks don't
    /// work), [`StoreError::Damaged`] when something live turns out to be damaged, [`StoreError::Interrupted`]. Nothing
    /// is lost then; what was published is carried out all the same.
    pub fn run(
        &self,
        basis: Basis<'_>,
        plan: &Plan,
        context: &Context,
        moved: &mut dyn FnMut(u64),
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let (mut unnamed, waiting) = basis.removable()?;
        outcome.waiting += waiting;
        unnamed.retain(|(path, _)| {
            let is_settled = basis.settled.contains(path);
            if is_settled {
                self.remove(path, outcome);
            }
            !is_settled
        });
        if basis.worth(plan, unnamed.iter(), context)?.is_none() {
            return Ok(());
        }
        outcome.collects = true;
        match self.publish(&basis, plan, context, moved, outcome) {
            Err(error) if error.is_out_of_space() => {
                outcome.out_of_space = Some(error.to_string());
                self.make_room(basis, plan, unnamed, context, moved, outcome)
            }
            Err(error) => Err(error),
            Ok(view) => {
                unnamed.extend(basis.files(plan));
                self.clear(&view, &basis, &unnamed, outcome).map(drop)
            }
        }
    }

    fn publish(
        &self,
        basis: &Basis<'_>,
        plan: &Plan,
        context: &Context,
        moved: &mut dyn FnMut(u64),
        outcome: &mut Outcome,
    ) -> Result<std::sync::Arc<View>, StoreError> {
        let mut transaction = self.vault.begin_collection(context.clone())?;
        compose(basis, plan, &mut Target::Transaction { transaction: &mut transaction, moved })?;
        let published = transaction.publish_collection(basis.view, basis.retired(plan))?;
        let packs: u64 = transaction.packs.iter().map(|pack| pack.len).sum();
        // An index that was there already (a killed collection left it) takes no more room than before.
        let is_new = published.view.state.indexes.last().is_none_or(|id| !basis.folder.has_index(*id));
        let index = if is_new { published.stored_bytes - packs } else { 0 };
        outcome.freed.new_packs += packs;
        outcome.freed.new_indexes += index + log_len(self.vault.media(), published.seq);
        outcome.transactions.push(published.seq);
        Ok(published.view)
    }

    /// On a full disk: first a record that only retires whole dead packs, then the rest in the room that gives.
    fn make_room(
        &self,
        basis: Basis<'_>,
        plan: &Plan,
        mut unnamed: Vec<(String, u64)>,
        context: &Context,
        moved: &mut dyn FnMut(u64),
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let first = Plan::dropping(plan);
        let view = match self.publish(&basis, &first, context, moved, outcome) {
            // There is not even room for that; what could go without was removed before.
            Err(error) if error.is_out_of_space() => return Ok(()),
            done => done?,
        };
        unnamed.extend(basis.files(&first));
        if !self.clear(&view, &basis, &unnamed, outcome)? {
            return Ok(());
        }
        // The indexes are the same, so the marks still hold.
        let basis = Basis { view: &view, ..basis };
        let rest = Plan::new(&basis)?;
        match self.publish(&basis, &rest, context, moved, outcome) {
            Err(error) if error.is_out_of_space() => {
                outcome.out_of_space = Some(error.to_string());
                Ok(())
            }
            Err(error) => Err(error),
            Ok(view) => {
                outcome.out_of_space = None;
                self.clear(&view, &basis, &basis.files(&rest), outcome).map(drop)
            }
        }
    }

    /// Removes files that the newest state does not name, unless somebody came who may look for them.
    fn clear(
        &self,
        view: &View,
        basis: &Basis<'_>,
        files: &[(String, u64)],
        outcome: &mut Outcome,
    ) -> Result<bool, StoreError> {
        let came = readers(self.vault.media())?.iter().any(|(name, _)| !basis.leases.contains(name));
        // An index is named by its content: one that a killed collection left may be the very one just published.
        let named: HashSet<String> = view.state.indexes.iter().map(|&id| index::path_of(id)).collect();
        for (path, len) in files.iter().filter(|(path, _)| !named.contains(path.as_str())) {
            if came {
                outcome.waiting += len;
            } else {
                self.remove(path, outcome);
            }
        }
        Ok(!came)
    }
}

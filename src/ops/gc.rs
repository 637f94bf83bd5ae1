//! `gc`: frees what no ref, no reader and no undo can reach.
//!
//! Roots are every ref, the commit of every live lease, and where refs were and went in the undo window. What is
//! reached from them stays, whatever else goes; how it goes is the store's. A damaged vault is not collected from:
//! what cannot be read could lead to anything.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::error::OpsError;
use super::gone::{self, GoneFile};
use super::{Actor, Repository, folder};
use crate::store::StoreError;
use crate::store::collect::{Basis, Folder, Outcome, Plan, Policy, leftovers, readers};
use crate::store::id::{ObjectId, PackId};
use crate::store::lease::Lease;
use crate::store::log::record::Record;
use crate::store::log::{record_path, scan};
use crate::store::mark::{Marker, Missing};
use crate::store::media::Media;
use crate::store::transaction::Context;
use crate::store::vault::View;
use crate::store::{index, pack};

/// How long what a ref pointed at stays when nothing else is said: two weeks, in seconds.
pub const UNDO_WINDOW: i64 = 14 * 24 * 3600;

/// Most often that a collection begins again because another writer came between (only where locks don't work).
const ATTEMPTS: usize = 3;

/// How to collect.
#[derive(Debug, Clone, Default)]
pub struct GcOptions {
    /// Only say what would be done: takes no lock, writes nothing.
    pub dry_run: bool,
    /// Where refs were and went since then (seconds since 1970) stays. `None`: nothing stays for undoing.
    pub keep_since: Option<i64>,
    /// Rewrite every pack and index that has anything dead in it, instead of those a quarter of which is dead.
    pub thorough: bool,
    /// Empty `cache/` as well.
    pub prune_cache: bool,
    /// How many files and revisions that go are listed; the rest are counted.
    pub list_limit: usize,
}

impl GcOptions {
    /// What `hv gc` does for `actor` when nothing else is said.
    pub fn usual(actor: &Actor) -> Self {
        let keep_since = Some(actor.signature.time().seconds.saturating_sub(UNDO_WINDOW));
        Self { keep_since, list_limit: 1000, ..Self::default() }
    }

    /// Frees all that can be freed, now.
    pub fn now() -> Self {
        Self { keep_since: None, thorough: true, list_limit: 1000, ..Self::default() }
    }
}

/// What is going on while garbage is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcProgress {
    /// Somebody is committing; it begins when they are done.
    Waiting,
    /// It is found out what is needed.
    Marking,
    /// What is needed is written, the rest is removed.
    Collecting,
}

/// What a collection freed, or would free.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GcReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Full names of the refs that were followed.
    pub checked_refs: Vec<String>,
    /// Bytes by which the vault's folder shrinks: what goes less what is written. The sum of the four below.
    pub reclaimed_size: i64,
    /// Of these, bytes of indexes, less the new index and log record.
    pub reclaimed_object_size: i64,
    /// Of these, bytes of packs, less new packs.
    pub reclaimed_chunk_size: i64,
    /// Of these, bytes in `cache/`.
    pub reclaimed_cache_size: i64,
    /// Of these, bytes of what dead writers and readers left.
    pub reclaimed_temporary_size: i64,
    /// Files removed.
    pub removed_file_count: u64,
    /// Numbers of the transactions published.
    pub transactions: Vec<u64>,
    /// Commits that go.
    pub commits: Vec<GoneCommit>,
    /// Number of commits that go.
    pub commit_count: u64,
    /// Files whose content goes.
    pub files: Vec<GoneFile>,
    /// Number of files whose content goes.
    pub file_count: u64,
    /// Dead bytes that stay because too little around them is dead; `--prune=now` frees them.
    pub tolerated_size: u64,
    /// What stays although no ref needs it.
    pub held: Vec<Holder>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// A commit that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoneCommit {
    /// Its id.
    pub oid: ObjectId,
    /// First line of its message.
    pub title: String,
    /// When it was committed, seconds since 1970.
    pub time: i64,
}

/// Who keeps something that no ref needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// `undo`, or what a lease is for.
    pub by: String,
    /// Process id of a reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When it lets go at the latest, seconds since 1970; `None` for a reader: when it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Bytes that only it keeps.
    pub size: u64,
}

/// What a collection starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roots {
    /// What refs lead to, readers, and the undo window.
    Refs,
    /// All that is stored: only what was stored again elsewhere goes. The history is not walked.
    Everything,
}

/// What is needed, and who needs it.
struct Reached<'a> {
    marker: Marker<'a>,
    policy: Policy,
    held: Vec<Holder>,
    folder: Folder,
    /// Unnamed files that an earlier record retired.
    settled: HashSet<String>,
    leases: Vec<PackId>,
}

impl Repository {
    /// Frees what nothing needs.
    ///
    /// # Errors
    /// [`OpsError::NotCollected`] when something that is needed is damaged or missing.
    pub fn gc(
        &self,
        options: &GcOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(GcProgress),
    ) -> Result<GcReport, OpsError> {
        self.collect(options, Roots::Refs, &actor.context("gc"), progress)
    }

    /// The same from these roots.
    pub(super) fn collect(
        &self,
        options: &GcOptions,
        roots: Roots,
        context: &Context,
        progress: &mut dyn FnMut(GcProgress),
    ) -> Result<GcReport, OpsError> {
        if options.dry_run {
            progress(GcProgress::Marking);
            let view = self.vault().refresh()?;
            return self.dry_run(&view, options, roots, context).map_err(refused);
        }
        let collector = self.vault().collector(&mut || progress(GcProgress::Waiting))?;
        let mut report = GcReport::default();
        let mut outcome = Outcome::default();
        collector.sweep(&mut outcome)?;
        if options.prune_cache {
            self.prune_cache(&mut report)?;
        }
        for attempt in 1.. {
            progress(GcProgress::Marking);
            let view = self.vault().refresh()?;
            let reached = self.reach(&view, options, roots, context.time.seconds).map_err(refused)?;
            let basis = reached.basis(&view);
            let plan = Plan::new(&view, basis.marks, basis.policy).map_err(refused)?;
            reached.tell(&view, &plan, options, &mut report).map_err(refused)?;
            progress(GcProgress::Collecting);
            let ran = collector.run(&basis, &plan, &reached.leases, &reached.settled, context, &mut outcome);
            match ran {
                Err(StoreError::Overtaken(_)) if attempt < ATTEMPTS => {}
                done => {
                    done.map_err(refused)?;
                    break;
                }
            }
        }
        report.add(&outcome);
        Ok(report)
    }

    fn dry_run(
        &self,
        view: &View,
        options: &GcOptions,
        roots: Roots,
        context: &Context,
    ) -> Result<GcReport, StoreError> {
        let mut report = GcReport { dry_run: true, ..GcReport::default() };
        let reached = self.reach(view, options, roots, context.time.seconds)?;
        let basis = reached.basis(view);
        let plan = Plan::new(view, basis.marks, basis.policy)?;
        reached.tell(view, &plan, options, &mut report)?;
        let mut outcome = basis.predict(&plan, &reached.settled, context)?;
        for (path, len) in leftovers(self.vault().media())? {
            outcome.freed.count(&path, len);
        }
        if options.prune_cache {
            let (files, bytes) = folder_size(self.vault().media(), "cache");
            report.removed_file_count += files;
            report.reclaimed_cache_size = signed(bytes);
        }
        report.add(&outcome);
        Ok(report)
    }

    /// Marks all that is needed.
    fn reach<'v>(
        &self,
        view: &'v View,
        options: &GcOptions,
        roots: Roots,
        now: i64,
    ) -> Result<Reached<'v>, StoreError> {
        let media = self.vault().media();
        check_whole(view)?;
        let folder = Folder::read(media)?;
        let leases = readers(media)?;
        let mut reached = Reached {
            marker: Marker::new(&view.catalog),
            policy: Policy { thorough: options.thorough, ..Policy::default() },
            held: Vec::new(),
            settled: HashSet::new(),
            leases: Vec::new(),
            folder,
        };
        if roots == Roots::Everything {
            reached.marker.mark_all()?;
            reached.readers(view, leases)?;
            return Ok(reached);
        }
        for &id in view.state.refs.values() {
            reached.marker.mark(id, Missing::Refuse)?;
        }
        reached.readers(view, leases)?;
        reached.past(media, view, options, now)?;
        Ok(reached)
    }

    /// Empties `cache/`: it is disposable, whatever is in it.
    fn prune_cache(&self, report: &mut GcReport) -> Result<(), OpsError> {
        let media = self.vault().media();
        let (files, bytes) = folder_size(media, "cache");
        match self.root() {
            Some(root) => {
                let failed = |source| StoreError::Io { action: "empty", file: "cache".to_owned(), source };
                clear_cache(root).map_err(failed)?;
            }
            None => remove_files(media, "cache"),
        }
        let (files_left, bytes_left) = folder_size(media, "cache");
        report.removed_file_count += files.saturating_sub(files_left);
        report.reclaimed_cache_size = signed(bytes.saturating_sub(bytes_left));
        Ok(())
    }
}

fn refused(error: StoreError) -> OpsError {
    match error {
        StoreError::Damaged { .. }
        | StoreError::BadObject { .. }
        | StoreError::MissingObject(_)
        | StoreError::MissingContent(_)
        | StoreError::WrongKind { .. } => OpsError::NotCollected(error),
        other => other.into(),
    }
}

/// What cannot be read could lead to anything, and an unfinished transaction could still be completed.
fn check_whole(view: &View) -> Result<(), StoreError> {
    if let Some((id, why)) = view.catalog.broken().first() {
        return Err(StoreError::damaged(&index::path_of(*id), why.clone()));
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

impl<'a> Reached<'a> {
    fn basis<'r>(&'r self, view: &'r View) -> Basis<'r> {
        Basis { view, marks: &self.marker.marks, policy: &self.policy, folder: &self.folder }
    }

    /// What is being read: its commit stays, and its content where it is.
    fn readers(&mut self, view: &'a View, leases: Vec<(PackId, Option<Lease>)>) -> Result<(), StoreError> {
        for (name, lease) in leases {
            let Some(lease) = lease else {
                // It is not on the list of those marked: then nothing is removed.
                self.policy.keep_unnamed_packs = true;
                continue;
            };
            if view.catalog.try_object(lease.commit)?.is_none() {
                // Collected before it was seen: its holder has an older view, and nothing can be marked for it.
                self.policy.keep_unnamed_packs = true;
                continue;
            }
            self.leases.push(name);
            let before = self.marker.tally;
            self.marker.mark(lease.commit, Missing::Skip)?;
            let size = self.marker.tally.since(&before).stored;
            let mut content = Marker::new(&view.catalog);
            if let Ok(commit) = view.catalog.commit(lease.commit) {
                content.mark(commit.tree, Missing::Skip)?;
            }
            self.policy.held.add(&view.catalog, &content.marks)?;
            self.policy.keep_unnamed_packs |= lease.transaction < view.state.collected;
            self.held.push(Holder { by: lease.purpose, pid: Some(lease.pid), until: None, size });
        }
        Ok(())
    }

    /// Where refs were in the undo window; and which unnamed files earlier records retired.
    fn past(
        &mut self,
        media: &dyn Media,
        view: &View,
        options: &GcOptions,
        now: i64,
    ) -> Result<(), StoreError> {
        let unnamed: HashSet<String> = self.folder.unnamed(view)?.into_iter().map(|(path, _)| path).collect();
        let before = self.marker.tally;
        let mut newest = None;
        let mut at = view.state.tip;
        while let Some(tip) = at {
            let record: Record = scan::record(media, tip)?;
            if options.keep_since.is_some_and(|since| record.time >= since) {
                let reached = self.marker.tally;
                for id in record.refs.iter().flat_map(|change| [change.old, change.new]).flatten() {
                    self.marker.mark(id, Missing::Skip)?;
                }
                if self.marker.tally != reached {
                    newest = newest.max(Some(record.time));
                }
            }
            let retired = record.retired_packs.iter().map(|&id| pack::path_of(id));
            let retired = retired.chain(record.retired_indexes.iter().map(|&id| index::path_of(id)));
            self.settled.extend(retired.filter(|path| unnamed.contains(path)));
            at = record.previous;
        }
        if let (Some(newest), Some(since)) = (newest, options.keep_since) {
            let size = self.marker.tally.since(&before).stored;
            let until = Some(newest.saturating_add(now.saturating_sub(since)));
            self.held.push(Holder { by: "undo".to_owned(), pid: None, until, size });
        }
        Ok(())
    }

    /// Fills in what goes and what stays.
    fn tell(
        &self,
        view: &View,
        plan: &Plan,
        options: &GcOptions,
        report: &mut GcReport,
    ) -> Result<(), StoreError> {
        report.checked_refs = view.state.refs.keys().map(ToString::to_string).collect();
        report.held.clone_from(&self.held);
        report.tolerated_size = plan.tolerated;
        let gone = gone::list(&view.catalog, &self.marker.marks, options.list_limit)?;
        (report.commits, report.commit_count) = (gone.commits, gone.commit_count);
        (report.files, report.file_count) = (gone.files, gone.file_count);
        report.notes.clear();
        if plan.held > 0 {
            let note = format!("{} dead bytes stay in packs that are being read", plan.held);
            report.notes.push(note);
        }
        Ok(())
    }
}

impl GcReport {
    fn add(&mut self, outcome: &Outcome) {
        let freed = &outcome.freed;
        self.reclaimed_object_size = signed(freed.indexes) - signed(freed.new_indexes);
        self.reclaimed_chunk_size = signed(freed.packs) - signed(freed.new_packs);
        self.reclaimed_temporary_size = signed(freed.temporary);
        self.reclaimed_size = self.reclaimed_object_size
            + self.reclaimed_chunk_size
            + self.reclaimed_cache_size
            + self.reclaimed_temporary_size;
        self.removed_file_count += freed.files;
        self.transactions.clone_from(&outcome.transactions);
        if !outcome.collects {
            // So little is dead that saying so would take more room than it gives.
            (self.commit_count, self.file_count) = (0, 0);
            self.commits.clear();
            self.files.clear();
        }
        if outcome.waiting > 0 {
            let note = format!(
                "{} bytes are left for the next gc: somebody reads an older state that may need them",
                outcome.waiting
            );
            self.notes.push(note);
        }
        if let Some(why) = &outcome.out_of_space {
            self.notes.push(format!(
                "not all could be freed, because there is no room to write what must be said anew ({why}); make \
                 some room on the disk and run gc again, or add `--prune-cache`"
            ));
        }
        self.notes.extend(outcome.stuck.iter().cloned());
    }

    /// What was reached by undoing and by readers only.
    pub fn held_size(&self) -> u64 {
        self.held.iter().map(|holder| holder.size).sum()
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Empties `cache/`. It is reached and emptied without following a link: a stranger's vault may have one there.
fn clear_cache(root: &Path) -> io::Result<()> {
    match folder::Folder::top(root)?.child("cache") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        cache => {
            let cache = cache?;
            cache.names()?.iter().try_for_each(|name| cache.clear(name))
        }
    }
}

/// Number and bytes of the files below a folder of the vault.
pub(super) fn folder_size(media: &dyn Media, folder: &str) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    each_file(media, folder, &mut |_, len| {
        files += 1;
        bytes += len;
    });
    (files, bytes)
}

fn remove_files(media: &dyn Media, folder: &str) {
    let mut paths = Vec::new();
    each_file(media, folder, &mut |path, _| paths.push(path.to_owned()));
    for path in paths {
        if let Err(error) = media.remove(&path) {
            tracing::warn!(path, %error, "could not be removed");
        }
    }
}

/// Visits the regular files below a folder; what cannot be read is not counted.
pub(super) fn each_file(media: &dyn Media, folder: &str, visit: &mut dyn FnMut(&str, u64)) {
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for name in media.list(&folder).unwrap_or_default() {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match media.len(&path) {
                Ok(Some(len)) => visit(&path, len),
                Ok(None) => {}
                // A folder, or what a vault has no use for: a link is not followed, listing it fails.
                Err(_) => pending.push(path),
            }
        }
    }
}

//! `gc`: frees what no ref, no reader and no undo can reach.
//!
//! Which that is, `needed` finds out; how it goes is the store's. This file holds the verb: what can be asked for, what
//! is done in which order, and what is reported.

mod cache;
mod needed;

use serde::Serialize;

pub(super) use self::cache::each_file;
use self::needed::Needed;
use super::error::OpsError;
use super::gone::{self, GoneFile};
use super::{Actor, Phase, Progress, Repository};
use crate::store::StoreError;
use crate::store::collect::{Basis, Outcome, Plan, leftovers};
use crate::store::id::ObjectId;
use crate::store::transaction::Context;
use crate::store::vault::View;

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

impl Repository {
    /// Frees what nothing needs.
    ///
    /// # Errors
    /// [`OpsError::NotCollected`] when something that is needed is damaged or missing.
    pub fn gc(
        &self,
        options: &GcOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<GcReport, OpsError> {
        self.collect(options, actor, "gc", progress)
    }

    /// The same, called `command` in the log.
    pub(super) fn collect(
        &self,
        options: &GcOptions,
        actor: &Actor,
        command: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<GcReport, OpsError> {
        let mut run = Run {
            repository: self,
            options,
            context: actor.context(command),
            progress,
            report: GcReport { dry_run: options.dry_run, ..GcReport::default() },
            outcome: Outcome::default(),
        };
        if options.dry_run { run.predict() } else { run.collect() }.map_err(refused)?;
        run.report.add(&run.outcome);
        Ok(run.report)
    }
}

/// A collection in progress.
struct Run<'r, 'p> {
    repository: &'r Repository,
    options: &'r GcOptions,
    context: Context,
    progress: &'p mut dyn FnMut(Progress<'_>),
    report: GcReport,
    outcome: Outcome,
}

impl<'r> Run<'r, '_> {
    fn predict(&mut self) -> Result<(), StoreError> {
        let vault = self.repository.vault();
        let view = vault.refresh()?;
        let (basis, plan) = self.look(&view)?;
        self.outcome = basis.predict(&plan, &self.context)?;
        for (path, len) in leftovers(vault.media())? {
            self.outcome.freed.count(&path, len);
        }
        if self.options.prune_cache {
            cache::count(vault.media(), &mut self.report);
        }
        Ok(())
    }

    fn collect(&mut self) -> Result<(), StoreError> {
        let vault = self.repository.vault();
        let collector = vault.collector(&mut || (self.progress)(Progress::Phase(Phase::Waiting)))?;
        collector.sweep(&mut self.outcome)?;
        if self.options.prune_cache {
            cache::prune(self.repository, &mut self.report)?;
        }
        for attempt in 1.. {
            let view = vault.refresh()?;
            let (basis, plan) = self.look(&view)?;
            (self.progress)(Progress::Found { files: plan.moved_count(), bytes: plan.moving });
            (self.progress)(Progress::Phase(Phase::Collecting));
            let moved = &mut |bytes| (self.progress)(Progress::Read(bytes));
            match collector.run(basis, &plan, &self.context, moved, &mut self.outcome) {
                Err(StoreError::Overtaken(_)) if attempt < ATTEMPTS => {}
                done => return done,
            }
        }
        Ok(())
    }

    /// Finds out what goes and what stays, and reports it.
    fn look<'v>(&mut self, view: &'v View) -> Result<(Basis<'v>, Plan), StoreError>
    where
        'r: 'v,
    {
        let (vault, now) = (self.repository.vault(), self.context.time.seconds);
        let Needed { basis, held } = Needed::find(vault, view, self.options, now, self.progress)?;
        let plan = Plan::new(&basis)?;
        self.report.tell(&basis, &plan, held, self.options)?;
        Ok((basis, plan))
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

impl GcReport {
    /// Fills in what goes and what stays.
    fn tell(
        &mut self,
        basis: &Basis<'_>,
        plan: &Plan,
        held: Vec<Holder>,
        options: &GcOptions,
    ) -> Result<(), StoreError> {
        self.checked_refs = basis.view.state.refs.keys().map(ToString::to_string).collect();
        self.held = held;
        self.tolerated_size = plan.tolerated;
        let gone = gone::list(&basis.view.catalog, &basis.marks, options.list_limit)?;
        (self.commits, self.commit_count) = (gone.commits, gone.commit_count);
        (self.files, self.file_count) = (gone.files, gone.file_count);
        self.notes.clear();
        if plan.held > 0 {
            self.notes.push(format!("{} dead bytes stay in packs that are being read", plan.held));
        }
        Ok(())
    }

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

pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

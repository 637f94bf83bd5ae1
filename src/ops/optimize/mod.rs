//! `optimize`: stores what is there again, compressed harder or not at all, without any id changing.
//!
//! Packs of the chosen files are recoded some at a time: an ordinary transaction brings the new ones while others read
//! and commit, and a collection that keeps everything refs ever led to takes the old ones away. Killed in between, a
//! vault has both, and the next run or `gc` frees the old ones. How content is stored again is the store's.

mod choice;

use std::collections::HashMap;

use serde::Serialize;

use self::choice::{Choice, Chosen};
use super::error::OpsError;
use super::gc::{GcOptions, GcReport, signed};
use super::patterns::PathFilter;
use super::transact::attempt;
use super::{Actor, Compression, Phase, Progress, Repository};
use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::collect::log_len;
use crate::store::id::{PackId, Sha256};
use crate::store::publish::Change;
use crate::store::recode::{self, Candidate, Recoded};

/// Bytes, as they are before or after, that are recoded before the old ones are freed: what a run needs on disk besides
/// what there is.
const BATCH: u64 = 16 << 30;

/// Most often that a batch begins again because garbage was collected meanwhile (only where locks don't work).
const ATTEMPTS: usize = 3;

/// The word for it in the log.
const COMMAND: &str = "optimize";

/// A collection after which everything that branches and tags ever led to is there as before.
const KEEP_ALL: GcOptions = GcOptions {
    dry_run: false,
    keep_since: Some(i64::MIN),
    thorough: false,
    prune_cache: false,
    list_limit: 0,
};

/// What to optimize, and how.
#[derive(Debug, Clone, Default)]
pub struct OptimizeOptions {
    /// Revisions whose files are stored again; when there are none, everything branches and tags lead to.
    pub revisions: Vec<String>,
    /// Of these, files with such paths.
    pub filter: PathFilter,
    /// Leave what the newest commit of a branch uses as it is.
    pub keep_latest: bool,
    /// How to store it.
    pub compression: Compression,
    /// Only say what would be done, as far as samples tell.
    pub dry_run: bool,
    /// How many files are listed; the rest are counted.
    pub list_limit: usize,
}

/// What optimizing did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OptimizeReport {
    /// Whether nothing was done: sizes are estimates then.
    pub dry_run: bool,
    /// How content is to be stored.
    pub compression: Compression,
    /// Packs of the chosen files, that were looked at.
    pub pack_count: u64,
    /// Of these, packs that were stored again.
    pub optimized_pack_count: u64,
    /// Bytes that were stored in those.
    pub before_size: u64,
    /// Bytes that are stored for it now.
    pub after_size: u64,
    /// What that saves; less than nothing when content is stored as it is again.
    pub saved_size: i64,
    /// Bytes by which the vault's folder shrank. What is being read is freed later, by `gc`.
    pub reclaimed_size: i64,
    /// Large files that were stored again, each content once.
    pub file_count: u64,
    /// The first of them.
    pub files: Vec<OptimizedFile>,
    /// Numbers of the transactions published.
    pub transactions: Vec<u64>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// A file that was stored again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OptimizedFile {
    /// A path it has.
    pub path: String,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// Bytes that were stored for it, also those it shares.
    pub before_size: u64,
    /// Bytes that are stored for it now; `None` in a dry run.
    pub after_size: Option<u64>,
}

impl Repository {
    /// Stores content again as `options` say. No id changes, and nothing that could be read or undone is lost.
    ///
    /// # Errors
    /// [`OpsError::Snapshot`] for a revision that is not there, [`OpsError::Store`] when something that is to be stored
    /// again is damaged: what was done before that stays done.
    pub fn optimize(
        &self,
        options: &OptimizeOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<OptimizeReport, OpsError> {
        progress(Progress::Phase(Phase::Looking));
        let view = self.vault().refresh()?;
        let choice = Choice::new(self, &view, options)?;
        let mut run = Run::new(self, options, actor);
        let groups = run.look(&view.catalog, &choice)?;
        run.list(&view.catalog, &choice.files)?;
        let bytes = run.candidates.values().map(|candidate| candidate.raw).sum();
        progress(Progress::Found { files: run.candidates.len() as u64, bytes });
        if options.dry_run {
            run.estimate();
        } else {
            run.all(&groups, progress)?;
            run.measure(&self.vault().view().catalog)?;
        }
        let Run { mut report, held, .. } = run;
        report.notes.extend(held);
        report.saved_size = signed(report.before_size) - signed(report.after_size);
        Ok(report)
    }
}

/// An optimization in progress.
struct Run<'r> {
    repository: &'r Repository,
    options: &'r OptimizeOptions,
    actor: Actor,
    candidates: HashMap<PackId, Candidate>,
    report: OptimizeReport,
    /// What the last collection had to say.
    held: Vec<String>,
}

impl<'r> Run<'r> {
    fn new(repository: &'r Repository, options: &'r OptimizeOptions, actor: &Actor) -> Self {
        let (dry_run, compression) = (options.dry_run, options.compression);
        let report = OptimizeReport { dry_run, compression, ..OptimizeReport::default() };
        Self {
            repository,
            options,
            actor: actor.clone(),
            candidates: HashMap::new(),
            report,
            held: Vec::new(),
        }
    }

    /// Finds out which packs are worth it; answers them file by file.
    fn look(&mut self, catalog: &Catalog, choice: &Choice) -> Result<Vec<Vec<PackId>>, StoreError> {
        // Rows that overlap could lead around the same chunks without end.
        catalog.indexes().iter().try_for_each(|index| index.check_layout())?;
        let mut groups = Vec::new();
        for packs in &choice.packs {
            let mut group = Vec::new();
            for &pack in packs {
                self.report.pack_count += 1;
                if let Some(candidate) = recode::survey(catalog, pack, self.options.compression)? {
                    self.candidates.insert(pack, candidate);
                    group.push(pack);
                }
            }
            if !group.is_empty() {
                groups.push(group);
            }
        }
        Ok(groups)
    }

    /// Notes the large files that lie in what is stored again.
    fn list(&mut self, catalog: &Catalog, files: &[Chosen]) -> Result<(), StoreError> {
        for file in
            files.iter().filter(|file| file.packs.iter().any(|pack| self.candidates.contains_key(pack)))
        {
            self.report.file_count += 1;
            if self.report.files.len() < self.options.list_limit {
                let Chosen { path, sha256, size, .. } = file;
                let before_size = recode::stored_len(catalog, *sha256)?;
                let listed = OptimizedFile {
                    path: path.clone(),
                    sha256: *sha256,
                    size: *size,
                    before_size,
                    after_size: None,
                };
                self.report.files.push(listed);
            }
        }
        Ok(())
    }

    fn estimate(&mut self) {
        self.report.optimized_pack_count = self.candidates.len() as u64;
        for candidate in self.candidates.values() {
            self.report.before_size += candidate.stored;
            self.report.after_size += candidate.estimate;
        }
    }

    fn measure(&mut self, catalog: &Catalog) -> Result<(), StoreError> {
        for file in &mut self.report.files {
            file.after_size = Some(recode::stored_len(catalog, file.sha256)?);
        }
        Ok(())
    }

    /// Recodes batch by batch. On a full disk in smaller ones, until there is not even room for one file.
    fn all(
        &mut self,
        groups: &[Vec<PackId>],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), OpsError> {
        let (mut rest, mut most) = (groups, BATCH);
        while !rest.is_empty() {
            let count = self.batch(rest, most);
            let (now, later) = rest.split_at(count);
            match self.recode(&now.concat(), progress) {
                Err(OpsError::Store(error)) if error.is_out_of_space() && count > 1 => {
                    most = self.size(now) / 4;
                }
                Err(OpsError::Store(error)) if error.is_out_of_space() => {
                    let left: usize = rest.iter().map(Vec::len).sum();
                    self.report.notes.push(format!(
                        "{left} packs stay as they are, because there is no room on the disk for what would replace \
                         them ({error}); make some room and run optimize again"
                    ));
                    break;
                }
                Err(error) => return Err(error),
                Ok(()) => rest = later,
            }
            if !rest.is_empty() {
                self.collect(progress)?;
            }
        }
        if groups.is_empty() && !self.is_left()? {
            return Ok(());
        }
        self.collect(progress)
    }

    fn size(&self, groups: &[Vec<PackId>]) -> u64 {
        let sizes = groups.iter().flatten().filter_map(|pack| self.candidates.get(pack));
        sizes.map(|candidate| candidate.stored.max(candidate.estimate)).sum()
    }

    /// How many of `groups` make up a batch of at most `most` bytes; at least one.
    fn batch(&self, groups: &[Vec<PackId>], most: u64) -> usize {
        let mut size = 0;
        let fits = |group: &&Vec<PackId>| {
            size += self.size(std::slice::from_ref(group));
            size <= most
        };
        groups.iter().take_while(fits).count().max(1)
    }

    /// Recodes some packs.
    fn recode(&mut self, packs: &[PackId], progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), OpsError> {
        let mut attempt = 1;
        let recoded = loop {
            match self.publish(packs, progress) {
                Err(OpsError::Store(StoreError::Collected(_))) if attempt < ATTEMPTS => attempt += 1,
                done => break done?,
            }
        };
        self.report.optimized_pack_count += packs.len() as u64;
        self.report.before_size += recoded.before;
        self.report.after_size += recoded.after;
        Ok(())
    }

    fn publish(
        &mut self,
        packs: &[PackId],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Recoded, OpsError> {
        self.actor = self.actor.again();
        let mut transaction = self.repository.vault().begin(self.actor.context(COMMAND))?;
        progress(Progress::Phase(Phase::Storing));
        let stored = &mut |bytes| progress(Progress::Read(bytes));
        let recoded = transaction.recode(packs, self.options.compression, stored)?;
        if recoded.files > 0 {
            let published = attempt(&mut transaction, |open, _| {
                open.unsay_changed(&recoded)?;
                Ok(open.publish(Change::default())?)
            })?;
            self.report.transactions.push(published.seq);
            let log = log_len(self.repository.vault().media(), published.seq);
            self.report.reclaimed_size -= signed(published.stored_bytes + log);
        }
        Ok(recoded)
    }

    /// Whether an earlier run that was killed left what it had replaced, or had half written.
    fn is_left(&self) -> Result<bool, OpsError> {
        let options = GcOptions { dry_run: true, ..KEEP_ALL };
        match self.repository.collect(&options, &self.actor, COMMAND, &mut |_| ()) {
            Ok(report) => Ok(report.reclaimed_chunk_size + report.reclaimed_temporary_size > 0),
            Err(OpsError::NotCollected(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes away what was replaced, unless somebody reads it.
    fn collect(&mut self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), OpsError> {
        self.actor = self.actor.again();
        // How many bytes are looked at on the way would be counted among those stored.
        let mut told = |event: Progress<'_>| {
            if matches!(event, Progress::Phase(Phase::Waiting | Phase::Collecting)) {
                progress(event);
            }
        };
        match self.repository.collect(&KEEP_ALL, &self.actor, COMMAND, &mut told) {
            Ok(GcReport { reclaimed_size, transactions, notes, .. }) => {
                self.report.reclaimed_size += reclaimed_size;
                self.report.transactions.extend(transactions);
                self.held = notes;
            }
            Err(OpsError::NotCollected(why)) => {
                self.held = vec![format!(
                    "what was replaced stays too, because the vault is not whole ({why}); when it is again, `hv gc` \
                     frees it"
                )];
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

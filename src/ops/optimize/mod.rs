//! `optimize`: stores what is there again, compressed harder or not at all, without any id changing.
//!
//! Packs of the chosen files are recoded some at a time: an ordinary transaction brings the new ones while others read
//! and commit, and a collection that keeps everything refs ever led to takes the old ones away. Killed in between, a
//! vault has both, and the next run or `gc` frees the old ones. How content is stored again is the store's.

mod choice;
mod hurt;

use std::collections::HashMap;

use serde::Serialize;

use self::choice::{Choice, Chosen};
use self::hurt::LeftOut;
use super::error::OpsError;
use super::gc::{GcOptions, GcReport, Roots, signed};
use super::patterns::PathFilter;
use super::transact::attempt;
use super::verify::Finding;
use super::{Actor, Compression, Phase, Progress, Repository};
use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::collect::log_len;
use crate::store::id::{PackId, Sha256};
use crate::store::publish::Change;
use crate::store::recode::{self, Candidate, Recoded};

/// [`OptimizeOptions::batch`] when nothing is said.
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
    /// Bytes that are stored again before what they replace is freed: what a run needs on disk besides what there is.
    /// `None`: 16 GiB. A file that is larger is stored all the same.
    pub batch: Option<u64>,
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
    /// What could not be read, and the files that were left out because of it: they are as they were.
    pub findings: Vec<Finding>,
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
    /// Stores content again as `options` say. No id changes, and nothing that could be read or undone is lost. Files that
    /// cannot be read whole stay as they are: [`OptimizeReport::findings`].
    ///
    /// # Errors
    /// [`OpsError::Snapshot`] for a revision that is not there, [`OpsError::Store`] when the history or an index is
    /// damaged: what was done before that stays done.
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
        run.unlist(&choice.files);
        let Run { mut report, held, left_out, .. } = run;
        report.findings = left_out.findings(&view)?;
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
    left_out: LeftOut,
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
            left_out: LeftOut::default(),
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
                match recode::survey(catalog, pack, self.options.compression) {
                    Ok(None) => {}
                    Ok(Some(candidate)) => {
                        self.candidates.insert(pack, candidate);
                        group.push(pack);
                    }
                    Err(error) if error.is_unreadable() => {
                        self.left_out.add(recode::lost(catalog, pack, &error)?);
                    }
                    Err(error) => return Err(error),
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
        for file in files {
            if !self.is_listed(file) {
                continue;
            }
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

    fn is_listed(&self, file: &Chosen) -> bool {
        file.packs.iter().any(|pack| self.candidates.contains_key(pack))
    }

    /// Takes files back that were to be stored again and could not be.
    fn unlist(&mut self, files: &[Chosen]) {
        let left_out = self.left_out.contents();
        let is_hurt = |file: &&Chosen| self.is_listed(file) && left_out.contains(&file.sha256);
        self.report.file_count -= files.iter().filter(is_hurt).count() as u64;
        self.report.files.retain(|file| !left_out.contains(&file.sha256));
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

    /// Recodes batch by batch. On a full disk in smaller ones, until there is not even room for one file. Between them, what
    /// was just replaced goes; what else nothing needs is found out once, at the end: that walks the history.
    fn all(
        &mut self,
        groups: &[Vec<PackId>],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), OpsError> {
        let (mut rest, mut most) = (groups, self.options.batch.unwrap_or(BATCH));
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
            if !rest.is_empty() && !self.collect(Roots::Everything, progress)? {
                // Going on would need room for all of it at once.
                let left: usize = rest.iter().map(Vec::len).sum();
                self.report.notes.push(format!(
                    "{left} packs stay as they are, because what was replaced so far could not be freed; run optimize \
                     again when it can be"
                ));
                return Ok(());
            }
        }
        if groups.is_empty() && !self.is_left()? {
            return Ok(());
        }
        self.collect(Roots::Refs, progress).map(drop)
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
        self.report.optimized_pack_count += recoded.packs;
        self.report.before_size += recoded.before;
        self.report.after_size += recoded.after;
        Ok(())
    }

    fn publish(
        &mut self,
        packs: &[PackId],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Recoded, OpsError> {
        progress(Progress::Phase(Phase::Storing));
        let mut told = 0;
        let (mut transaction, recoded) = loop {
            self.actor = self.actor.again();
            let mut transaction = self.repository.vault().begin(self.actor.context(COMMAND))?;
            let mut seen = 0;
            let stored = &mut |bytes| {
                seen += bytes;
                if seen > told {
                    progress(Progress::Read(seen - told));
                    told = seen;
                }
            };
            let without = self.left_out.contents();
            let mut recoded = transaction.recode(packs, without, self.options.compression, stored)?;
            if recoded.hurt.is_empty() {
                break (transaction, recoded);
            }
            // Again without the files it hurts. It read to the end, so that there are no more of them.
            let hurt = std::mem::take(&mut recoded.hurt);
            let problem = hurt.first().map(|hurt| hurt.problem.clone()).unwrap_or_default();
            if !self.left_out.add(hurt) {
                return Err(StoreError::damaged("packs", problem).into());
            }
        };
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
        match self.repository.collect(&options, Roots::Refs, &self.actor.context(COMMAND), &mut |_| ()) {
            Ok(report) => Ok(report.reclaimed_chunk_size + report.reclaimed_temporary_size > 0),
            Err(OpsError::NotCollected(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes away what was replaced, unless somebody reads it; answers whether the vault is whole, so that it could be.
    fn collect(&mut self, roots: Roots, progress: &mut dyn FnMut(Progress<'_>)) -> Result<bool, OpsError> {
        self.actor = self.actor.again();
        // How many bytes are looked at on the way would be counted among those stored.
        let mut told = |event: Progress<'_>| {
            if matches!(event, Progress::Phase(Phase::Waiting | Phase::Collecting)) {
                progress(event);
            }
        };
        match self.repository.collect(&KEEP_ALL, roots, &self.actor.context(COMMAND), &mut told) {
            Ok(GcReport { reclaimed_size, transactions, notes, .. }) => {
                self.report.reclaimed_size += reclaimed_size;
                self.report.transactions.extend(transactions);
                self.held = notes;
                Ok(true)
            }
            Err(OpsError::NotCollected(why)) => {
                self.held = vec![format!(
                    "what was replaced stays too, because the vault is not whole ({why}); when it is again, `hv gc` \
                     frees it"
                )];
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

//! `verify`: is everything there, and is it what was written?
//!
//! Quick: every record, checkpoint and index, and everything a ref leads to, is present and consistent. Full:
//! every stored byte is hashed again as well, and every file put together and compared with its ids. A damaged thing never ends the check: each is listed with the
//! `path@revision`s it affects, and the rest is looked at all the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::error::OpsError;
use super::status::describe;
use super::{Progress, Repository, history};
use crate::store::StoreError;
use crate::store::catalog::{Catalog, FileRecord, Pack};
use crate::store::collect::{Folder, leftovers};
use crate::store::id::{ObjectId, PackId};
use crate::store::index::{self, PackRow};
use crate::store::ingest::Identity;
use crate::store::interrupt::Interrupt;
use crate::store::log::state::State;
use crate::store::log::{self, scan};
use crate::store::object::Mode;
use crate::store::object::{self, Kind};
use crate::store::pack;
use crate::store::path::MAX_DEPTH;
use crate::store::vault::View;

/// Most `path@revision`s that are listed for one finding; the rest are counted.
const MAX_AFFECTED: usize = 100;

/// What `verify` found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// Whether nothing is damaged or missing.
    pub ok: bool,
    /// Whether every stored byte was read.
    pub full: bool,
    /// Full names of the refs that were followed.
    pub checked_refs: Vec<String>,
    /// Number of transactions checked.
    pub transactions: u64,
    /// Number of commits checked.
    pub commits: u64,
    /// Number of different files checked.
    pub files: u64,
    /// Bytes of packs that were read and hashed.
    pub bytes: u64,
    /// What is damaged.
    pub findings: Vec<Finding>,
    /// What is out of the ordinary and harmless.
    pub warnings: Vec<String>,
    /// Files that nothing names: left by writers that died, or retired and not yet removed. `gc` removes them.
    pub leftovers: Vec<String>,
}

/// One damaged thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong, naming the vault file.
    pub problem: String,
    /// Files it affects, as `path@commit`, each content at one path and commit that holds it.
    pub affects: Vec<String>,
    /// How many more it affects.
    pub more: u64,
    /// Full names of refs whose history it was met in, each commit's first.
    pub refs: Vec<String>,
}

impl Finding {
    fn affect(&mut self, path: String, name: &str) {
        if !self.refs.iter().any(|known| known == name) {
            self.refs.push(name.to_owned());
        }
        if self.affects.len() < MAX_AFFECTED { self.affects.push(path) } else { self.more += 1 }
    }
}

/// Most often that stored bytes may be repeated in one file for `verify` to put it together: a bound on what a
/// hostile index can make it read.
const MAX_REPETITION: u64 = 1024;

/// Damaged decoded bytes of a pack, and the finding that tells of them.
#[derive(Debug)]
struct DamagedRange {
    start: u64,
    end: u64,
    finding: usize,
}

/// Packs are named by id; those inside an index by the index they are in.
type PackKey = (PackId, String);

struct Check<'a> {
    view: &'a View,
    report: VerifyReport,
    damaged: HashMap<PackKey, Vec<DamagedRange>>,
    seen: HashSet<ObjectId>,
    by_problem: BTreeMap<String, usize>,
    /// Decoded bytes of all packs.
    raw_bytes: u64,
    /// The ref whose history is being followed.
    following: String,
    interrupt: &'a Interrupt,
}

impl Repository {
    /// Checks that everything is there and consistent, without reading content.
    pub fn quick_verify(&self) -> Result<VerifyReport, OpsError> {
        self.verify(false, &mut |_| ())
    }

    /// The same, and hashes every stored byte again.
    pub fn full_verify(&self) -> Result<VerifyReport, OpsError> {
        self.verify(true, &mut |_| ())
    }

    /// Checks the vault as it is on disk now. `progress` is told how many bytes of packs there are to be read, and how
    /// many more were.
    pub fn verify(
        &self,
        full: bool,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<VerifyReport, OpsError> {
        let view = self.vault().refresh()?;
        let report = VerifyReport { full, ..VerifyReport::default() };
        let mut check = Check {
            view: &view,
            report,
            damaged: HashMap::new(),
            seen: HashSet::new(),
            by_problem: BTreeMap::new(),
            raw_bytes: 0,
            following: String::new(),
            interrupt: self.vault().interrupt(),
        };
        check.log(self)?;
        if full {
            progress(check.to_read());
        }
        check.packs(&mut |bytes| progress(Progress::Read(bytes)));
        check.refs(&view);
        self.vault().interrupt().check()?;
        check.leftovers(self)?;
        let mut report = check.report;
        report.ok = report.findings.is_empty();
        Ok(report)
    }
}

impl Check<'_> {
    fn finding(&mut self, problem: &impl ToString) -> usize {
        let problem = problem.to_string();
        let findings = &mut self.report.findings;
        *self.by_problem.entry(problem.clone()).or_insert_with(|| {
            findings.push(Finding { problem, affects: Vec::new(), more: 0, refs: Vec::new() });
            findings.len() - 1
        })
    }

    fn log(&mut self, repository: &Repository) -> Result<(), OpsError> {
        let media = repository.vault().media();
        let records = match scan::tail(media, None) {
            Ok(tail) => {
                self.report.transactions = tail.records.len() as u64;
                self.report.warnings.extend(tail.warnings.iter().map(describe));
                tail.records
            }
            Err(error) => {
                self.finding(&error);
                return Ok(());
            }
        };
        let mut checkpoints: BTreeMap<_, _> = scan::checkpoints(media)?.into_iter().collect();
        let mut state = State::default();
        for (record, checksum) in &records {
            state.fold(record, *checksum);
            match checkpoints.remove(&record.seq) {
                Some(Ok(checkpoint)) if Some(&checkpoint) == state.to_checkpoint().as_ref() => {}
                Some(Ok(_)) => self.checkpoint(record.seq, "it is not the state that the log gives"),
                Some(Err(error)) => self.checkpoint(record.seq, &error.to_string()),
                None => {}
            }
        }
        for (seq, found) in checkpoints {
            let problem =
                found.map_or_else(|error| error.to_string(), |_| "no such transaction counts".to_owned());
            self.checkpoint(seq, &problem);
        }
        Ok(())
    }

    fn checkpoint(&mut self, seq: u64, problem: &str) {
        let file = log::checkpoint_path(seq);
        self.finding(&format!(
            "vault file `{file}` is damaged: {problem}; delete it: the log holds all it says"
        ));
    }

    /// How many packs there are, and how many bytes in them.
    fn to_read(&self) -> Progress<'static> {
        let rows = self.view.catalog.indexes().iter().flat_map(|index| index.rows::<PackRow>());
        let live = rows.filter_map(Result::ok).filter(|row| !self.view.catalog.is_retired(row.id));
        let (files, bytes) = live.fold((0, 0), |(n, sum), row| (n + 1, row.stored_len.saturating_add(sum)));
        Progress::Found { files, bytes }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.check().is_err()
    }

    fn packs(&mut self, progress: &mut dyn FnMut(u64)) {
        let catalog = &self.view.catalog;
        for (id, why) in catalog.broken() {
            self.finding(&format!("{why} ({})", index::path_of(*id)));
        }
        for index in catalog.indexes() {
            for error in index.bad_blocks() {
                self.finding(&error);
            }
            if let Err(error) = index.check_layout() {
                // Rows that contradict each other could send us round for ever.
                self.finding(&error);
                continue;
            }
            for row in index.rows::<PackRow>() {
                match row {
                    // What is still said of a retired pack does not count.
                    Ok(row) if catalog.is_retired(row.id) => {}
                    Ok(row) => self.pack(&Pack::of(index, row), progress),
                    Err(error) => drop(self.finding(&error)),
                }
            }
        }
    }

    fn pack(&mut self, pack: &Pack, progress: &mut dyn FnMut(u64)) {
        self.raw_bytes = self.raw_bytes.saturating_add(pack.row.raw_len);
        if !pack.is_inline()
            && let Some(problem) = wrong_length(&self.view.catalog, pack)
        {
            self.damage(pack, 0, pack.row.raw_len, &problem);
            return;
        }
        if !self.report.full {
            return;
        }
        for chunk in pack.chunks() {
            if self.is_interrupted() {
                return;
            }
            let checked = chunk.map(|row| (row, self.view.catalog.read_chunk(pack, &row).err()));
            match checked {
                Ok((row, problem)) => {
                    self.report.bytes += u64::from(row.stored_len);
                    progress(u64::from(row.stored_len));
                    if let Some(problem) = problem {
                        self.damage(
                            pack,
                            row.raw_start,
                            row.raw_start + u64::from(row.raw_len),
                            &problem.to_string(),
                        );
                    }
                }
                Err(error) => drop(self.finding(&error)),
            }
        }
    }

    fn damage(&mut self, pack: &Pack, start: u64, end: u64, problem: &str) {
        let finding = self.finding(&problem);
        self.damaged.entry((pack.row.id, pack.file())).or_default().push(DamagedRange {
            start,
            end,
            finding,
        });
    }

    fn refs(&mut self, view: &Arc<View>) {
        // One walk for all refs: a commit that two of them lead to is looked at once.
        let mut history = history::History::empty(view);
        for (name, &id) in &view.state.refs {
            self.report.checked_refs.push(name.to_string());
            self.following = name.to_string();
            if let Err(error) = history.add(id) {
                self.lost(&error);
                continue;
            }
            for commit in &mut history {
                match commit {
                    Ok((id, commit)) => {
                        self.seen.insert(id);
                        self.report.commits += 1;
                        self.tree(commit.tree, String::new(), id);
                    }
                    Err(error) => self.lost(&error),
                }
            }
        }
    }

    /// Files that nothing names, here and in `tmp/`.
    fn leftovers(&mut self, repository: &Repository) -> Result<(), OpsError> {
        let media = repository.vault().media();
        let unnamed = Folder::read(media)?.unnamed(self.view).unwrap_or_default();
        let left = unnamed.into_iter().chain(leftovers(media)?);
        let describe = |(path, len): (String, u64)| {
            format!("{path}: {len} bytes that nothing names; `hv gc` frees them")
        };
        self.report.leftovers = left.map(describe).collect();
        Ok(())
    }

    /// A commit that cannot be read takes what came before it along.
    fn lost(&mut self, error: &OpsError) {
        let finding = self.finding(error);
        let name = &self.following;
        self.report.findings[finding].affect(format!("{name}: what came before"), name);
    }

    fn tree(&mut self, root: ObjectId, path: String, commit: ObjectId) {
        let mut pending = vec![(root, path)];
        while let Some((id, path)) = pending.pop() {
            if self.is_interrupted() {
                return;
            }
            if !self.seen.insert(id) {
                continue;
            }
            let tree = match self.view.catalog.tree(id) {
                Ok(tree) if object::id_of(Kind::Tree, &tree.encode()) == id => tree,
                Ok(_) => {
                    self.affected(
                        &format!("tree {id} does not have the id it is stored under"),
                        &path,
                        commit,
                    );
                    continue;
                }
                Err(error) => {
                    self.affected(&error, &format!("{path}/"), commit);
                    continue;
                }
            };
            for entry in tree.entries() {
                let name = String::from_utf8_lossy(&entry.name);
                let path = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
                if entry.mode == Mode::Directory && path.matches('/').count() >= MAX_DEPTH {
                    // A chain of a million folders is an attack on memory; nothing of ours is that deep.
                    let start: String = path.chars().take(40).collect();
                    self.affected(&format!("folders are nested over {MAX_DEPTH} deep"), &start, commit);
                } else if entry.mode == Mode::Directory {
                    pending.push((entry.id, path));
                } else if self.seen.insert(entry.id) {
                    self.file(entry.id, &path, commit);
                }
            }
        }
    }

    fn affected(&mut self, problem: &impl ToString, path: &str, commit: ObjectId) {
        let finding = self.finding(problem);
        self.report.findings[finding].affect(format!("{path}@{}", commit.short()), &self.following);
    }

    fn file(&mut self, blob: ObjectId, path: &str, commit: ObjectId) {
        self.report.files += 1;
        let stored = self.view.catalog.blob(blob);
        let record = stored.and_then(|(sha256, pointer)| Ok((self.view.catalog.file(sha256)?, pointer)));
        let checked = record.and_then(|(record, pointer)| {
            let hurt = self.damage_of(&record)?;
            if hurt.is_empty() && self.report.full {
                self.content(&record, blob, pointer)?;
            }
            Ok(hurt)
        });
        match checked {
            Ok(findings) => {
                for finding in findings {
                    let affected = format!("{path}@{}", commit.short());
                    self.report.findings[finding].affect(affected, &self.following);
                }
            }
            Err(error) => self.affected(&error, path, commit),
        }
    }

    /// Puts a file together and compares it with the ids it is known by.
    fn content(&self, record: &FileRecord, blob: ObjectId, pointer: bool) -> Result<(), StoreError> {
        if record.size > self.raw_bytes.saturating_mul(MAX_REPETITION) {
            let detail = format!(
                "sha256:{} is said to have {} bytes, far more than is stored",
                record.sha256, record.size
            );
            return Err(StoreError::Damaged { file: record.described_in(), detail });
        }
        let mut identity = Identity::new(record.size, pointer);
        self.view.catalog.read_each(record, &mut |bytes| identity.update(bytes))?;
        if identity.finish() == (record.sha256, blob) {
            return Ok(());
        }
        Err(StoreError::Damaged {
            file: record.described_in(),
            detail: format!("what it says is sha256:{} and blob {blob} is another content", record.sha256),
        })
    }

    /// Findings that hurt a file: damaged ranges of packs that its extents need.
    fn damage_of(&self, record: &FileRecord) -> Result<Vec<usize>, StoreError> {
        let mut findings = Vec::new();
        for extent in &record.extents {
            let pack = self.view.catalog.pack_of(record, extent)?;
            let ranges = self.damaged.get(&(pack.row.id, pack.file())).map_or(&[][..], Vec::as_slice);
            let hurts =
                |range: &&DamagedRange| range.start < extent.start + extent.len && extent.start < range.end;
            findings.extend(ranges.iter().filter(hurts).map(|range| range.finding));
        }
        findings.sort_unstable();
        findings.dedup();
        Ok(findings)
    }
}

fn wrong_length(catalog: &Catalog, pack: &Pack) -> Option<String> {
    let path = pack::path_of(pack.row.id);
    match catalog.media().len(&path) {
        Ok(Some(len)) if len == pack.row.stored_len => None,
        Ok(Some(len)) => {
            Some(format!("vault file `{path}` is damaged: it has {len} bytes, not {}", pack.row.stored_len))
        }
        Ok(None) => Some(format!("vault file `{path}` is missing")),
        Err(error) => Some(format!("cannot read `{path}` in the vault: {error}")),
    }
}

//! `verify`: is everything there, and is it what was written?
//!
//! Quick: every record, checkpoint and index, and everything a ref leads to, is present and consistent. Full:
//! every stored byte is hashed again as well, and every file put together and compared with its ids: chunks are checked
//! while the files they are in are read, and what no file had read is read behind them. A damaged thing never ends the check:
//! each is listed with the `path@revision`s it affects, and the rest is looked at all the same. How files are put together is
//! `contents`' business.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;

use serde::Serialize;

use self::contents::{BadChunks, Close, Contents, Desk, key, note, workers};
use self::reach::{Findings, Reach};
use self::walk::Walk;

use super::error::OpsError;
use super::status::describe;
use super::{Progress, Repository};
use crate::store::catalog::checked::Seen;
use crate::store::catalog::{Catalog, Pack, broken_index};
use crate::store::collect::{Folder, leftovers};
use crate::store::id::{ObjectId, PackId};
use crate::store::index::PackRow;
use crate::store::interrupt::Interrupt;
use crate::store::log::state::State;
use crate::store::log::{self, scan};
use crate::store::pack;
use crate::store::vault::View;

mod contents;
mod reach;
mod walk;

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
    /// Files that nothing names: left by writers that died, or retired and not yet removed. `gc` removes them. In a damaged
    /// vault what names them may be what cannot be read.
    pub leftovers: Vec<String>,
    /// Bytes in these.
    pub leftover_bytes: u64,
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
    /// Full names of the refs in whose history it is.
    pub refs: Vec<String>,
    /// Whether it is in a pack: what no file needs of packs, a collection takes away.
    #[serde(skip)]
    pub in_pack: bool,
}

impl Finding {
    pub(super) fn new(problem: String) -> Self {
        Self { problem, affects: Vec::new(), more: 0, refs: Vec::new(), in_pack: false }
    }

    pub(super) fn affect(&mut self, path: String, name: &str) {
        self.is_in(name);
        self.affect_unnamed(path);
    }

    /// Notes a ref in whose history it is.
    fn is_in(&mut self, name: &str) {
        if !self.refs.iter().any(|known| known == name) {
            self.refs.push(name.to_owned());
        }
    }

    /// The same for what no ref leads to.
    pub(super) fn affect_unnamed(&mut self, path: String) {
        if self.affects.len() < MAX_AFFECTED { self.affects.push(path) } else { self.more += 1 }
    }
}

/// Packs are named by id; those inside an index by the index they are in.
type PackKey = (PackId, String);

/// Where a finding belongs in the report: the log, then indexes with their packs and chunks in order, then what the walk
/// met. Chunks are found damaged in the order of the walk.
type Place = (u8, usize, u64);

/// The place of what is wrong with the log.
const LOG: Place = (0, 0, 0);
/// The place of indexes that cannot be opened.
const BROKEN: Place = (1, 0, 0);
/// The place of what was met on the way from a ref.
const WALK: Place = (2, 0, 0);

/// The place of what is wrong with the `at`th index.
fn of_index(at: usize) -> Place {
    (1, at.saturating_add(1), 0)
}

/// The place of a chunk, and of the pack that begins with it.
fn of_chunk((index, chunk): (usize, u32)) -> Place {
    (1, index.saturating_add(1), u64::from(chunk) + 1)
}

fn is_of_chunk((part, _, chunk): Place) -> bool {
    part == 1 && chunk > 0
}

struct Check<'a> {
    view: &'a Arc<View>,
    report: VerifyReport,
    /// The place of each finding.
    places: Vec<Place>,
    by_problem: BTreeMap<String, usize>,
    /// Blobs and trees that are met on the way from a ref, and the findings about them.
    hurt: HashMap<ObjectId, Findings>,
    /// Packs that are missing or have another length, and the finding that says so.
    bad_packs: HashMap<PackKey, usize>,
    /// Packs to be read: those of indexes that make sense, of the right length.
    good_packs: Vec<Pack>,
    /// Decoded bytes of all packs.
    raw_bytes: u64,
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
            places: Vec::new(),
            by_problem: BTreeMap::new(),
            hurt: HashMap::new(),
            bad_packs: HashMap::new(),
            good_packs: Vec::new(),
            raw_bytes: 0,
            interrupt: self.vault().interrupt(),
        };
        check.log(self)?;
        if full {
            progress(check.to_read());
        }
        check.packs();
        check.contents(&mut |bytes| progress(Progress::Read(bytes)));
        self.vault().interrupt().check()?;
        check.refs_of_findings()?;
        check.leftovers(self)?;
        let mut report = check.into_report();
        report.ok = report.findings.is_empty();
        Ok(report)
    }
}

impl Check<'_> {
    fn finding(&mut self, place: Place, problem: &impl ToString) -> usize {
        let problem = problem.to_string();
        let (findings, places) = (&mut self.report.findings, &mut self.places);
        let at = *self.by_problem.entry(problem.clone()).or_insert_with(|| {
            findings.push(Finding::new(problem));
            places.push(place);
            findings.len() - 1
        });
        self.places[at] = self.places[at].min(place);
        at
    }

    /// The report, with its findings in their places.
    fn into_report(mut self) -> VerifyReport {
        let mut placed: Vec<_> = self.places.into_iter().zip(self.report.findings).collect();
        placed.sort_by_key(|(place, _)| *place);
        self.report.findings = placed
            .into_iter()
            .map(|(place, finding)| Finding { in_pack: is_of_chunk(place), ..finding })
            .collect();
        self.report
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
                self.finding(LOG, &error);
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
        let problem =
            format!("vault file `{file}` is damaged: {problem}; delete it: the log holds all it says");
        self.finding(LOG, &problem);
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

    /// Looks at the indexes, and at the packs from outside.
    fn packs(&mut self) {
        let catalog = &self.view.catalog;
        for broken in catalog.broken() {
            self.finding(BROKEN, &broken_index(broken));
        }
        for (at, index) in catalog.indexes().iter().enumerate() {
            for error in index.bad_blocks() {
                self.finding(of_index(at), &error);
            }
            if let Err(error) = index.check_layout() {
                // Rows that contradict each other could send us round for ever.
                self.finding(of_index(at), &error);
                continue;
            }
            for row in index.rows::<PackRow>() {
                match row {
                    // What is still said of a retired pack does not count.
                    Ok(row) if catalog.is_retired(row.id) => {}
                    Ok(row) => self.pack(at, Pack::of(index, row)),
                    Err(error) => drop(self.finding(of_index(at), &error)),
                }
            }
        }
    }

    fn pack(&mut self, index: usize, pack: Pack) {
        self.raw_bytes = self.raw_bytes.saturating_add(pack.row.raw_len);
        let problem = if pack.is_inline() { None } else { wrong_length(&self.view.catalog, &pack) };
        match problem {
            Some(problem) => {
                let finding = self.finding(of_chunk((index, pack.row.first_chunk)), &problem);
                self.bad_packs.insert(key(&pack), finding);
            }
            None => self.good_packs.push(pack),
        }
    }

    /// Follows the refs and puts every file together, then reads what no file had read.
    fn contents(&mut self, progress: &mut dyn FnMut(u64)) {
        let seen = self.report.full.then(|| Seen::nothing_of(&self.view.catalog));
        let bad_packs = std::mem::take(&mut self.bad_packs);
        let contents = Contents {
            catalog: &self.view.catalog,
            bad_packs: &bad_packs,
            seen: seen.as_ref(),
            raw_bytes: self.raw_bytes,
            interrupt: self.interrupt,
        };
        let workers = if seen.is_some() { workers() } else { 0 };
        let desk = Desk::default();
        thread::scope(|threads| {
            let _close = Close(&desk);
            for _ in 0..workers {
                threads.spawn(|| desk.work(&contents));
            }
            let asked = (workers > 0).then_some(&desk);
            Walk::new(self, &contents, asked, progress).refs();
        });
        if let Some(seen) = &seen {
            self.unread(seen, progress);
        }
    }

    /// Finds every ref that leads to what was found, and not only the first.
    fn refs_of_findings(&mut self) -> Result<(), OpsError> {
        if self.report.findings.iter().all(|finding| finding.refs.is_empty()) {
            return Ok(());
        }
        let (view, by_problem) = (self.view, &self.by_problem);
        let by_problem = |problem: &str| by_problem.get(problem).copied();
        let mut reach = Reach::new(view, &self.hurt, &by_problem, self.interrupt);
        for (name, &id) in &view.state.refs {
            let found = reach.of(id)?;
            let findings = self.report.findings.iter_mut().enumerate();
            // What no ref was met on the way to is not in any history.
            let hit = findings.filter(|(at, finding)| found.contains(*at) && !finding.refs.is_empty());
            hit.for_each(|(_, finding)| finding.is_in(name.as_str()));
        }
        self.report.findings.iter_mut().for_each(|finding| finding.refs.sort());
        Ok(())
    }

    /// Reads the chunks that are not in any file that was put together.
    fn unread(&mut self, seen: &Seen, progress: &mut dyn FnMut(u64)) {
        let mut buffer = Vec::new();
        for pack in std::mem::take(&mut self.good_packs) {
            let mut next = pack.row.first_chunk;
            while !self.is_interrupted()
                && let Some(missing) = seen.missing(&pack, next)
            {
                next = missing.end;
                let mut bad = BadChunks::new();
                match self.view.catalog.read_chunks(&pack, missing, buffer) {
                    Ok(stretch) => {
                        let new = note(seen, &pack, &stretch, &mut bad);
                        self.report.bytes += new;
                        progress(new);
                        next = stretch.after();
                        buffer = stretch.bytes;
                    }
                    Err(error) => {
                        self.finding(of_index(seen.number_of(&pack)), &error);
                        buffer = Vec::new();
                    }
                }
                self.bad_chunks(bad);
            }
        }
    }

    /// The findings about chunks.
    fn bad_chunks(&mut self, bad: BadChunks) -> Vec<usize> {
        bad.into_iter().map(|(place, problem)| self.finding(of_chunk(place), &problem)).collect()
    }

    /// Files that nothing names, here and in `tmp/`.
    fn leftovers(&mut self, repository: &Repository) -> Result<(), OpsError> {
        let media = repository.vault().media();
        let unnamed = Folder::read(media)?.unnamed(self.view).unwrap_or_default();
        let left = unnamed.into_iter().chain(leftovers(media)?);
        for (path, len) in left {
            self.report.leftover_bytes += len;
            self.report.leftovers.push(format!("{path}: {len} bytes that nothing names"));
        }
        Ok(())
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

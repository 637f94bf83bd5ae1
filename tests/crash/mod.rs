//! The accident: power goes, the disk fills or fails, or the process is killed in the middle of a transaction,
//! and the vault is then neither what it was nor what it was to become.
//!
//! Every workload is cut at every step on the in-memory medium, and everything the disk may be left with is
//! opened, compared with the old and the new state byte by byte, verified, and worked on. [`mutations`] proves
//! that this would notice: with any one sync turned into a lie it must find a violation.

use std::collections::BTreeMap;
use std::io::Read;

use hubvault::ops::{Actor, CommitOperation, CommitOptions, OpsError, Signature, Timestamp};
use hubvault::snapshot::{Mode, Snapshot};
use hubvault::store::StoreError;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::{Repository, SnapshotError};

use crate::samples::{add, noise, open};

mod checkpoint;
mod collect;
mod faults;
mod hooked;
mod kill;
mod mutations;
mod optimize;
mod power;
mod space;
mod upkeep;
mod workloads;
mod writers;

/// Who acts, the `n`th time: always at the same second, so that the same act gives the same ids.
fn actor(n: u64) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 60 };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&n.to_le_bytes());
    Actor { signature: Signature::new("A U Thor", "a@example.org", time).unwrap(), nonce }
}

fn commit(
    repository: &Repository,
    message: &str,
    operations: &[CommitOperation],
    n: u64,
) -> Result<(), OpsError> {
    let options = CommitOptions { message: message.to_owned(), ..CommitOptions::default() };
    repository.create_commit(operations, &options, &actor(n), &mut |_| ()).map(drop)
}

/// All that a user can see of a vault.
#[derive(PartialEq, Eq)]
struct World {
    default_branch: String,
    refs: BTreeMap<String, String>,
    histories: BTreeMap<String, Vec<String>>,
    /// Content of every file of every commit that a ref leads to directly, by commit and path.
    files: BTreeMap<(String, String), Vec<u8>>,
}

/// What is there; `None` when no vault is, or none that was ever finished.
fn look(media: &MemoryMedia) -> Result<Option<World>, OpsError> {
    match open(media) {
        Ok(repository) => look_into(&repository),
        Err(OpsError::Store(StoreError::NotAVault)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn look_into(repository: &Repository) -> Result<Option<World>, OpsError> {
    let view = repository.vault().view();
    let Some(default_branch) = &view.state.default_branch else { return Ok(None) };
    let mut world = World {
        default_branch: default_branch.to_string(),
        refs: BTreeMap::new(),
        histories: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    for (name, id) in &view.state.refs {
        let name = name.to_string();
        world.refs.insert(name.clone(), id.to_string());
        let snapshot = repository.snapshot(Some(&name))?;
        let commit = snapshot.id().to_string();
        if world.histories.contains_key(&commit) {
            continue;
        }
        let history = repository.history(Some(&name))?.map(|step| step.map(|(id, _)| id.to_string()));
        world.histories.insert(commit.clone(), history.collect::<Result<_, _>>()?);
        read_all(&snapshot, &commit, &mut world.files)?;
    }
    Ok(Some(world))
}

fn read_all(
    snapshot: &Snapshot,
    commit: &str,
    files: &mut BTreeMap<(String, String), Vec<u8>>,
) -> Result<(), SnapshotError> {
    let mut open = vec![(snapshot.root(), String::new())];
    while let Some((folder, at)) = open.pop() {
        for entry in snapshot.list(folder.id)? {
            let path = format!("{at}/{}", String::from_utf8_lossy(&entry.name));
            if entry.mode == Mode::Directory {
                open.push((entry, path));
                continue;
            }
            let mut bytes = Vec::new();
            snapshot.open_file(&entry, &path)?.stream().read_to_end(&mut bytes).map_err(|source| {
                let source = StoreError::Source { name: path.clone(), source };
                SnapshotError::Read { file: format!("{path}@{commit}"), source }
            })?;
            files.insert((commit.to_owned(), path), bytes);
        }
    }
    Ok(())
}

/// What `verify` has to say, unless all is clean: no damage, and no record that had to be passed over.
fn complaints(repository: &Repository, full: bool) -> Option<String> {
    match repository.verify(full, &mut |_| ()) {
        Err(error) => Some(format!("verify: {error}")),
        Ok(report) if !report.ok => Some(format!("verify: {:?}", report.findings)),
        Ok(report) if !report.warnings.is_empty() => Some(format!("verify: {:?}", report.warnings)),
        Ok(_) => repository.warnings().first().map(|warning| format!("opening: {warning:?}")),
    }
}

/// Something a user does, on a vault made ready for it.
struct Workload {
    name: &'static str,
    /// Before it, with nothing pending.
    before: MemoryMedia,
    /// Does it, the `n`th time.
    act: fn(&MemoryMedia, n: u64) -> Result<(), OpsError>,
    old: Option<World>,
    new: Option<World>,
    /// What it does to the medium, step by step.
    trace: Vec<String>,
}

/// Nonces of the workloads themselves, of trying one again, and of what comes after it.
const FIRST: u64 = 1 << 32;
const AGAIN: u64 = 2 << 32;
const NEXT: u64 = 3 << 32;

impl Workload {
    fn new(
        name: &'static str,
        before: &MemoryMedia,
        act: fn(&MemoryMedia, u64) -> Result<(), OpsError>,
    ) -> Self {
        let before = before.settled();
        let dry = before.settled();
        act(&dry, FIRST).unwrap();
        let (old, new) = (look(&before).unwrap(), look(&dry).unwrap());
        assert!(old != new, "{name} does nothing");
        Self { name, before, act, old, new, trace: dry.operations() }
    }

    /// Runs it on a medium of its own, prepared by `arm`.
    fn run(&self, arm: impl FnOnce(&MemoryMedia)) -> (MemoryMedia, Result<(), OpsError>) {
        let media = self.before.settled();
        arm(&media);
        let done = (self.act)(&media, FIRST);
        (media, done)
    }

    /// What is wrong with a vault found after the act was cut short (or, if `done`, after it was not): it must
    /// be in the old or the new state, clean, and good to work on. Answers whether it is in the new one.
    fn judge(&self, media: &MemoryMedia, done: bool) -> Result<bool, String> {
        let found = look(media).map_err(|error| format!("opening and reading: {error}"))?;
        let is_new = found == self.new;
        if !is_new && (done || found != self.old) {
            return Err(
                if found == self.old { "what was done is lost" } else { "neither old nor new" }.into()
            );
        }
        if found.is_some() {
            let repository = open(media).map_err(|error| error.to_string())?;
            complaints(&repository, true).map_or(Ok(()), Err)?;
        }
        if !is_new {
            (self.act)(media, AGAIN).map_err(|error| format!("doing it again: {error}"))?;
            match look(media) {
                Ok(again) if again == self.new => {}
                Ok(_) => return Err("doing it again gives another state".into()),
                Err(error) => return Err(format!("reading after doing it again: {error}")),
            }
        }
        self.work_on(media)?;
        Ok(is_new)
    }

    /// Makes one more commit on the new state.
    fn work_on(&self, media: &MemoryMedia) -> Result<(), String> {
        let repository = open(media).map_err(|error| format!("opening for the next commit: {error}"))?;
        commit(&repository, "next", &[add("next", b"next".to_vec())], NEXT)
            .map_err(|error| format!("the next commit: {error}"))?;
        let reopened = open(media).map_err(|error| format!("opening after the next commit: {error}"))?;
        complaints(&reopened, false).map_or(Ok(()), |what| Err(format!("after the next commit, {what}")))?;
        let world =
            look_into(&reopened).map_err(|error| format!("reading after the next commit: {error}"))?;
        let (world, new) = (world.unwrap(), self.new.as_ref().unwrap());
        let head = &world.histories[&world.refs[&world.default_branch]];
        let before = &new.histories[&new.refs[&new.default_branch]];
        if &head[1..] == before.as_slice() && world.files[&(head[0].clone(), "/next".into())] == b"next" {
            Ok(())
        } else {
            Err("the next commit is not on top of what was there".into())
        }
    }

    /// The class of a sync in the trace (`pack file`, `log bucket folder`), by what becomes of what it syncs.
    fn sync_class(&self, step: usize) -> Option<&'static str> {
        let operation = self.trace[step].as_str();
        if let Some(folder) = operation.strip_prefix("sync_dir ") {
            return Some(match folder {
                "." => "root folder",
                "log" => "log folder",
                "packs" => "packs folder",
                _ if self.trace[..step].last().is_some_and(|last| last.ends_with(".checkpoint")) => {
                    "checkpoint folder"
                }
                _ if !self.trace[..step].iter().any(|before| before.contains(&format!("-> {folder}/"))) => {
                    "last log bucket folder"
                }
                _ => "log bucket folder",
            });
        }
        let moved = format!("publish {} -> ", operation.strip_prefix("sync ")?);
        let target = self.trace[step..].iter().find_map(|later| later.strip_prefix(&moved))?;
        Some(match target.rsplit_once('.').map_or(target, |(_, ending)| ending) {
            "pack" => "pack file",
            "idx" => "index file",
            "record" => "record file",
            "checkpoint" => "checkpoint file",
            "HUBVAULT" => "marker file",
            _ => "unknown",
        })
    }
}

/// What a sweep looked at and what it found.
#[derive(Default, Debug)]
struct Sweep {
    steps: usize,
    states: usize,
    old: usize,
    new: usize,
    violations: Vec<Violation>,
}

/// A state that must not be.
#[derive(Debug)]
struct Violation {
    /// Whether the act had said that it was done.
    done: bool,
    what: String,
}

impl Sweep {
    fn count(&mut self, at: &str, done: bool, verdict: Result<bool, String>) {
        self.states += 1;
        match verdict {
            Ok(true) => self.new += 1,
            Ok(false) => self.old += 1,
            Err(why) => self.violations.push(Violation { done, what: format!("{at}: {why}") }),
        }
    }

    fn assert_clean(&self, name: &str, least: usize) {
        println!("{name}: {} steps, {} states: {} old, {} new", self.steps, self.states, self.old, self.new);
        let few: Vec<_> = self.violations.iter().take(5).collect();
        assert!(self.violations.is_empty(), "{name}: {} violations: {few:#?}", self.violations.len());
        assert!(self.states >= least, "{name}: only {} states were looked at", self.states);
        assert!(self.old > 0 && self.new > 0, "{name}: one of the two states was never seen");
    }
}

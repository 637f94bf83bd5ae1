//! A detached view: private, writable copies of a revision's files in a folder, brought up to date.
//!
//! One process at a time works on a view, holding its lock. First what no longer belongs there goes, then what is
//! missing or changed is written, by a few threads; what was written is remembered. Knows how a folder is brought up
//! to date; not where views are kept, nor which files somebody asked for.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::error::OpsError;
use super::folder::{Folder, Kind, writing};
use super::manifest::{self, Entry, JOURNAL, Manifest};
use super::placing::{Outcome, Placer, State, Target, Wanted};
use super::{Progress, join};
use crate::snapshot::Snapshot;
use crate::store::interrupt::Interrupt;
use crate::store::path::RepoPath;

/// Where the notes on a view are written before they are put in place.
const NEW_MANIFEST: &str = "manifest.new";

/// Threads that write files. More make small files faster on a busy disk, and large ones slower.
const THREADS: usize = 4;
/// Files waiting for a thread.
const WAITING: usize = 64;

/// Where a view is.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder the files go to.
    pub(super) top: Folder,
    /// The folder for what is remembered of them.
    pub(super) meta: Folder,
    /// Whether everything in `top` is ours.
    pub(super) disposable: bool,
    /// A folder that nothing may be written into.
    pub(super) forbidden: Option<Folder>,
    /// By which the work can be asked to end.
    pub(super) interrupt: Interrupt,
}

/// What was done to a view.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) written: u64,
    pub(super) unchanged: u64,
    pub(super) removed: u64,
    pub(super) bytes: u64,
    pub(super) warnings: Vec<String>,
}

/// Hands each wanted file to a visitor, in any order but always the same; ends early when it answers `false`.
pub(super) type Files<'a> =
    &'a (dyn Fn(&mut dyn FnMut(Wanted) -> Result<bool, OpsError>) -> Result<(), OpsError> + Sync);

/// A view that is being worked on.
#[derive(Debug)]
pub(super) struct Detached {
    target: Target,
    manifest: Manifest,
    done: Done,
    interrupt: Interrupt,
    _lock: File,
}

enum Event {
    Started(PathBuf),
    Bytes(u64),
    Placed(RepoPath, Entry, Outcome),
    Failed(OpsError),
}

impl Detached {
    /// Waits for whoever works on the view, and clears away what somebody left who did not finish.
    pub(super) fn open(place: Place) -> Result<Self, OpsError> {
        let Place { top, meta, disposable, forbidden, interrupt } = place;
        let lock = lock(&meta, "lock")?;
        let (manifest, warnings) = manifest::load(&meta);
        for left in ["tmp", NEW_MANIFEST] {
            meta.clear(left).map_err(writing(&meta, left))?;
        }
        let tmp = meta.make("tmp").map_err(writing(&meta, "tmp"))?;
        let names = AtomicU64::new(0);
        let target = Target { top, meta, tmp, disposable, forbidden, names, journal: None };
        target.check_not_forbidden(&target.top)?;
        Ok(Self { target, manifest, done: Done { warnings, ..Done::default() }, interrupt, _lock: lock })
    }

    /// Makes the view hold `files`; with `exact`, of what was written before nothing else.
    ///
    /// # Errors
    /// [`OpsError::Midway`] when something was replaced or kept before it failed: that must be said all the same.
    pub(super) fn update(
        mut self,
        snapshot: &Snapshot,
        files: Files<'_>,
        exact: bool,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Done, OpsError> {
        let updated = self.bring_up_to_date(snapshot, files, exact, progress);
        let done = std::mem::take(&mut self.done);
        match updated {
            Ok(()) => Ok(done),
            Err(error) => Err(error.after(done.warnings)),
        }
    }

    fn bring_up_to_date(
        &mut self,
        snapshot: &Snapshot,
        files: Files<'_>,
        exact: bool,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), OpsError> {
        let mut stale = if exact { self.manifest.clone() } else { Manifest::new() };
        let (mut count, mut bytes) = (0, 0);
        files(&mut |wanted| {
            stale.remove(&wanted.path);
            (count, bytes) = (count + 1, bytes + wanted.size);
            Ok(true)
        })?;
        self.done.bytes = bytes;
        progress(Progress::Found { files: count, bytes });
        for (path, entry) in stale.iter().filter(|(_, entry)| !entry.single) {
            self.take_away(path, entry)?;
        }
        drop(stale);
        if !self.target.disposable {
            let journal = self.target.meta.open_or_create(JOURNAL);
            self.target.journal = Some(Mutex::new(journal.map_err(writing(&self.target.meta, JOURNAL))?));
        }
        let before = self.done.removed;
        let (placed, failed) = self.place_all(snapshot, files, progress);
        let mut changed = before > 0 || !self.done.warnings.is_empty();
        for (path, entry) in placed {
            changed |= self.manifest.get(&path) != Some(&entry);
            self.manifest.insert(path, entry);
        }
        if exact && self.target.disposable && failed.is_none() {
            self.clear_strangers(&self.target.top, "", 0)?;
        }
        self.close(changed, failed)
    }

    fn close(&mut self, changed: bool, failed: Option<OpsError>) -> Result<(), OpsError> {
        let meta = &self.target.meta;
        // On Windows a file that is open cannot be removed.
        self.target.journal = None;
        let saved = if changed {
            manifest::save(meta, NEW_MANIFEST, &self.manifest).map_err(writing(meta, "manifest"))
        } else {
            meta.clear(JOURNAL).map_err(writing(meta, JOURNAL))
        };
        if let Err(error) = meta.remove_folder("tmp") {
            tracing::debug!(%error, "the next download removes it");
        }
        failed.map_or(saved, Err)
    }

    /// Removes a file that was written before and no longer belongs here, unless somebody made it their own.
    fn take_away(&mut self, path: &RepoPath, entry: &Entry) -> Result<(), OpsError> {
        self.manifest.remove(path);
        let Ok(mut folders) = self.target.existing_parent(path) else { return Ok(()) };
        let folder = folders.last().unwrap_or(&self.target.top);
        let name = path.name();
        let failed = || writing(folder, name);
        if self.target.disposable {
            folder.clear(name).map_err(failed())?;
        } else {
            if folder.look(name).map_err(failed())?.is_none() {
                return Ok(());
            }
            let ours = Target::is_right(folder, name, entry, None, Some(entry)).map_err(failed())?;
            if ours == State::Wrong {
                let text = format!("`{path}` is no longer in the revision, but was changed here: kept");
                self.done.warnings.push(text);
                return Ok(());
            }
            folder.remove(name).map_err(failed())?;
        }
        self.done.removed += 1;
        let mut names: Vec<&str> = path.components().collect();
        names.pop();
        // Folders that are empty now; the first that is not ends it.
        while let (Some(_), Some(name)) = (folders.pop(), names.pop()) {
            if folders.last().unwrap_or(&self.target.top).remove_folder(name).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Removes what nobody wrote: a view that is all ours holds the revision's files and nothing else.
    fn clear_strangers(&self, folder: &Folder, path: &str, depth: usize) -> Result<(), OpsError> {
        for name in folder.names().map_err(writing(folder, ""))? {
            let inside = join(path, &name);
            let known = RepoPath::new(&inside).ok().filter(|known| known.as_str() == inside);
            if known.as_ref().is_some_and(|known| self.manifest.contains_key(known)) {
                continue;
            }
            let below = format!("{inside}/");
            let from = known.and_then(|known| {
                self.manifest.range(known..).find(|(path, _)| path.as_str() >= below.as_str())
            });
            let is_above = from.is_some_and(|(path, _)| path.as_str().starts_with(&below));
            let is_folder = folder
                .look(&name)
                .map_err(writing(folder, &name))?
                .is_some_and(|found| found.kind == Kind::Folder);
            if is_above && is_folder && depth < crate::store::path::MAX_DEPTH {
                let child = folder.child(&name).map_err(writing(folder, &name))?;
                self.clear_strangers(&child, &inside, depth + 1)?;
            } else {
                folder.clear(&name).map_err(writing(folder, &name))?;
            }
        }
        Ok(())
    }

    fn place_all(
        &mut self,
        snapshot: &Snapshot,
        files: Files<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> (Vec<(RepoPath, Entry)>, Option<OpsError>) {
        let (target, manifest, done) = (&self.target, &self.manifest, &mut self.done);
        let interrupt = &self.interrupt;
        let stop = &AtomicBool::new(false);
        let (mut placed, mut replaced, mut failed) = (Vec::new(), Vec::new(), None);
        std::thread::scope(|scope| {
            let (to_threads, waiting) = sync_channel::<Wanted>(WAITING);
            let (tell, events) = sync_channel::<Event>(WAITING);
            let waiting = std::sync::Arc::new(Mutex::new(waiting));
            let failing = tell.clone();
            scope.spawn(move || {
                let feed = &mut |wanted| Ok(!stop.load(Relaxed) && to_threads.send(wanted).is_ok());
                if let Err(error) = files(feed) {
                    stop.store(true, Relaxed);
                    send(&failing, Event::Failed(error));
                }
            });
            for _ in 0..THREADS {
                let (waiting, tell) = (std::sync::Arc::clone(&waiting), tell.clone());
                scope.spawn(move || {
                    work(Placer::new(target, snapshot, manifest), &waiting, &tell, (stop, interrupt));
                });
            }
            drop((waiting, tell));
            for event in events {
                match event {
                    Event::Started(path) => progress(Progress::File(&path)),
                    Event::Bytes(bytes) => progress(Progress::Read(bytes)),
                    Event::Placed(path, entry, outcome) => {
                        match outcome {
                            Outcome::Unchanged => done.unchanged += 1,
                            Outcome::Written => done.written += 1,
                            Outcome::Replaced => {
                                done.written += 1;
                                replaced.push(path.clone());
                            }
                        }
                        placed.push((path, entry));
                    }
                    Event::Failed(error) => failed = failed.take().or(Some(error)),
                }
            }
        });
        done.warnings.extend(words_for(replaced));
        (placed, failed)
    }
}

/// Says which files were written over that were no copies.
fn words_for(mut replaced: Vec<RepoPath>) -> Option<String> {
    const NAMED: usize = 5;
    replaced.sort();
    let named: Vec<String> = replaced.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    let more = match replaced.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty())
        .then(|| format!("replaced what was changed here, or not from a vault: {}{more}", named.join(", ")))
}

fn work(
    mut placer: Placer<'_>,
    waiting: &Mutex<Receiver<Wanted>>,
    tell: &SyncSender<Event>,
    (stop, interrupt): (&AtomicBool, &Interrupt),
) {
    while !stop.load(Relaxed) {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(wanted) = next else { return };
        send(tell, Event::Started(wanted.path.as_str().into()));
        let told = |bytes| {
            send(tell, Event::Bytes(bytes));
            Ok(interrupt.check()?)
        };
        match placer.place(&wanted, &told) {
            Ok((entry, outcome)) => send(tell, Event::Placed(wanted.path, entry, outcome)),
            Err(error) => {
                stop.store(true, Relaxed);
                return send(tell, Event::Failed(error));
            }
        }
    }
}

/// Tells the thread that reports. It listens until every other thread is done.
fn send(tell: &SyncSender<Event>, event: Event) {
    if tell.send(event).is_err() {
        tracing::debug!("nobody listens any more");
    }
}

/// Waits until nobody else holds the lock of this name.
pub(super) fn lock(meta: &Folder, name: &str) -> Result<File, OpsError> {
    let failed = || writing(meta, name);
    let file = meta.open_or_create(name).map_err(failed())?;
    if Folder::look_at(&file).map_err(failed())?.kind != Kind::File {
        return Err(failed()(io::Error::other("is not a regular file")));
    }
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::info!(%error, "this file system has no locks");
                return Ok(file);
            }
            Err(error) => return Err(failed()(error)),
            Ok(()) => return Ok(file),
        }
    }
}

//! One file of a revision put where it belongs, or found to be there already.
//!
//! Content is written under a temporary name and moved into place whole, so that nobody ever sees part of it under its
//! name. What is there already is trusted when the file system says that nothing touched it, else read and compared.
//! Folders on the way are opened one by one and never through a link. Knows one target folder; not which files belong
//! in it.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sha2::Digest as _;

use super::error::OpsError;
use super::folder::{Folder, Kind, Stamp, writing};
use super::manifest::{Entry, Form, JOURNAL, Manifest, journal_line};
use crate::snapshot::{FileReader, Snapshot};
use crate::store::id::Sha256;
use crate::store::media::disk::share_blocks;
use crate::store::object::TreeEntry;
use crate::store::path::RepoPath;

/// Bytes read or compared at a time.
const BUFFER: usize = 1 << 20;
/// A file from this size on is copied in parts, by several threads.
const LARGE: u64 = 64 << 20;
/// Length of such a part.
const PART: u64 = 8 << 20;
/// How many threads copy one large file.
const PARTS: usize = 2;

/// A file that should be in a view.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) path: RepoPath,
    pub(super) source: Source,
    pub(super) form: Form,
    pub(super) sha256: Sha256,
    pub(super) size: u64,
    /// Asked for by name.
    pub(super) single: bool,
}

/// Where the content of a file comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Read from the revision.
    Entry(TreeEntry),
    /// The text of a symlink that is not in the revision.
    Link(Vec<u8>),
}

/// The folder files are put into, and where they are written first.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) top: Folder,
    /// Notes and temporary files, on the same file system.
    pub(super) meta: Folder,
    pub(super) tmp: Folder,
    /// Whether everything in it is ours, to be replaced and removed as it suits.
    pub(super) disposable: bool,
    /// A folder that nothing is written into: the vault itself.
    pub(super) forbidden: Option<Folder>,
    pub(super) names: AtomicU64,
    /// Files under way; kept where not everything is ours.
    pub(super) journal: Option<Mutex<File>>,
}

/// What is where a file belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing, or something else.
    Wrong,
    /// That file, with a stamp if the file system gives one.
    Right(Option<Stamp>),
}

/// Is told how far one file is, and may end it.
pub(super) type Told<'a> = &'a (dyn Fn(u64) -> Result<(), OpsError> + Sync);

fn in_the_way(folder: &Folder, name: &str, what: &str) -> OpsError {
    let detail = format!("{what} is in the way; move it elsewhere and download again");
    OpsError::Local { path: folder.path().join(name), detail }
}

impl Target {
    /// A name for one more temporary file.
    pub(super) fn next_name(&self) -> String {
        self.names.fetch_add(1, Relaxed).to_string()
    }

    /// The folder `name`, made if need be. What else is there is removed where everything is ours, else refused.
    fn enter(&self, folder: &Folder, name: &str) -> Result<Folder, OpsError> {
        let entered = match folder.make(name) {
            Ok(entered) => entered,
            Err(error) => match folder.look(name).map_err(writing(folder, name))? {
                Some(found) if found.kind != Kind::Folder && self.disposable => {
                    folder.clear(name).and_then(|()| folder.make(name)).map_err(writing(folder, name))?
                }
                Some(found) if found.kind == Kind::Link => {
                    return Err(in_the_way(folder, name, "a folder is needed here, and a symlink"));
                }
                Some(found) if found.kind != Kind::Folder => {
                    return Err(in_the_way(folder, name, "a folder is needed here, and a file"));
                }
                _ => return Err(writing(folder, name)(error)),
            },
        };
        self.check_not_forbidden(&entered)?;
        Ok(entered)
    }

    /// Refuses the vault's own folder, however it was reached.
    pub(super) fn check_not_forbidden(&self, folder: &Folder) -> Result<(), OpsError> {
        let Some(forbidden) = &self.forbidden else { return Ok(()) };
        let same = folder.identity().and_then(|id| Ok(id == forbidden.identity()?));
        if same.map_err(writing(folder, ""))? {
            let detail = "is the vault itself; choose a folder outside of it".to_owned();
            return Err(OpsError::Local { path: folder.path().to_owned(), detail });
        }
        Ok(())
    }

    /// The folder `path` is in, if every folder on the way is there and none of them is a link.
    pub(super) fn existing_parent(&self, path: &RepoPath) -> io::Result<Vec<Folder>> {
        let mut folders: Vec<Folder> = Vec::new();
        let mut names: Vec<&str> = path.components().collect();
        names.pop();
        for name in names {
            folders.push(folders.last().unwrap_or(&self.top).child(name)?);
        }
        Ok(folders)
    }

    /// Whether what is in `folder` under `name` is this content in this form. Reads it unless it is remembered and
    /// untouched since. Answers its stamp.
    pub(super) fn is_right(
        folder: &Folder,
        name: &str,
        wanted: &Entry,
        size: Option<u64>,
        remembered: Option<&Entry>,
    ) -> io::Result<State> {
        let Some(found) = folder.look(name)? else { return Ok(State::Wrong) };
        if wanted.form == Form::Symlink {
            let right = found.kind == Kind::Link && sha256(&folder.read_link(name)?) == wanted.sha256;
            return Ok(if right { State::Right(None) } else { State::Wrong });
        }
        if found.kind != Kind::File || size.is_some_and(|size| size != found.size) {
            return Ok(State::Wrong);
        }
        let untouched = remembered.is_some_and(|entry| {
            entry.sha256 == wanted.sha256
                && entry.form == wanted.form
                && entry.stamp.is_some()
                && entry.stamp == found.stamp
        });
        if untouched {
            return Ok(State::Right(found.stamp));
        }
        let file = folder.open(name)?;
        let before = Folder::look_at(&file)?.stamp;
        if hash(&file)? != wanted.sha256 {
            return Ok(State::Wrong);
        }
        let executable = wanted.form == Form::Executable;
        if cfg!(unix)
            && found.executable != executable
            && let Err(error) = Folder::set_executable(&file, executable)
        {
            // Some file systems have no such mode; what they show is not worth writing the file again.
            tracing::debug!(name, %error, "its mode stays");
        }
        // Changed since it was opened, if only its mode by us: the next time it is read again.
        let after = Folder::look_at(&file)?.stamp;
        Ok(State::Right(after.filter(|_| before == after)))
    }
}

/// SHA-256 of a short content.
pub(super) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

fn hash(mut file: &File) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Puts files into one target, keeping the folders of the last one open for the next.
#[derive(Debug)]
pub(super) struct Placer<'a> {
    target: &'a Target,
    snapshot: &'a Snapshot,
    remembered: &'a Manifest,
    open: Vec<(String, Folder)>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(target: &'a Target, snapshot: &'a Snapshot, remembered: &'a Manifest) -> Self {
        Self { target, snapshot, remembered, open: Vec::new() }
    }

    fn enter_parent(&mut self, path: &RepoPath) -> Result<(), OpsError> {
        let mut names: Vec<&str> = path.components().collect();
        names.pop();
        let shared = self.open.iter().zip(&names).take_while(|((open, _), name)| open == *name).count();
        self.open.truncate(shared);
        for name in &names[shared..] {
            let parent = self.open.last().map_or(&self.target.top, |(_, folder)| folder);
            let folder = self.target.enter(parent, name)?;
            self.open.push(((*name).to_owned(), folder));
        }
        Ok(())
    }

    /// Makes sure that a file is there. Answers what to remember, and whether it was written.
    pub(super) fn place(&mut self, wanted: &Wanted, told: Told<'_>) -> Result<(Entry, bool), OpsError> {
        self.enter_parent(&wanted.path)?;
        let folder = self.open.last().map_or(&self.target.top, |(_, folder)| folder);
        let name = wanted.path.name();
        let mut entry =
            Entry { sha256: wanted.sha256, form: wanted.form, stamp: None, single: wanted.single };
        let remembered = self.remembered.get(&wanted.path);
        let right = Target::is_right(folder, name, &entry, Some(wanted.size), remembered);
        // What was there before us, or was asked for by name, is not for a later snapshot to take away.
        entry.single |= !self.target.disposable && remembered.is_some_and(|remembered| remembered.single);
        if let State::Right(stamp) = right.map_err(writing(folder, name))? {
            told(wanted.size)?;
            entry.stamp = stamp;
            entry.single |= !self.target.disposable && remembered.is_none();
            return Ok((entry, false));
        }
        entry.stamp = self.replace(folder, wanted, &entry, told)?;
        Ok((entry, true))
    }

    fn replace(
        &self,
        folder: &Folder,
        wanted: &Wanted,
        entry: &Entry,
        told: Told<'_>,
    ) -> Result<Option<Stamp>, OpsError> {
        let (target, name) = (self.target, wanted.path.name());
        let tmp = target.next_name();
        let written = self.write(&tmp, wanted, told, &writing_at(folder, name));
        let moved = written.and_then(|()| {
            if let Some(journal) = &target.journal {
                let mut journal = journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let line = journal_line(&wanted.path, entry);
                io::Write::write_all(&mut *journal, &line).map_err(writing(&target.meta, JOURNAL))?;
            }
            self.make_way(folder, name)?;
            target.tmp.move_to(&tmp, folder, name).map_err(writing(folder, name))
        });
        if moved.is_err() && target.tmp.remove(&tmp).is_err() {
            tracing::debug!(tmp, "the next download removes it");
        }
        moved?;
        let found = folder.look(name).map_err(writing(folder, name))?;
        Ok(found.filter(|found| found.kind == Kind::File).and_then(|found| found.stamp))
    }

    /// Writes a wanted file under the temporary name `tmp`.
    fn write(
        &self,
        tmp: &str,
        wanted: &Wanted,
        told: Told<'_>,
        failed: &(dyn Fn(io::Error) -> OpsError + Sync),
    ) -> Result<(), OpsError> {
        let into = &self.target.tmp;
        let entry = match &wanted.source {
            Source::Link(text) => return into.link(tmp, text).map_err(failed),
            Source::Entry(entry) => entry,
        };
        let reader = self.snapshot.open_file(entry, wanted.path.as_str())?;
        if wanted.form == Form::Symlink {
            return into.link(tmp, &link_text(&reader)?).map_err(failed);
        }
        let file = into.create(tmp, wanted.form == Form::Executable).map_err(failed)?;
        copy(&reader, &file, told, failed)
    }

    /// Removes a folder that is where a file belongs: all of it where everything is ours, else only if it is empty.
    fn make_way(&self, folder: &Folder, name: &str) -> Result<(), OpsError> {
        match folder.look(name).map_err(writing(folder, name))? {
            Some(found) if found.kind == Kind::Folder => {}
            _ => return Ok(()),
        }
        if self.target.disposable {
            return folder.clear(name).map_err(writing(folder, name));
        }
        if folder.remove_if_empty(name).map_err(writing(folder, name))? {
            return Ok(());
        }
        Err(in_the_way(folder, name, "a file belongs here, and a folder that is not empty"))
    }
}

fn writing_at<'a>(folder: &'a Folder, name: &'a str) -> impl Fn(io::Error) -> OpsError + Sync + 'a {
    move |source| writing(folder, name)(source)
}

fn link_text(reader: &FileReader) -> Result<Vec<u8>, OpsError> {
    // Longer than any system follows; a bound on what a hostile vault can make us allocate.
    let mut text = vec![0; usize::try_from(reader.size().min(64 << 10)).unwrap_or(0)];
    reader.read_at(0, &mut text)?;
    Ok(text)
}

/// Writes all content of `reader` to a new, empty file. Every byte is checked, also where the file system shares the
/// vault's own blocks instead of copying them.
fn copy(
    reader: &FileReader,
    file: &File,
    told: Told<'_>,
    failed: &(dyn Fn(io::Error) -> OpsError + Sync),
) -> Result<(), OpsError> {
    let shared = share_pack(reader, file)?;
    let part = |from: u64, to: u64| {
        reader.read_span::<OpsError>(from..to, &mut |at, bytes| {
            if !shared {
                write_all_at(file, bytes, at).map_err(failed)?;
            }
            told(bytes.len() as u64)
        })
    };
    if reader.size() < LARGE {
        return part(0, reader.size());
    }
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let copy_parts = || {
            loop {
                let from = next.fetch_add(PART, Relaxed);
                if from >= reader.size() {
                    return Ok(());
                }
                if let Err(error) = part(from, from + PART) {
                    // Nobody needs to start another part.
                    next.store(u64::MAX / 2, Relaxed);
                    return Err(error);
                }
            }
        };
        let others: Vec<_> = (1..PARTS).map(|_| scope.spawn(copy_parts)).collect();
        let mine = copy_parts();
        let theirs = others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(stopped())));
        theirs.fold(mine, Result::and)
    })
}

/// A thread that copies never panics; were it to, this is what became of the copy.
fn stopped() -> OpsError {
    OpsError::Invalid("a copying thread stopped before it was done".to_owned())
}

/// Lets the file system share the blocks of a pack that is the file, byte for byte. `false` when it cannot.
fn share_pack(reader: &FileReader, file: &File) -> Result<bool, OpsError> {
    let Some(pack) = reader.whole_file()? else { return Ok(false) };
    let shared = pack.as_file().is_some_and(|pack| share_blocks(pack, file));
    Ok(shared && file.metadata().is_ok_and(|metadata| metadata.len() == reader.size()))
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        (bytes, at) = (&bytes[n..], at + n as u64);
    }
    Ok(())
}

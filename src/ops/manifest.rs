//! What is remembered of a detached view: which files were written, and what the file system said of each.
//!
//! A view is trusted without being read only as far as this goes. As in Git's index, what was written in the same tick
//! of the clock as the note itself could have been changed in that tick without a trace, so its stamp does not count.
//! A note that cannot be read counts as none, and the view is compared byte by byte. Knows one file of text; must not
//! know what the files of a view should be.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};

use serde::{Deserialize, Serialize};

use super::folder::{Folder, Stamp};
use crate::store::id::Sha256;
use crate::store::media::disk::is_own;
use crate::store::path::RepoPath;

/// Name of the note.
const NAME: &str = "manifest";
/// Name of the list of what is being written while the note is not.
pub(super) const JOURNAL: &str = "journal";
/// Longest note that is read, in bytes: more than a million files.
const MAX_BYTES: u64 = 256 << 20;
/// Longest line of it: a path and its stamp.
const MAX_LINE: u64 = 16 << 10;
/// What it says it is.
const VERSION: u32 = 1;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    File,
    Executable,
    Symlink,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sha256: Sha256,
    pub(super) form: Form,
    /// `None`: nothing that can be trusted without reading the file.
    pub(super) stamp: Option<Stamp>,
    /// Asked for by name, so that no snapshot takes it away.
    pub(super) single: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    hubvault_view: u32,
    /// What the file system's clock said when this was written, nanoseconds since 1970.
    clock: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: RepoPath,
    sha256: Sha256,
    form: Form,
    stamp: Option<Stamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    single: bool,
}

/// The files of a view.
pub(super) type Manifest = BTreeMap<RepoPath, Entry>;

/// Reads the note in `folder`, and what was under way when nobody finished. The second value says what was wrong.
pub(super) fn load(folder: &Folder) -> (Manifest, Vec<String>) {
    let mut warnings = Vec::new();
    // Who can write the note can have other files taken for what they should be: somebody else's counts as none.
    let own = |name: &str| folder.open(name).map(|file| Some(file).filter(is_own));
    let note = own(NAME).and_then(|file| file.map_or_else(|| Ok(Manifest::new()), |file| read(file, true)));
    let mut found = match note {
        Ok(manifest) => manifest,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                let path = folder.path().join(NAME);
                warnings.push(format!(
                    "`{}` is not what was written there ({error}); the files are compared instead",
                    path.display()
                ));
            }
            Manifest::new()
        }
    };
    // A line that was not finished is of a file that was not put in place.
    if let Ok(Some(under_way)) = own(JOURNAL)
        && let Ok(under_way) = read(under_way, false)
    {
        found.extend(under_way);
    }
    (found, warnings)
}

fn read(file: File, is_note: bool) -> io::Result<Manifest> {
    if file.metadata()?.len() > MAX_BYTES {
        return Err(io::Error::other("it is too long"));
    }
    let mut reader = BufReader::with_capacity(64 << 10, file.take(MAX_BYTES));
    let mut line = Vec::new();
    let mut next = move || -> io::Result<Option<Vec<u8>>> {
        line.clear();
        let n = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        Ok((n > 0).then(|| line.clone()))
    };
    let mut clock = i64::MIN;
    if is_note {
        let head: Head = serde_json::from_slice(&next()?.unwrap_or_default())?;
        if head.hubvault_view != VERSION {
            return Err(io::Error::other("it is of another version"));
        }
        clock = head.clock;
    }
    let mut found = Manifest::new();
    while let Some(line) = next()? {
        let Line { path, sha256, form, stamp, single } = match serde_json::from_slice(&line) {
            Ok(line) => line,
            Err(_) if !is_note => break,
            Err(error) => return Err(error.into()),
        };
        let stamp = stamp.filter(|stamp| stamp.ctime < clock);
        found.insert(path, Entry { sha256, form, stamp, single });
    }
    Ok(found)
}

/// A line of the journal: this file is about to be put in place.
pub(super) fn journal_line(path: &RepoPath, entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Line {
        path: path.clone(),
        sha256: entry.sha256,
        form: entry.form,
        stamp: None,
        single: entry.single,
    })
    .unwrap_or_default();
    line.push(b'\n');
    line
}

/// Writes the note in place of the one that is there; `tmp` is a name in the folder that nobody uses.
pub(super) fn save(folder: &Folder, tmp: &str, manifest: &Manifest) -> io::Result<()> {
    let file = folder.create(tmp, false)?;
    // Made now, it tells what the clock of this file system says now.
    let clock = Folder::look_at(&file)?.stamp.map_or(i64::MIN, |stamp| stamp.ctime);
    let mut out = BufWriter::with_capacity(64 << 10, file);
    serde_json::to_writer(&mut out, &Head { hubvault_view: VERSION, clock })?;
    out.write_all(b"\n")?;
    for (path, entry) in manifest {
        let Entry { sha256, form, stamp, single } = *entry;
        serde_json::to_writer(&mut out, &Line { path: path.clone(), sha256, form, stamp, single })?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    drop(out);
    folder.move_to(tmp, folder, NAME)?;
    match folder.remove(JOURNAL) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ctime: i64) -> Entry {
        let stamp = Some(Stamp { dev: 1, ino: 2, size: 3, mtime: 4, ctime });
        Entry { sha256: Sha256::from_bytes([7; 32]), form: Form::File, stamp, single: false }
    }

    #[test]
    fn a_note_comes_back_without_the_stamps_of_its_own_tick() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::top(folder.path()).unwrap();
        let manifest: Manifest = [("old", 5), ("new", i64::MAX)]
            .map(|(name, ctime)| (RepoPath::new(name).unwrap(), entry(ctime)))
            .into();
        save(&folder, "tmp", &manifest).unwrap();
        let (loaded, warnings) = load(&folder);
        assert!(warnings.is_empty(), "{warnings:?}");
        let stamps: Vec<bool> = loaded.values().map(|entry| entry.stamp.is_some()).collect();
        assert_eq!(stamps, [false, cfg!(unix)]);
    }

    #[test]
    fn a_note_that_says_something_else_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let top = Folder::top(folder.path()).unwrap();
        for text in
            ["", "{", "{\"hubvault_view\":2,\"clock\":0}\n", "{\"hubvault_view\":1,\"clock\":0}\n{}\n"]
        {
            std::fs::write(folder.path().join(NAME), text).unwrap();
            let (loaded, warnings) = load(&top);
            assert!(loaded.is_empty() && warnings.len() == 1, "{text}: {warnings:?}");
        }
    }

    #[test]
    fn what_was_under_way_is_remembered_up_to_the_line_that_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = journal_line(&RepoPath::new("a").unwrap(), &entry(5));
        journal.extend_from_slice(b"{\"path\":\"b\",");
        std::fs::write(folder.path().join(JOURNAL), journal).unwrap();
        let (loaded, warnings) = load(&Folder::top(folder.path()).unwrap());
        assert_eq!((loaded.len(), warnings.len()), (1, 0));
        assert_eq!(loaded.values().next().unwrap().stamp, None);
    }
}

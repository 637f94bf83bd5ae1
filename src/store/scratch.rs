//! A writer's temporary files: named after it, taken away with it, and after its death by the next writer.
//!
//! While a writer lives it holds a lock on a file of its own in `locks/`; the lock, not the file, says that it
//! lives. So what a killed commit left in `tmp/` (it can be a whole model) is gone with the next one, and nobody
//! has to guess how old is old enough. Knows names, not what is written.

use std::io;
use std::sync::Arc;

use super::error::StoreError;
use super::id::PackId;
use super::media::{Lock, LockMode, Media, Wait};
use super::publish::discard;

const PREFIX: &str = "tmp-";

/// Names for the temporary files of one writer.
#[derive(Debug)]
pub(super) struct Scratch {
    media: Arc<dyn Media>,
    writer: PackId,
    lock: Option<Box<dyn Lock>>,
    names: Vec<String>,
}

fn lock_path(writer: PackId) -> String {
    format!("locks/{PREFIX}{writer}")
}

fn tmp_prefix(writer: PackId) -> String {
    format!("{writer}-")
}

impl Scratch {
    /// Sweeps up after writers that are dead, and starts a new one under a name nobody else has.
    pub(super) fn new(media: &Arc<dyn Media>, writer: PackId) -> Result<Self, StoreError> {
        // Folders that are empty at rest: archives and some copiers leave them out.
        for folder in ["tmp", "locks"] {
            media.create_dir(folder).map_err(StoreError::io("create", folder))?;
        }
        sweep(&**media);
        let path = lock_path(writer);
        let lock =
            media.lock(&path, LockMode::Exclusive, Wait::Forever).map_err(StoreError::io("lock", &path))?;
        Ok(Self { media: Arc::clone(media), writer, lock, names: Vec::new() })
    }

    /// When the writer began, by the clock of the medium; nanoseconds since 1970.
    pub(super) fn begun_at(&self) -> Option<i64> {
        self.media.modified(&lock_path(self.writer)).ok().flatten()
    }

    /// A name for one more temporary file.
    pub(super) fn next(&mut self) -> String {
        let name = format!("tmp/{}{}", tmp_prefix(self.writer), self.names.len());
        self.names.push(name.clone());
        name
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for name in self.names.drain(..) {
            discard(&*self.media, &name);
        }
        self.lock = None;
        discard(&*self.media, &lock_path(self.writer));
    }
}

/// Files in `tmp/` that no living writer has. Only to be asked while no transaction is going on: a writer that is
/// about to take its lock would not be seen.
pub(super) fn left(media: &dyn Media) -> Result<Vec<String>, StoreError> {
    let names = |folder| match media.list(folder) {
        Ok(names) => Ok(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::io("list", folder)(error)),
    };
    let mut living = Vec::new();
    for writer in names("locks")?.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok()) {
        let is_living = match media.lock(&lock_path(writer), LockMode::Exclusive, Wait::No) {
            Ok(lock) => lock.is_none(),
            // Another user's: whether it is held cannot be seen, so it may be.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        if is_living {
            living.push(tmp_prefix(writer));
        }
    }
    let is_left = |name: &String| !living.iter().any(|prefix| name.starts_with(prefix));
    Ok(names("tmp")?.into_iter().filter(is_left).map(|name| format!("tmp/{name}")).collect())
}

/// Removes what dead writers left. Whatever goes wrong with that is no reason not to write.
fn sweep(media: &dyn Media) {
    let (Ok(locks), Ok(files)) = (media.list("locks"), media.list("tmp")) else { return };
    for writer in locks.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok()) {
        let path = lock_path(writer);
        let Ok(Some(lock)) = media.lock(&path, LockMode::Exclusive, Wait::No) else { continue };
        for name in files.iter().filter(|name| name.starts_with(&tmp_prefix(writer))) {
            discard(media, &format!("tmp/{name}"));
        }
        drop(lock);
        discard(media, &path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::media::memory::MemoryMedia;

    fn writer(n: u8) -> PackId {
        PackId::from_bytes([n; 16])
    }

    #[test]
    fn what_a_dead_writer_left_goes_and_what_a_live_one_has_stays() {
        let memory = MemoryMedia::new();
        let media: Arc<dyn Media> = Arc::new(memory.clone());
        let mut live = Scratch::new(&media, writer(1)).unwrap();
        let kept = live.next();
        drop(media.create(&kept).unwrap());
        let mut dead = Scratch::new(&media, writer(2)).unwrap();
        let left = dead.next();
        drop(media.create(&left).unwrap());
        dead.lock = None;
        std::mem::forget(dead);

        let next = Scratch::new(&media, writer(3)).unwrap();
        let files = memory.files();
        assert!(files.contains_key(&kept) && !files.contains_key(&left), "{files:?}");
        drop((live, next));
        assert!(memory.files().is_empty(), "{:?}", memory.files());
    }
}

//! Leases: who is reading which commit, so that maintenance keeps what a mount or a long read needs.
//!
//! A lease is a small file and a lock held for as long as its holder lives; the lock, not the file, says
//! whether the holder is alive, so a crash leaves nothing to clean by hand. A vault that cannot be written
//! (read-only media, a full disk) has no leases: reading never depends on writing.

use std::io::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::frame;
use super::id::{ObjectId, PackId};
use super::log::scan::read_file;
use super::media::{Lock, LockMode, Media, Wait};
use super::publish::discard;

/// Frame kind of a lease.
const KIND: &str = "lease";

/// Who holds a lease, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The commit that must stay readable.
    pub commit: ObjectId,
    /// What for, for people: `mount /mnt/models`.
    pub purpose: String,
    /// Process id of the holder on its machine.
    pub pid: u32,
    /// When it was taken, seconds since 1970 UTC.
    pub since: i64,
    /// The newest transaction its holder knew of: what was retired up to it, the holder does not look for.
    pub transaction: u64,
}

/// A lease while it is held; dropping it gives it up.
#[derive(Debug)]
pub struct HeldLease {
    media: Arc<dyn Media>,
    path: String,
    lock_path: String,
    lock: Option<Box<dyn Lock>>,
}

fn paths(name: PackId) -> (String, String) {
    (format!("leases/{name}.lease"), format!("locks/lease-{name}"))
}

/// Takes a lease under a random `name`. `None`, with a word in the log, when the vault cannot be written: on
/// read-only media, or a full disk. Reading never depends on writing.
pub fn take(media: &Arc<dyn Media>, name: PackId, lease: &Lease) -> Option<HeldLease> {
    let (path, lock_path) = paths(name);
    match write(&**media, &path, &lock_path, lease) {
        Ok(lock) => Some(HeldLease { media: Arc::clone(media), path, lock_path, lock }),
        Err(error) => {
            tracing::info!(path, %error, "reading without a lease");
            discard(&**media, &path);
            discard(&**media, &lock_path);
            None
        }
    }
}

fn write(media: &dyn Media, path: &str, lock_path: &str, lease: &Lease) -> io::Result<Option<Box<dyn Lock>>> {
    // Folders that are empty at rest: archives leave them out.
    media.create_dir("locks")?;
    media.create_dir("leases")?;
    let lock = media.lock(lock_path, LockMode::Exclusive, Wait::Forever)?;
    media.create(path)?.write_all(&frame::encode(KIND, lease).0)?;
    Ok(lock)
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        discard(&*self.media, &self.path);
        self.lock = None;
        discard(&*self.media, &self.lock_path);
    }
}

/// Leases whose holders are alive.
pub fn live(media: &dyn Media) -> Result<Vec<Lease>, StoreError> {
    Ok(held(media)?.into_iter().filter_map(|(_, lease)| lease).collect())
}

/// Leases whose holders are alive, by name; `None` for one that cannot be read (it may be just being written).
pub(super) fn held(media: &dyn Media) -> Result<Vec<(PackId, Option<Lease>)>, StoreError> {
    let mut found = Vec::new();
    for name in names(media)? {
        let (path, lock_path) = paths(name);
        if is_held(media, &lock_path) {
            let lease = read_file(media, &path).ok().and_then(|bytes| frame::decode(KIND, &bytes).ok());
            found.push((name, lease.map(|(lease, _)| lease)));
        }
    }
    Ok(found)
}

fn is_held(media: &dyn Media, lock_path: &str) -> bool {
    // Asking for a lock makes its file, and this may be asked by somebody who writes nothing.
    media.len(lock_path).is_ok_and(|len| len.is_some())
        && match media.lock(lock_path, LockMode::Exclusive, Wait::No) {
            Ok(lock) => lock.is_none(),
            // Another user's: whether it is held cannot be seen, so it may be.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        }
}

fn names(media: &dyn Media) -> Result<Vec<PackId>, StoreError> {
    match media.list("leases") {
        Ok(names) => Ok(names.iter().filter_map(|name| name.strip_suffix(".lease")?.parse().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::io("list", "leases")(error)),
    }
}

/// Files of leases whose holders are dead. A lease's file is written under its lock, so one whose lock is free is
/// nobody's.
pub(super) fn dead(media: &dyn Media) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for name in names(media)? {
        let (path, lock_path) = paths(name);
        // Asking for a lock makes its file, and this may be asked by somebody who writes nothing.
        if media.len(&lock_path).is_ok_and(|len| len.is_none()) {
            found.push(path);
        } else if matches!(media.lock(&lock_path, LockMode::Exclusive, Wait::No), Ok(Some(_))) {
            found.extend([path, lock_path]);
        }
    }
    Ok(found)
}

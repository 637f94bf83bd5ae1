//! Emptying `cache/`, which is disposable whatever is in it; and counting what is in a folder of the vault.
//!
//! Must not know what the files are.

use std::io;
use std::path::Path;

use super::{GcReport, signed};
use crate::ops::{Repository, folder, join};
use crate::store::StoreError;
use crate::store::media::Media;

/// Empties the cache, and reports it.
pub(super) fn prune(repository: &Repository, report: &mut GcReport) -> Result<(), StoreError> {
    let media = repository.vault().media();
    let (files, bytes) = size(media);
    match repository.root() {
        Some(root) => {
            let failed = |source| StoreError::Io { action: "empty", file: "cache".to_owned(), source };
            clear_cache(root).map_err(failed)?;
        }
        None => remove_files(media),
    }
    let (files_left, bytes_left) = size(media);
    report.removed_file_count += files.saturating_sub(files_left);
    report.reclaimed_cache_size = signed(bytes.saturating_sub(bytes_left));
    Ok(())
}

/// Reports what emptying the cache would free.
pub(super) fn count(media: &dyn Media, report: &mut GcReport) {
    let (files, bytes) = size(media);
    report.removed_file_count += files;
    report.reclaimed_cache_size = signed(bytes);
}

/// Empties `cache/`. It is reached and emptied without following a link: a stranger's vault may have one there.
fn clear_cache(root: &Path) -> io::Result<()> {
    match folder::Folder::top(root)?.child("cache") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        cache => {
            let cache = cache?;
            cache.names()?.iter().try_for_each(|name| cache.clear(name))
        }
    }
}

/// Number and bytes of the files in the cache.
fn size(media: &dyn Media) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    each_file(media, "cache", &mut |_, len| {
        files += 1;
        bytes += len;
    });
    (files, bytes)
}

fn remove_files(media: &dyn Media) {
    let mut paths = Vec::new();
    each_file(media, "cache", &mut |path, _| paths.push(path.to_owned()));
    for path in paths {
        if let Err(error) = media.remove(&path) {
            tracing::warn!(path, %error, "could not be removed");
        }
    }
}

/// Visits the regular files below a folder; what cannot be read is not counted.
pub(in crate::ops) fn each_file(media: &dyn Media, folder: &str, visit: &mut dyn FnMut(&str, u64)) {
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for name in media.list(&folder).unwrap_or_default() {
            let path = join(&folder, &name);
            match media.len(&path) {
                Ok(Some(len)) => visit(&path, len),
                Ok(None) => {}
                // A folder, or what a vault has no use for: a link is not followed, listing it fails.
                Err(_) => pending.push(path),
            }
        }
    }
}

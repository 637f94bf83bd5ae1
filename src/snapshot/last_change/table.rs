//! What was found once about last changes, kept in the vault's cache: `cache/history/<listing>/<commit>`.
//!
//! A table says, for one folder (or all that is below it) as it is at one commit, which commit last changed each
//! entry. It is a shortcut and no more: whatever is missing, damaged or about something else is passed over, and the
//! walk finds out again. Writing one may fail, as on a vault that is read-only, and nobody is told.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Scope;
use crate::store::frame;
use crate::store::id::ObjectId;
use crate::store::log::scan::read_file;
use crate::store::media::Media;
use crate::store::publish::{discard_cached, put_cached};

/// Frame kind of a table.
const KIND: &str = "history";
/// Tables of one listing that are kept, and how many of those that are large.
const KEPT: (usize, usize) = (16, 2);
/// A table of more bytes is large.
const LARGE: usize = 1 << 20;
/// Listings that are asked when single paths are wanted.
const MAX_LISTINGS: usize = 16;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The commit at which it is true.
    commit: ObjectId,
    /// Path of the folder; empty for the root.
    folder: String,
    /// Whether it tells of everything below the folder.
    recursive: bool,
    /// Commits that changed something.
    commits: Vec<ObjectId>,
    /// Paths, each with the number of the commit that last changed it.
    entries: Vec<(String, u32)>,
}

/// One folder's listing, and the commits at which there is a table of it.
#[derive(Debug)]
struct Listing {
    folder: String,
    recursive: bool,
    commits: HashSet<ObjectId>,
}

impl Listing {
    fn find(media: &dyn Media, folder: &str, recursive: bool) -> Self {
        let mut listing = Self { folder: folder.to_owned(), recursive, commits: HashSet::new() };
        let names = media.list(&listing.place()).unwrap_or_default();
        listing.commits.extend(names.iter().filter_map(|name| name.parse::<ObjectId>().ok()));
        listing
    }

    /// The folder its tables are in.
    fn place(&self) -> String {
        let what = format!("{}\0{}", self.recursive, self.folder);
        format!("cache/history/{}", &blake3::hash(what.as_bytes()).to_hex()[..32])
    }
}

/// The tables that may know some of what is wanted.
#[derive(Debug)]
pub(super) struct Tables(Vec<Listing>);

/// One table, read.
#[derive(Debug)]
pub(super) struct Table(HashMap<String, ObjectId>);

impl Table {
    pub(super) fn get(&self, path: &[u8]) -> Option<ObjectId> {
        self.0.get(std::str::from_utf8(path).ok()?).copied()
    }
}

impl Tables {
    /// Looks which tables there are for a listing, or for the folders the wanted paths are in.
    pub(super) fn find<'a>(
        media: &dyn Media,
        scope: Scope<'_>,
        wanted: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        Self(match scope {
            Scope::Folder { path, recursive } => vec![Listing::find(media, path, recursive)],
            Scope::Paths => {
                let folders: HashSet<&[u8]> = wanted.map(super::parent).take(1000).collect();
                let folders = folders.into_iter().filter_map(|folder| std::str::from_utf8(folder).ok());
                folders.take(MAX_LISTINGS).map(|folder| Listing::find(media, folder, false)).collect()
            }
        })
    }

    /// The tables at this commit.
    pub(super) fn at(&self, media: &dyn Media, commit: ObjectId) -> Vec<Table> {
        let there = self.0.iter().filter(|listing| listing.commits.contains(&commit));
        there.filter_map(|listing| read(media, listing, commit)).collect()
    }

    /// Keeps what a listing found, in the place of an older table when there are many.
    pub(super) fn keep<'a>(
        &self,
        media: &dyn Media,
        scope: Scope<'_>,
        commit: ObjectId,
        found: impl Iterator<Item = (&'a [u8], ObjectId)>,
    ) {
        let (Scope::Folder { path, recursive }, [listing]) = (scope, &self.0[..]) else { return };
        let mut stored =
            Stored { commit, folder: path.to_owned(), recursive, commits: Vec::new(), entries: Vec::new() };
        let mut numbers: HashMap<ObjectId, u32> = HashMap::new();
        for (path, id) in found {
            let Ok(path) = std::str::from_utf8(path) else { return };
            let Ok(next) = u32::try_from(numbers.len()) else { return };
            let number = *numbers.entry(id).or_insert_with(|| {
                stored.commits.push(id);
                next
            });
            stored.entries.push((path.to_owned(), number));
        }
        let (bytes, _) = frame::encode(KIND, &stored);
        let place = listing.place();
        let most = if bytes.len() > LARGE { KEPT.1 } else { KEPT.0 };
        for old in listing.commits.iter().filter(|old| **old != commit).skip(most - 1) {
            discard_cached(media, &format!("{place}/{old}"));
        }
        if let Err(error) =
            put_cached(media, &["cache", "cache/history", &place], &commit.to_string(), &bytes)
        {
            tracing::debug!(%error, place, "could not keep what a walk over history found");
        }
    }
}

/// A table, if it is whole and about what its name says.
fn read(media: &dyn Media, listing: &Listing, commit: ObjectId) -> Option<Table> {
    let path = format!("{}/{commit}", listing.place());
    let stored = read_file(media, &path).ok().and_then(|bytes| frame::decode::<Stored>(KIND, &bytes).ok());
    let stored = stored.map(|(stored, _)| stored).filter(|stored| {
        (stored.commit, &stored.folder, stored.recursive) == (commit, &listing.folder, listing.recursive)
    });
    let Some(stored) = stored else {
        tracing::debug!(path, "passed over a table that is no good");
        discard_cached(media, &path);
        return None;
    };
    let commits = &stored.commits;
    let named = stored.entries.into_iter().filter_map(|(path, number)| {
        let commit = commits.get(usize::try_from(number).ok()?)?;
        Some((path, *commit))
    });
    Some(Table(named.collect()))
}

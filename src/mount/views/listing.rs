//! What a folder that changes lists at one moment, kept for whoever is in the middle of reading it.
//!
//! A kernel reads a folder in pieces and says only how far it got. So the moment is part of what it is told to come back
//! with: every listing is that of one state, never half of an older one. Knows no node numbers beyond the folder's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::folders::Folder as Listed;
use super::place::Folder;
use super::revisions::Revision;
use crate::snapshot::ObjectId;

/// Listings kept. One that was begun and left counts until others take its place.
const KEPT: usize = 16;
/// Moments that are told apart.
const MOMENTS: u64 = 1 << 30;

/// Something in a folder that we make up.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Folder(Folder, bool),
    Note,
    Link(Vec<u8>),
    /// A commit, its time, and what kind of name it has here.
    Revision(ObjectId, i64, Name),
}

/// What a name of a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A branch: what it was before is nothing to keep.
    Branch,
    /// A tag: it can be moved, and hardly ever is.
    Tag,
    /// Its id, which will always mean it.
    Id,
}

/// What a folder lists.
#[derive(Debug)]
pub(super) enum Listing {
    Items(Vec<(String, Item)>),
    /// What a commit has.
    Tree(Arc<Revision>, Arc<Listed>),
}

impl Listing {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Items(items) => items.len(),
            Self::Tree(_, listed) => listed.tree.entries().len(),
        }
    }
}

/// Where to go on: a moment and how many entries were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) moment: u64,
    pub(super) read: u32,
}

impl Position {
    /// The moment after transaction `number`.
    pub(super) fn start(number: u64) -> Self {
        Self { moment: number % MOMENTS, read: 0 }
    }

    pub(super) fn from_offset(offset: u64) -> Self {
        Self { moment: offset >> 32, read: u32::try_from(offset & u64::from(u32::MAX)).unwrap_or(0) }
    }

    /// The offset behind the entry with this index.
    pub(super) fn offset_behind(self, index: usize) -> Option<u64> {
        Some(self.moment << 32 | u64::from(u32::try_from(index).ok()?.checked_add(1)?))
    }
}

#[derive(Debug)]
struct Slot {
    folder: u64,
    moment: u64,
    listing: Arc<Listing>,
    readers: u32,
}

/// Listings that are being read.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<Vec<Slot>>);

impl Listings {
    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listing of a folder at a moment, if it is kept; `begins` counts one more who reads it.
    pub(super) fn find(&self, folder: u64, moment: u64, begins: bool) -> Option<Arc<Listing>> {
        let mut slots = self.lock();
        let slot = slots.iter_mut().find(|slot| (slot.folder, slot.moment) == (folder, moment))?;
        slot.readers += u32::from(begins);
        Some(Arc::clone(&slot.listing))
    }

    /// Keeps a listing that somebody begins to read.
    pub(super) fn keep(&self, folder: u64, moment: u64, listing: &Arc<Listing>) {
        let mut slots = self.lock();
        let oldest = if slots.len() >= KEPT { Some(slots.remove(0)) } else { None };
        slots.push(Slot { folder, moment, listing: Arc::clone(listing), readers: 1 });
        drop(slots);
        drop(oldest);
    }

    /// Somebody has read a listing to its end. Old ones that nobody reads go.
    pub(super) fn done(&self, folder: u64, moment: u64, now: u64) {
        let mut slots = self.lock();
        if let Some(slot) = slots.iter_mut().find(|slot| (slot.folder, slot.moment) == (folder, moment)) {
            slot.readers = slot.readers.saturating_sub(1);
        }
        Self::drop_idle(slots, now);
    }

    /// The vault has moved on: listings of before that nobody reads go.
    pub(super) fn moved(&self, now: u64) {
        Self::drop_idle(self.lock(), now);
    }

    fn drop_idle(mut slots: MutexGuard<'_, Vec<Slot>>, now: u64) {
        let idle: Vec<Slot> = slots.extract_if(.., |slot| slot.readers == 0 && slot.moment != now).collect();
        drop(slots);
        drop(idle); // gives up revisions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_the_way_through_a_kernel() {
        for (number, index) in [(0, 0), (7, 12), (MOMENTS - 1, 4_000_000_000)] {
            let offset = Position::start(number).offset_behind(index).unwrap();
            assert!(offset > 0 && offset < i64::MAX as u64 - 2);
            let back = Position::from_offset(offset);
            assert_eq!((back.moment, back.read as usize), (number, index + 1));
        }
        assert_eq!(Position::start(1).offset_behind(usize::MAX), None);
    }

    #[test]
    fn a_listing_stays_while_it_is_read_and_no_longer() {
        let listings = Listings::default();
        let listing = Arc::new(Listing::Items(Vec::new()));
        listings.keep(1, 5, &listing);
        listings.moved(6);
        assert!(listings.find(1, 5, true).is_some());
        listings.done(1, 5, 6);
        assert!(listings.find(1, 5, false).is_some());
        listings.done(1, 5, 6);
        assert!(listings.find(1, 5, false).is_none());
        for moment in 0..100 {
            listings.keep(1, moment, &listing);
        }
        assert_eq!(listings.lock().len(), KEPT);
    }
}

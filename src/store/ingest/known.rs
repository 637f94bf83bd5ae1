//! Where chunks are that the vault has already.
//!
//! Asked once per chunk of a large file, beside the thread that reads it: so it holds only what a lookup needs,
//! not the transaction. A chunk whose pack is not there with all its bytes does not count.

use crate::store::catalog::{Catalog, Located};
use crate::store::id::{ChunkHash, PackId};
use crate::store::index::draft::DraftChunks;
use crate::store::media::Media;
use crate::store::sound::Soundness;
use crate::store::transaction::{Transaction, unless_damaged};

/// A place among the decoded bytes of a pack.
pub(super) type Place = (PackId, u64);

/// Most places of a chunk that are looked at: it is in more than one when it was stored again to be read in one go.
const PLACES: usize = 4;

/// Finds chunks that are stored.
pub(super) struct Known<'a> {
    media: &'a dyn Media,
    catalog: &'a Catalog,
    own: &'a DraftChunks,
    sound: &'a mut Soundness,
    /// What was found last.
    last: Option<Located>,
}

impl<'a> Known<'a> {
    /// What the vault has, and what `transaction` stored so far.
    pub(super) fn of(transaction: &'a mut Transaction<'_>) -> Self {
        transaction.own_chunks.enter();
        Self {
            media: &*transaction.vault.media,
            catalog: &transaction.base.catalog,
            own: &transaction.own_chunks,
            sound: &mut transaction.sound,
            last: None,
        }
    }

    /// Where a chunk of this name and length is.
    pub(super) fn find(&mut self, hash: ChunkHash, len: u32) -> Option<Place> {
        if let Some(place) = self.own.find(hash) {
            return Some(place);
        }
        // What is known comes in runs: the chunk after the last one found is looked at before the tables are.
        let next = self.last.take().and_then(|last| unless_damaged(last.next()));
        let found = match next {
            Some(next) if next.chunk.hash == hash => next,
            _ => unless_damaged(self.catalog.chunk(hash))?,
        };
        let (pack, chunk) = (found.pack.row.id, found.chunk);
        let sound = chunk.raw_len == len
            && self.sound.check(self.media, self.catalog, pack)
            && self.sound.holds(self.catalog, &found.pack, &chunk);
        self.last = Some(found);
        if sound {
            return Some((pack, chunk.raw_start));
        }
        // It may have been stored again.
        self.places(hash, len).first().copied()
    }

    /// Every place where a chunk of this name and length is, as far as there are not too many.
    pub(super) fn places(&mut self, hash: ChunkHash, len: u32) -> Vec<Place> {
        let own = self.own.find(hash);
        let mut stored = self.catalog.chunks(hash, PLACES);
        stored.retain(|found| {
            found.chunk.raw_len == len
                && self.sound.check(self.media, self.catalog, found.pack.row.id)
                && self.sound.holds(self.catalog, &found.pack, &found.chunk)
        });
        let stored = stored.into_iter().map(|found| (found.pack.row.id, found.chunk.raw_start));
        own.into_iter().chain(stored).collect()
    }
}

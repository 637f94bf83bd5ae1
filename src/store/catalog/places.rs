//! All the places a chunk is in: a chunk that was stored again lies in several packs, and who lays out a file asks which of
//! them goes on where its neighbours are.

use super::{Catalog, Located, Pack};
use crate::store::id::{ChunkHash, PackId};
use crate::store::index::ChunkRow;
use crate::store::transaction::unless_damaged;

impl Catalog {
    /// Stored chunks with this hash in packs of their own files, of the newest index first; at most `most`. What a
    /// damaged index says is left out.
    pub fn chunks(&self, hash: ChunkHash, most: usize) -> Vec<Located> {
        let mut found: Vec<Located> = Vec::new();
        for index in self.indexes.iter().rev() {
            let visited = index.each_chunk(hash, &mut |ordinal, row, chunk: ChunkRow| {
                let is_new = !found.iter().any(|other| other.pack.row.id == row.id && other.chunk == chunk);
                if row.id != PackId::HERE && !self.is_retired(row.id) && is_new {
                    found.push(Located { pack: Pack::of(index, row), ordinal, chunk });
                }
                found.len() < most
            });
            unless_damaged(visited.map(Some));
            if found.len() >= most {
                break;
            }
        }
        found
    }
}

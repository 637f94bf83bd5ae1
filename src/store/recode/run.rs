//! Recoding some packs within a transaction.
//!
//! First the files that are to be kept whole: as when they are committed, each becomes a pack that is, byte for byte, the
//! file. Then what is left, in the order it lies in, so that what was read forward still is. Once a chunk cannot be read,
//! nothing more is written, and what is left is read only to find out all that is damaged: then the caller begins again
//! without the files that hurts. Memory is bounded by a group of chunks, and by what files' extents take.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Hurt;
use super::sources::{Damage, Source, Sources, User};
use super::survey::samples;
use crate::store::catalog::{Catalog, FileRecord};
use crate::store::error::StoreError;
use crate::store::id::{IndexId, PackId, Sha256};
use crate::store::index::{self, ChunkRow, Codec, Extent};
use crate::store::ingest::encode::{Group, encode_all};
use crate::store::ingest::{WHOLE_FILE, WORTH_SHARING};
use crate::store::moves::Moves;
use crate::store::pack::{Compression, SharedPack, worthwhile};
use crate::store::transaction::Transaction;

/// What was recoded.
#[derive(Debug, Default)]
pub struct Recoded {
    /// Bytes that were stored for it before.
    pub before: u64,
    /// Bytes that are stored for it now.
    pub after: u64,
    /// Contents that were said again.
    pub files: u64,
    /// Packs that something was needed of.
    pub packs: u64,
    /// What could not be read. When there is any, nothing was recoded: the transaction is to be dropped.
    pub hurt: Vec<Hurt>,
    /// What was known of these when they were.
    seen: Vec<Seen>,
}

/// A file record as it was when it was recoded.
#[derive(Debug)]
struct Seen {
    sha256: Sha256,
    index: IndexId,
    extents: Vec<Extent>,
}

impl Seen {
    fn is(&self, record: &FileRecord) -> bool {
        let is_here = self.extents.iter().any(|extent| extent.pack == PackId::HERE);
        self.extents == record.extents && (!is_here || self.index == record.index_id())
    }
}

impl Transaction<'_> {
    /// Stores what files need of `packs` again, in new packs, with `compression` as a commit would. Every file that lies
    /// in them moves along, but for the contents `without`. `progress` is told how many more decoded bytes were stored.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a damaged index, [`StoreError::Interrupted`].
    pub fn recode(
        &mut self,
        packs: &[PackId],
        without: &HashSet<Sha256>,
        compression: Compression,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Recoded, StoreError> {
        let base = Arc::clone(&self.base);
        let mut sources = Sources::find(&base.catalog, packs, without)?;
        let (files, packs) = (sources.users.len() as u64, sources.needed_packs());
        let mut done = Recoded { files, packs, ..Recoded::default() };
        let mut work = Work {
            transaction: self,
            compression,
            progress,
            done: &mut done,
            moves: Moves::default(),
            damaged: Vec::new(),
        };
        let wholes = work.wholes(&mut sources)?;
        work.rest(&sources)?;
        work.moves.sort();
        let Work { moves, damaged, .. } = work;
        if !damaged.is_empty() {
            return Ok(Recoded { hurt: sources.hurt(&damaged), ..Recoded::default() });
        }
        for user in &sources.users {
            let extents = match wholes.get(&user.sha256) {
                Some(&pack) => vec![Extent { pack, start: 0, len: user.size }],
                None => moves.translate(user.at, &user.extents).ok_or_else(|| lost(&sources, user))?,
            };
            self.builder.add_file(user.sha256, user.size, extents);
        }
        done.seen = sources
            .users
            .drain(..)
            .map(|user| Seen {
                sha256: user.sha256,
                index: base.catalog.indexes()[user.at].id(),
                extents: user.extents,
            })
            .collect();
        // Also when it is small: what lies inside an index is shared with nobody and not recoded again.
        if let Some(shared) = self.shared.take() {
            self.closed.push(shared.into_file(&*self.vault.media)?);
        }
        Ok(done)
    }
}

impl Transaction<'_> {
    /// Takes back what was said again of contents of which somebody has said something else since, on the newest state:
    /// it may have been lost in part, and stored again. What was recoded of them is garbage then.
    pub fn unsay_changed(&mut self, recoded: &Recoded) -> Result<(), StoreError> {
        for seen in &recoded.seen {
            let now = self.base.catalog.try_file(seen.sha256)?;
            if !now.is_some_and(|now| seen.is(&now)) {
                self.builder.forget_file(seen.sha256);
            }
        }
        Ok(())
    }
}

fn lost(sources: &Sources<'_>, user: &User) -> StoreError {
    let detail = format!("sha256:{} lies in chunks that no pack has", user.sha256);
    StoreError::damaged(&index::path_of(sources.catalog.indexes()[user.at].id()), detail)
}

/// Recoding in progress.
struct Work<'t, 'v, 'p> {
    transaction: &'t mut Transaction<'v>,
    compression: Compression,
    progress: &'p mut dyn FnMut(u64),
    done: &'p mut Recoded,
    moves: Moves,
    damaged: Vec<Damage>,
}

impl Work<'_, '_, '_> {
    /// Stores whole files; answers their packs.
    fn wholes(&mut self, sources: &mut Sources<'_>) -> Result<HashMap<Sha256, PackId>, StoreError> {
        let mut found = HashMap::new();
        for n in 0..sources.users.len() {
            if self.damaged.is_empty()
                && self.is_whole(sources, &sources.users[n])?
                && let Some(id) = self.write_whole(sources, n)?
            {
                found.insert(sources.users[n].sha256, id);
            }
        }
        Ok(found)
    }

    /// A chunk's bytes; `None` when they cannot be read, which is noted.
    fn read(
        &mut self,
        catalog: &Catalog,
        source: &Source,
        row: &ChunkRow,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match catalog.read_chunk(&source.pack, row) {
            Ok(raw) => Ok(Some(raw)),
            Err(error) if error.is_unreadable() => {
                let range = row.raw_start..row.raw_start + u64::from(row.raw_len);
                self.damaged.push(Damage { place: source.place, range, problem: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a file is to be kept whole: by the rules of a commit.
    fn is_whole(&self, sources: &Sources<'_>, user: &User) -> Result<bool, StoreError> {
        if user.size < WHOLE_FILE {
            return Ok(false);
        }
        let Some(new) = sources.new_bytes(user)? else { return Ok(false) };
        if user.size.saturating_sub(new).saturating_mul(WORTH_SHARING) >= user.size {
            return Ok(false);
        }
        if self.compression == Compression::None {
            return Ok(true);
        }
        let stretch = |extent: &Extent| {
            let pack = sources.packs[sources.pack_of(user, extent)?].pack.clone();
            Some((pack, extent.start..extent.start + extent.len))
        };
        let stretches: Vec<_> = user.extents.iter().filter_map(stretch).collect();
        let samples = match samples(sources.catalog, &stretches) {
            // Reading all of it will tell what is damaged.
            Err(error) if error.is_unreadable() => return Ok(false),
            samples => samples?,
        };
        let bytes: Vec<_> = samples.into_iter().map(|(_, raw)| raw).collect();
        Ok(worthwhile(self.compression, &bytes) == Compression::None)
    }

    /// Stores a whole file; `None` when some of it cannot be read.
    fn write_whole(&mut self, sources: &mut Sources<'_>, n: usize) -> Result<Option<PackId>, StoreError> {
        let media = &*self.transaction.vault.media;
        let (id, tmp) = (self.transaction.next_pack(), self.transaction.next_tmp());
        let mut pack = SharedPack::new(id, tmp);
        for extent in sources.users[n].extents.clone() {
            let Some(from) = sources.pack_of(&sources.users[n], &extent) else { continue };
            let source = &mut sources.packs[from];
            for chunk in source.pack.chunks_in(&extent) {
                self.transaction.vault.interrupt().check()?;
                let (ordinal, row) = chunk?;
                // Anything that was noted so far is of no use without the rest: nobody will read it.
                let Some(raw) = self.read(sources.catalog, source, &row)? else { return Ok(None) };
                let to = pack.push(media, row.hash, raw.len(), Codec::Raw, &raw)?;
                if source.needed.clear(ordinal - source.pack.row.first_chunk) {
                    self.done.before += u64::from(row.stored_len);
                    self.moves.note(source.place, &row, (id, to));
                }
                (self.progress)(raw.len() as u64);
            }
        }
        self.done.after += pack.stored_len();
        let file = pack.into_file(media)?;
        self.transaction.closed.push(file);
        self.transaction.relieve()?;
        Ok(Some(id))
    }

    /// Stores what no whole file took along.
    fn rest(&mut self, sources: &Sources<'_>) -> Result<(), StoreError> {
        for source in &sources.packs {
            self.moves.leave(source.place);
            let (mut group, mut rows) = (Group::default(), Vec::new());
            let first = source.pack.row.first_chunk;
            for n in 0..source.pack.row.chunk_count {
                if !source.needed.has(n) {
                    continue;
                }
                let row: ChunkRow = source.pack.index.row(first.saturating_add(n))?;
                let Some(raw) = self.read(sources.catalog, source, &row)? else { continue };
                group.push(row.hash, raw);
                rows.push(row);
                if group.is_full() {
                    self.store(source, &mut group, &mut rows)?;
                }
            }
            self.store(source, &mut group, &mut rows)?;
        }
        Ok(())
    }

    /// Encodes a group of chunks on every core and appends them to the shared pack, in order.
    fn store(
        &mut self,
        source: &Source,
        group: &mut Group,
        rows: &mut Vec<ChunkRow>,
    ) -> Result<(), StoreError> {
        self.transaction.vault.interrupt().check()?;
        let (Group { chunks, .. }, rows) = (std::mem::take(group), std::mem::take(rows));
        if !self.damaged.is_empty() {
            return Ok(());
        }
        encode_all(&chunks, self.compression, |n, codec, stored| {
            let row = &rows[n];
            let media = &*self.transaction.vault.media;
            let shared = self.transaction.shared_pack()?;
            let to = shared.push(media, row.hash, chunks[n].len(), codec, stored)?;
            self.moves.note(source.place, row, (shared.id(), to));
            self.done.before += u64::from(row.stored_len);
            self.done.after += stored.len() as u64;
            (self.progress)(u64::from(row.raw_len));
            Ok(())
        })
    }
}

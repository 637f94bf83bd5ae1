//! What the live indexes of one state say together: where an object, a file, a chunk or a pack is.
//!
//! A catalog is immutable and cheap to share; readers keep theirs while writers publish new ones. An index
//! that cannot be opened does not take the others down: only a lookup that finds nothing elsewhere reports it.
//! Which refs point where is none of its business.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::error::StoreError;
use super::id::{ChunkHash, IndexId, ObjectId, PackId, Sha256};
use super::index::{BlockCache, ChunkRow, Extent, FileRow, Index, ObjectRow, PackRow, Row, Stored};
use super::log::state::State;
use super::media::{Media, ReadAt};
use super::object::{self, Commit, Kind, Tag, Tree};
use super::pack;

mod gives;
pub mod part;
mod places;
pub mod run;
mod walk;
mod whole;

/// Packs kept open at a time.
const OPEN_PACKS: NonZeroUsize = NonZeroUsize::new(32).expect("32 is not zero");

/// Most bytes an object may decode to: a bound on what a small hostile index can make us allocate. A tree of this size
/// has over a million names; a commit or tag is a message.
pub(super) const fn max_body(kind: Kind) -> u32 {
    match kind {
        Kind::Tree => 128 << 20,
        Kind::Commit | Kind::Tag | Kind::Blob => 4 << 20,
    }
}

/// Live indexes and the packs they describe.
#[derive(Debug)]
pub struct Catalog {
    media: Arc<dyn Media>,
    indexes: Vec<Arc<Index>>,
    broken: Vec<(IndexId, String)>,
    /// Which index answered last: what belongs together was stored together.
    recent: AtomicUsize,
    /// Packs whose rows do not count.
    retired: BTreeSet<PackId>,
    packs: Mutex<LruCache<PackId, Arc<dyn ReadAt>>>,
}

/// A file's content as stored.
#[derive(Debug, Clone)]
pub struct FileRecord {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
    /// What makes it up, in order; the lengths add up to `size`.
    pub extents: Vec<Extent>,
    index: Arc<Index>,
}

impl FileRecord {
    /// The vault file that holds the record.
    pub fn described_in(&self) -> String {
        super::index::path_of(self.index_id())
    }

    /// The index that holds the record: the one whose content `HERE` means in its extents.
    pub fn index_id(&self) -> IndexId {
        self.index.id()
    }
}

/// A pack as an index describes it, ready to be read.
#[derive(Debug, Clone)]
pub struct Pack {
    /// Its description.
    pub row: PackRow,
    pub(super) index: Arc<Index>,
}

/// A chunk, and where it was found.
#[derive(Debug, Clone)]
pub struct Located {
    /// The pack it is in.
    pub pack: Pack,
    /// Its number in the index that describes the pack.
    pub ordinal: u32,
    /// Its row.
    pub chunk: ChunkRow,
}

impl Located {
    /// The chunk that follows in the same pack.
    pub fn next(&self) -> Result<Option<Self>, StoreError> {
        let after = self.ordinal.wrapping_sub(self.pack.row.first_chunk).saturating_add(1);
        if after >= self.pack.row.chunk_count {
            return Ok(None);
        }
        let ordinal = self.ordinal.saturating_add(1);
        let chunk = self.pack.index.row(ordinal)?;
        Ok(Some(Self { pack: self.pack.clone(), ordinal, chunk }))
    }
}

impl Catalog {
    /// Opens the indexes of a state, taking those that `previous` has open already.
    pub fn open(
        media: &Arc<dyn Media>,
        state: &State,
        cache: &Arc<BlockCache>,
        previous: Option<&Self>,
    ) -> Self {
        let mut indexes: Vec<Arc<Index>> = Vec::with_capacity(state.indexes.len());
        let mut broken = Vec::new();
        let mut seen = HashSet::new();
        for &id in state.indexes.iter().filter(|id| seen.insert(**id)) {
            let open = previous.and_then(|catalog| catalog.indexes.iter().find(|index| index.id() == id));
            match open
                .map_or_else(|| Index::open(&**media, id, cache).map(Arc::new), |index| Ok(Arc::clone(index)))
            {
                Ok(index) => indexes.push(index),
                Err(error) => broken.push((id, error.to_string())),
            }
        }
        let packs = Mutex::new(LruCache::new(OPEN_PACKS));
        let retired = state.retired_packs.clone();
        Self { media: Arc::clone(media), indexes, broken, recent: AtomicUsize::new(0), retired, packs }
    }

    /// The indexes that could be opened, oldest first.
    pub fn indexes(&self) -> &[Arc<Index>] {
        &self.indexes
    }

    /// The indexes that could not, with the reason.
    pub fn broken(&self) -> &[(IndexId, String)] {
        &self.broken
    }

    /// Whether a pack is retired: what indexes say of it does not count.
    pub fn is_retired(&self, pack: PackId) -> bool {
        self.retired.contains(&pack)
    }

    /// Asks each index, newest first. A damaged one is an error only when no other has the answer.
    fn ask<T>(
        &self,
        find: impl Fn(&Arc<Index>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut failed = None;
        for (at, index) in self.indexes.iter().enumerate().rev() {
            match find(index) {
                Ok(Some(found)) => {
                    self.recent.store(at, Relaxed);
                    return Ok(Some(found));
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        match (failed, self.broken.first()) {
            (Some(error), _) => Err(error),
            (None, Some((id, why))) => Err(StoreError::damaged(&super::index::path_of(*id), why.clone())),
            (None, None) => Ok(None),
        }
    }

    /// As [`Self::ask`], for what is the same in every index that knows it: the one that answered last is asked
    /// first, because a history or a folder tends to be in one index.
    fn ask_recent<T>(
        &self,
        find: impl Fn(&Arc<Index>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self.indexes.get(self.recent.load(Relaxed)).map(&find) {
            Some(Ok(Some(found))) => Ok(Some(found)),
            _ => self.ask(find),
        }
    }

    /// As [`Self::ask_recent`] for each of many keys, quickest in ascending order. Each answer is handed over with
    /// what its key came with.
    fn ask_each<T, K: Copy, R: Row>(
        &self,
        keys: impl IntoIterator<Item = (T, K)>,
        bytes: impl for<'k> Fn(&'k K) -> &'k [u8],
        ask: impl Fn(K) -> Result<Option<R>, StoreError>,
        mut found: impl FnMut(T, K, Result<Option<R>, StoreError>),
    ) {
        let recent = || {
            let at = self.recent.load(Relaxed);
            (at, self.indexes.get(at).map(|index| index.finder::<R>()))
        };
        let (mut at, mut finder) = recent();
        for (tag, key) in keys {
            if let Some(Ok(Some(row))) = finder.as_mut().map(|finder| finder.find(bytes(&key))) {
                found(tag, key, Ok(Some(row)));
                continue;
            }
            found(tag, key, ask(key));
            if self.recent.load(Relaxed) != at {
                (at, finder) = recent();
            }
        }
    }

    /// As [`Self::blob`] for each of many ids, quickest in ascending order.
    pub fn blobs<T>(
        &self,
        ids: impl IntoIterator<Item = (T, ObjectId)>,
        mut found: impl FnMut(T, Result<(Sha256, bool), StoreError>),
    ) {
        let answer = |tag, id, row: Result<Option<ObjectRow>, _>| {
            found(tag, row.and_then(|row| stands_for(row, id)));
        };
        self.ask_each(ids, |id| id.as_bytes(), |id| self.try_object(id), answer);
    }

    /// As [`Self::file_size`] for each of many hashes, quickest in ascending order.
    pub fn file_sizes<T>(
        &self,
        contents: impl IntoIterator<Item = (T, Sha256)>,
        mut found: impl FnMut(T, Result<Option<u64>, StoreError>),
    ) {
        let ask = |sha256| self.ask_recent(|index| index.file(sha256));
        let answer =
            |tag, _, row: Result<Option<FileRow>, _>| found(tag, row.map(|row| row.map(|row| row.size)));
        self.ask_each(contents, |sha256| sha256.as_bytes(), ask, answer);
    }

    /// The object with this id, if there is one.
    pub fn try_object(&self, id: ObjectId) -> Result<Option<ObjectRow>, StoreError> {
        self.ask_recent(|index| index.object(id))
    }

    /// Up to `limit` objects whose id lies in `from..=to`, each once.
    pub fn objects_between(
        &self,
        from: ObjectId,
        to: ObjectId,
        limit: usize,
    ) -> Result<Vec<ObjectRow>, StoreError> {
        let mut found = Vec::new();
        for index in &self.indexes {
            found.extend(index.objects_between(from, to, limit)?);
        }
        found.sort_unstable_by_key(|row| row.id);
        found.dedup_by_key(|row| row.id);
        found.truncate(limit);
        Ok(found)
    }

    /// What a blob id stands for: its content and whether the blob is an LFS pointer to it.
    pub fn blob(&self, id: ObjectId) -> Result<(Sha256, bool), StoreError> {
        stands_for(self.try_object(id)?, id)
    }

    /// Kind and body of a tree, commit or tag; blobs have no body here.
    pub fn body(&self, id: ObjectId) -> Result<(Kind, Vec<u8>), StoreError> {
        self.try_body(id)?.ok_or(StoreError::MissingObject(id))
    }

    fn try_body(&self, id: ObjectId) -> Result<Option<(Kind, Vec<u8>)>, StoreError> {
        self.ask_recent(|index| {
            let Some(row) = index.object(id)? else { return Ok(None) };
            Ok(Some(Self::body_of_row(index, &row)?.unwrap_or((Kind::Blob, Vec::new()))))
        })
    }

    /// Kind and body of the object that a row of `index` describes; `None` for a blob, which has none here.
    pub(super) fn body_of_row(index: &Index, row: &ObjectRow) -> Result<Option<(Kind, Vec<u8>)>, StoreError> {
        let Stored::Body { kind, codec, offset, stored_len, raw_len } = row.stored else { return Ok(None) };
        let stored = index.data(offset, u64::from(stored_len))?;
        let body =
            (raw_len <= max_body(kind)).then(|| pack::decode(codec, stored, raw_len as usize)).flatten();
        // Hashed again here, an id can be trusted, and no object can lead back to itself.
        let body = body.filter(|body| object::id_of(kind, body) == row.id);
        let damaged = || {
            let detail = format!("object {} is unreadable", row.id);
            StoreError::damaged(&super::index::path_of(index.id()), detail)
        };
        Ok(Some((kind, body.ok_or_else(damaged)?)))
    }

    fn body_of(&self, id: ObjectId, expected: Kind) -> Result<Vec<u8>, StoreError> {
        match self.body(id)? {
            (kind, body) if kind == expected => Ok(body),
            (found, _) => Err(StoreError::WrongKind { id, expected, found }),
        }
    }

    /// The tree with this id. The empty tree always exists, as in Git.
    pub fn tree(&self, id: ObjectId) -> Result<Tree, StoreError> {
        if id == Tree::empty().id() {
            return Ok(Tree::empty());
        }
        Tree::decode(&self.body_of(id, Kind::Tree)?).map_err(|source| StoreError::BadObject { id, source })
    }

    /// The commit with this id.
    pub fn commit(&self, id: ObjectId) -> Result<Commit, StoreError> {
        Commit::decode(&self.body_of(id, Kind::Commit)?)
            .map_err(|source| StoreError::BadObject { id, source })
    }

    /// The annotated tag with this id.
    pub fn tag(&self, id: ObjectId) -> Result<Tag, StoreError> {
        Tag::decode(&self.body_of(id, Kind::Tag)?).map_err(|source| StoreError::BadObject { id, source })
    }

    /// Size in bytes of the content with this hash, if it is stored: a lookup, without its extents.
    pub fn file_size(&self, sha256: Sha256) -> Result<Option<u64>, StoreError> {
        Ok(self.ask_recent(|index| index.file(sha256))?.map(|row| row.size))
    }

    /// The record of the content with this hash, if it is stored.
    pub fn try_file(&self, sha256: Sha256) -> Result<Option<FileRecord>, StoreError> {
        self.ask(|index| {
            let Some(row) = index.file(sha256)? else { return Ok(None) };
            let record = self.record(index, &row)?;
            let is_gone = record.extents.iter().any(|extent| self.is_retired(extent.pack));
            Ok((!is_gone).then_some(record))
        })
    }

    /// The record of a row of one of this catalog's indexes.
    pub fn record(&self, index: &Arc<Index>, row: &FileRow) -> Result<FileRecord, StoreError> {
        let extents = index.extents(row)?;
        Ok(FileRecord { sha256: row.sha256, size: row.size, extents, index: Arc::clone(index) })
    }

    /// The record of the content with this hash.
    pub fn file(&self, sha256: Sha256) -> Result<FileRecord, StoreError> {
        self.try_file(sha256)?.ok_or(StoreError::MissingContent(sha256))
    }

    /// A stored chunk with this hash in a pack of its own file, if there is one.
    pub fn chunk(&self, hash: ChunkHash) -> Result<Option<Located>, StoreError> {
        let is_shareable = |id: PackId| id != PackId::HERE && !self.is_retired(id);
        self.ask(|index| {
            let found = index.chunk(hash)?.filter(|(_, pack, _)| is_shareable(pack.id));
            let pack = |row| Pack { row, index: Arc::clone(index) };
            Ok(found.map(|(ordinal, row, chunk)| Located { pack: pack(row), ordinal, chunk }))
        })
    }

    /// The description of a pack that has a file of its own.
    pub fn pack(&self, id: PackId) -> Result<Option<PackRow>, StoreError> {
        if self.is_retired(id) { Ok(None) } else { self.ask(|index| index.pack(id)) }
    }

    /// A pack that has a file of its own, with the index that describes it.
    pub fn described(&self, id: PackId) -> Result<Option<Pack>, StoreError> {
        if self.is_retired(id) {
            return Ok(None);
        }
        self.ask(|index| Ok(index.pack(id)?.map(|row| Pack { row, index: Arc::clone(index) })))
    }

    /// The pack an extent of `file` lies in.
    pub fn pack_of(&self, file: &FileRecord, extent: &Extent) -> Result<Pack, StoreError> {
        let inside = |index: &Arc<Index>| {
            let row = index.pack(extent.pack)?;
            Ok(row.map(|row| Pack { row, index: Arc::clone(index) }))
        };
        let found = match extent.pack {
            PackId::HERE => inside(&file.index)?,
            retired if self.is_retired(retired) => None,
            _ => self.ask(inside)?,
        };
        let described_in = || super::index::path_of(file.index.id());
        let pack = found.ok_or_else(|| {
            StoreError::damaged(
                &described_in(),
                format!("it points into pack {}, which no index describes", extent.pack),
            )
        })?;
        if extent.start + extent.len > pack.row.raw_len {
            return Err(StoreError::damaged(
                &described_in(),
                format!("it points beyond the end of pack {}", extent.pack),
            ));
        }
        Ok(pack)
    }

    /// The chunk that holds the decoded byte at `position` of a pack: where it starts and its row.
    pub fn chunk_at(&self, pack: &Pack, position: u64) -> Result<ChunkRow, StoreError> {
        pack.index.chunk_at(&pack.row, position).map(|(_, row)| row)
    }

    /// The decoded bytes of one chunk of a pack, checked against its hash.
    pub fn read_chunk(&self, pack: &Pack, row: &ChunkRow) -> Result<Vec<u8>, StoreError> {
        pack::open_chunk(row, self.stored_chunk(pack, row)?, &pack.file())
    }

    /// The bytes of one chunk as they are stored, unchecked.
    pub(super) fn stored_chunk(&self, pack: &Pack, row: &ChunkRow) -> Result<Vec<u8>, StoreError> {
        if pack.is_inline() {
            return pack.index.data(row.stored_start, u64::from(row.stored_len));
        }
        let path = pack::path_of(pack.row.id);
        let mut stored = vec![0; row.stored_len as usize];
        self.pack_file(pack.row.id)?
            .read_exact_at(&mut stored, row.stored_start)
            .map_err(StoreError::reading(&path))?;
        Ok(stored)
    }

    /// The whole content of a small file.
    pub fn read_all(&self, file: &FileRecord) -> Result<Vec<u8>, StoreError> {
        let mut content = Vec::new();
        self.read_each(file, &mut |bytes| content.extend_from_slice(bytes))?;
        Ok(content)
    }

    /// Hands over a file's content from front to back, a chunk at a time.
    pub fn read_each(&self, file: &FileRecord, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        for extent in &file.extents {
            let pack = self.pack_of(file, extent)?;
            let (mut at, end) = (extent.start, extent.start + extent.len);
            while at < end {
                let row = self.chunk_at(&pack, at)?;
                let chunk = self.read_chunk(&pack, &row)?;
                let from = usize::try_from(at - row.raw_start).unwrap_or(usize::MAX);
                let take = usize::try_from(end - at).unwrap_or(usize::MAX);
                let bytes = chunk.get(from..).unwrap_or_default();
                each(&bytes[..take.min(bytes.len())]);
                at = row.raw_start + u64::from(row.raw_len);
            }
        }
        Ok(())
    }

    /// The open file of a pack.
    pub fn pack_file(&self, id: PackId) -> Result<Arc<dyn ReadAt>, StoreError> {
        let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = packs.get(&id) {
            return Ok(Arc::clone(open));
        }
        let path = pack::path_of(id);
        let file: Arc<dyn ReadAt> = self.media.open(&path).map_err(StoreError::reading(&path))?.into();
        packs.put(id, Arc::clone(&file));
        Ok(file)
    }

    /// The medium the packs are on.
    pub fn media(&self) -> &dyn Media {
        &*self.media
    }
}

/// What the row of a blob id says.
fn stands_for(row: Option<ObjectRow>, id: ObjectId) -> Result<(Sha256, bool), StoreError> {
    match row.ok_or(StoreError::MissingObject(id))?.stored {
        Stored::Blob(sha256) => Ok((sha256, false)),
        Stored::Pointer(sha256) => Ok((sha256, true)),
        Stored::Body { kind, .. } => Err(StoreError::WrongKind { id, expected: Kind::Blob, found: kind }),
    }
}

impl Pack {
    /// The chunks of the pack in order.
    pub fn chunks(&self) -> impl Iterator<Item = Result<ChunkRow, StoreError>> + '_ {
        let end = self.row.first_chunk.saturating_add(self.row.chunk_count);
        (self.row.first_chunk..end).map(|ordinal| self.index.row(ordinal))
    }

    /// Whether its bytes are in the data section of an index rather than in a file of their own.
    pub fn is_inline(&self) -> bool {
        self.row.id == PackId::HERE
    }

    /// The vault file that holds its bytes.
    pub fn file(&self) -> String {
        if self.is_inline() { super::index::path_of(self.index.id()) } else { pack::path_of(self.row.id) }
    }

    /// The pack of a row of one index.
    pub fn of(index: &Arc<Index>, row: PackRow) -> Self {
        Self { row, index: Arc::clone(index) }
    }
}

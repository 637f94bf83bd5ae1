//! Building an index: rows are gathered in any order, sorted and laid out once.
//!
//! The builder also absorbs existing indexes, which is how many small ones become one: content in their data
//! sections moves along, and everything that pointed into it is shifted. Packs are never touched by that. The file is
//! written front to back, and never held whole. Where it goes, and making it durable, belong to `publish`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use super::draft::PackDraft;
use super::format::{
    BLOCK, BLOCK_HASH, ChunkRow, Codec, Extent, FileRow, LookupRow, ObjectRow, PackRow, Row, Stored, TRAILER,
    Table, Trailer,
};
use super::gathered::{BlobDraft, BodyDraft, FileDraft};
use super::read::Index;
use crate::store::error::StoreError;
use crate::store::id::{ChunkHash, IndexId, ObjectId, PackId, Sha256};
use crate::store::object::Kind;
use crate::store::sorted::{Room, Sorted};

/// Gathers the rows of one index.
#[derive(Debug, Clone)]
pub struct IndexBuilder {
    packs: BTreeMap<PackId, Arc<PackDraft>>,
    here: PackDraft,
    here_bytes: Vec<u8>,
    /// Packs that went into the data section, and where each begins there: extents that name one mean that.
    inlined: BTreeMap<PackId, u64>,
    files: Sorted<Sha256, FileDraft>,
    /// Extents of all files.
    extents: usize,
    blobs: Sorted<ObjectId, BlobDraft>,
    bodies: Sorted<ObjectId, BodyDraft>,
    /// Stored bytes of all bodies.
    body_bytes: usize,
}

impl Default for IndexBuilder {
    fn default() -> Self {
        Self {
            packs: BTreeMap::new(),
            here: PackDraft::new(PackId::HERE),
            here_bytes: Vec::new(),
            inlined: BTreeMap::new(),
            files: Sorted::default(),
            extents: 0,
            blobs: Sorted::default(),
            bodies: Sorted::default(),
            body_bytes: 0,
        }
    }
}

impl IndexBuilder {
    /// Adds a pack that has a file of its own.
    pub fn add_pack(&mut self, pack: impl Into<Arc<PackDraft>>) {
        let pack = pack.into();
        self.packs.insert(pack.id, pack);
    }

    /// Adds a chunk, as stored, to the data section; answers where it starts among the decoded bytes there.
    pub fn push_inline(&mut self, chunk: &ChunkRow, stored: &[u8]) -> u64 {
        self.here_bytes.extend_from_slice(stored);
        self.here.push(chunk.hash, chunk.raw_len, chunk.stored_len, chunk.codec)
    }

    /// Puts a pack's bytes into the data section instead of a file, and repoints what points at it.
    pub fn inline_pack(&mut self, pack: &PackDraft, stored: &[u8]) {
        self.inlined.insert(pack.id, self.here.append(pack));
        self.here_bytes.extend_from_slice(stored);
    }

    /// Notes what makes up a file's content, unless that was said before. The extents must add up to `size`.
    pub fn add_file(&mut self, sha256: Sha256, size: u64, extents: Vec<Extent>) {
        debug_assert_eq!(extents.iter().map(|e| e.len).sum::<u64>(), size);
        let count = extents.len();
        if self.files.insert_first(sha256, FileDraft { size, extents }) {
            self.extents += count;
        }
    }

    /// Takes back what was said of a file's content, of which nothing may have been moved to a run.
    pub fn forget_file(&mut self, sha256: Sha256) {
        self.extents -= self.files.remove(&sha256).map_or(0, |file| file.extents.len());
    }

    /// Whether any file was added.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// The length of this file, if it was added before.
    pub fn file_size(&self, sha256: Sha256) -> io::Result<Option<u64>> {
        self.files.get(&sha256).map(|found| found.map(|file| file.size))
    }

    /// Notes which content a blob id stands for.
    pub fn add_blob(&mut self, id: ObjectId, sha256: Sha256, pointer: bool) {
        self.blobs.insert(id, BlobDraft { sha256, pointer });
    }

    /// Adds the body of a tree, commit or tag, as stored.
    pub fn add_body(&mut self, id: ObjectId, kind: Kind, codec: Codec, raw_len: u32, bytes: Vec<u8>) {
        self.body_bytes += bytes.len();
        let before = self.bodies.insert(id, BodyDraft { kind, codec, raw_len, bytes });
        self.body_bytes -= before.map_or(0, |before| before.bytes.len());
    }

    /// What was added under this id, if anything.
    pub fn object(&self, id: ObjectId) -> io::Result<Option<Added<'_>>> {
        if let Some(blob) = self.blobs.get(&id)? {
            let BlobDraft { sha256, pointer } = *blob;
            return Ok(Some(if pointer { Added::Pointer(sha256) } else { Added::Blob(sha256) }));
        }
        let body = self.bodies.get(&id)?;
        Ok(body.map(|body| {
            let (kind, codec, raw_len) = (body.kind, body.codec, body.raw_len);
            let bytes = match body {
                Cow::Borrowed(body) => Cow::Borrowed(&body.bytes[..]),
                Cow::Owned(body) => Cow::Owned(body.bytes),
            };
            Added::Body(kind, codec, raw_len, bytes)
        }))
    }

    /// Forgets trees, commits and tags: they were built on a state that is no longer the newest.
    pub fn drop_bodies(&mut self) {
        (self.bodies, self.body_bytes) = (Sorted::default(), 0);
    }

    /// Moves to `room` what is held beyond it of files and objects.
    pub(in crate::store) fn spill(&mut self, room: &mut Room<'_>) -> io::Result<()> {
        self.files.spill(room)?;
        self.blobs.spill(room)?;
        self.bodies.spill(room)
    }

    /// Takes over everything an existing index says, so that it can be retired, but for packs that are gone and
    /// files that lie in one. `is_said` tells which contents another index says better.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for one whose rows make no sense together; part of it may have been taken over.
    pub fn absorb(
        &mut self,
        index: &Index,
        is_gone: &dyn Fn(PackId) -> bool,
        is_said: &dyn Fn(Sha256) -> bool,
    ) -> Result<(), StoreError> {
        index.check_layout()?;
        let mut base = 0;
        for pack in index.rows::<PackRow>() {
            let pack = pack?;
            if is_gone(pack.id) {
                continue;
            }
            let draft = PackDraft::read(index, &pack)?;
            if pack.id == PackId::HERE {
                base = self.here.append(&draft);
                self.here_bytes.extend(index.data(0, pack.stored_len)?);
            } else {
                self.packs.insert(pack.id, Arc::new(draft));
            }
        }
        self.absorb_files(index, base, is_gone, is_said)?;
        self.absorb_objects(index)
    }

    fn absorb_files(
        &mut self,
        index: &Index,
        base: u64,
        is_gone: &dyn Fn(PackId) -> bool,
        is_said: &dyn Fn(Sha256) -> bool,
    ) -> Result<(), StoreError> {
        for file in index.rows::<FileRow>() {
            let file = file?;
            let mut extents = index.extents(&file)?;
            if extents.iter().any(|extent| is_gone(extent.pack)) || is_said(file.sha256) {
                continue;
            }
            for extent in extents.iter_mut().filter(|extent| extent.pack == PackId::HERE) {
                let start = extent.start.checked_add(base).filter(|at| at.checked_add(extent.len).is_some());
                extent.start = start.ok_or_else(|| {
                    StoreError::damaged(&super::path_of(index.id()), "an extent is beyond all bounds")
                })?;
            }
            if self.file_size(file.sha256).map_err(StoreError::io("read", "tmp"))?.is_none() {
                self.add_file(file.sha256, file.size, extents);
            }
        }
        Ok(())
    }

    fn absorb_objects(&mut self, index: &Index) -> Result<(), StoreError> {
        for object in index.rows::<ObjectRow>() {
            let ObjectRow { id, stored } = object?;
            if self.object(id).map_err(StoreError::io("read", "tmp"))?.is_some() {
                continue;
            }
            match stored {
                Stored::Blob(sha256) => self.add_blob(id, sha256, false),
                Stored::Pointer(sha256) => self.add_blob(id, sha256, true),
                Stored::Body { kind, codec, offset, stored_len, raw_len } => {
                    let bytes = index.data(offset, u64::from(stored_len))?;
                    self.add_body(id, kind, codec, raw_len, bytes);
                }
            }
        }
        Ok(())
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
            && self.here.chunks().is_empty()
            && self.files.is_empty()
            && self.blobs.is_empty()
            && self.bodies.is_empty()
    }

    /// Exactly how many bytes [`IndexBuilder::write`] will write.
    pub fn built_len(&self) -> u64 {
        let sections = self.estimated_len();
        sections + sections.div_ceil(BLOCK as u64) * BLOCK_HASH as u64 + TRAILER as u64
    }

    /// How many bytes the sections of [`IndexBuilder::write`] will have.
    pub fn estimated_len(&self) -> u64 {
        let chunks: usize = self.packs_in_order().map(|pack| pack.chunks().len()).sum();
        let packs = self.packs.len() + usize::from(!self.here.chunks().is_empty());
        let rows = chunks * (ChunkRow::LEN + LookupRow::LEN)
            + packs * PackRow::LEN
            + self.files.len() * FileRow::LEN
            + self.extents * Extent::LEN
            + (self.blobs.len() + self.bodies.len()) * ObjectRow::LEN;
        (rows + self.body_bytes + self.here_bytes.len()) as u64
    }

    /// Writes the file, front to back; answers its name and its length in bytes.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<(IndexId, u64)> {
        let mut layout = Layout::new(out);
        layout.packs(&self.packs_in_order())?;
        self.write_files(&mut layout)?;
        layout.rows(self.objects()?)?;
        layout.section(Table::Data, |layout| {
            layout.bytes(&self.here_bytes)?;
            self.bodies.in_order()?.try_for_each(|body| layout.bytes(&body?.1.bytes))
        })?;
        layout.finish()
    }

    fn write_files(&self, layout: &mut Layout<'_>) -> io::Result<()> {
        let mut first_extent = 0;
        layout.rows(self.files.in_order()?.map(|file| {
            let (sha256, file) = file?;
            let extent_count = count(file.extents.len());
            first_extent += extent_count;
            let first_extent = first_extent - extent_count;
            Ok(FileRow { sha256, size: file.size, first_extent, extent_count })
        }))?;
        layout.section(Table::Extents, |layout| {
            for file in self.files.in_order()? {
                file?.1.extents.iter().try_for_each(|extent| layout.row(&self.placed(*extent)))?;
            }
            Ok(())
        })
    }

    /// Where an extent is now that its pack may have gone into the data section.
    fn placed(&self, extent: Extent) -> Extent {
        let base = self.inlined.get(&extent.pack);
        base.map_or(extent, |base| Extent { pack: PackId::HERE, start: extent.start + base, ..extent })
    }

    /// Rows of objects; their bodies come one after the other behind the content in the data section.
    fn objects(&self) -> io::Result<impl Iterator<Item = io::Result<ObjectRow>>> {
        let (mut blobs, mut bodies) = (self.blobs.in_order()?.peekable(), self.bodies.in_order()?.peekable());
        let mut next = self.here_bytes.len() as u64;
        let mut of_body = move |(id, body): (ObjectId, Cow<'_, BodyDraft>)| {
            let BodyDraft { kind, codec, raw_len, ref bytes } = *body;
            let (offset, stored_len) = (next, count(bytes.len()));
            next += bytes.len() as u64;
            ObjectRow { id, stored: Stored::Body { kind, codec, offset, stored_len, raw_len } }
        };
        let of_blob = |(id, blob): (ObjectId, Cow<'_, BlobDraft>)| {
            let BlobDraft { sha256, pointer } = *blob;
            ObjectRow { id, stored: if pointer { Stored::Pointer(sha256) } else { Stored::Blob(sha256) } }
        };
        Ok(std::iter::from_fn(move || {
            let is_body = match (blobs.peek(), bodies.peek()) {
                (Some(Ok((blob, _))), Some(Ok((body, _)))) => body < blob,
                (blob, body) => blob.is_none() || matches!(body, Some(Err(_))),
            };
            if is_body {
                bodies.next().map(|body| body.map(&mut of_body))
            } else {
                blobs.next().map(|blob| blob.map(of_blob))
            }
        }))
    }

    fn packs_in_order(&self) -> impl Iterator<Item = &PackDraft> + Clone {
        // `HERE` is all zeros, so it sorts before every other pack.
        let here = Some(&self.here).filter(|here| !here.chunks().is_empty());
        here.into_iter().chain(self.packs.values().map(|pack| &**pack))
    }
}

/// Rows of the lookup table that are sorted together, and most parts it is sorted in: each goes through all chunks.
const PART: u32 = 1 << 17;
const MAX_PARTS: u32 = 16;

/// Bytes that are gathered before they are written: blocks whole.
const GATHERED: usize = 64 * BLOCK;

/// An index being written, section by section. Only a part of its lookup table and its block hashes are held.
struct Layout<'w> {
    out: &'w mut dyn Write,
    gathered: Vec<u8>,
    hashes: Vec<u8>,
    /// Bytes written, without those gathered.
    written: u64,
    sections: [(u64, u64); Table::COUNT],
}

impl<'w> Layout<'w> {
    fn new(out: &'w mut dyn Write) -> Self {
        Self { out, gathered: Vec::new(), hashes: Vec::new(), written: 0, sections: Default::default() }
    }

    fn place(&self) -> u64 {
        self.written + self.gathered.len() as u64
    }

    /// The next section is what `fill` puts.
    fn section(&mut self, table: Table, fill: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let start = self.place();
        fill(self)?;
        self.sections[table as usize] = (start, self.place() - start);
        Ok(())
    }

    fn rows<R: Row>(&mut self, mut rows: impl Iterator<Item = io::Result<R>>) -> io::Result<()> {
        self.section(R::TABLE, |layout| rows.try_for_each(|row| layout.row(&row?)))
    }

    fn row<R: Row>(&mut self, row: &R) -> io::Result<()> {
        row.encode(&mut self.gathered);
        self.flush(GATHERED)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.gathered.extend_from_slice(bytes);
        self.flush(GATHERED)
    }

    /// Writes whole blocks once there are `least` bytes; the last block of all need not be whole.
    fn flush(&mut self, least: usize) -> io::Result<()> {
        if self.gathered.len() < least {
            return Ok(());
        }
        let whole = if least == 0 { self.gathered.len() } else { self.gathered.len() / BLOCK * BLOCK };
        let (blocks, _) = self.gathered.split_at(whole);
        self.hashes.extend(blocks.chunks(BLOCK).flat_map(block_hash));
        self.out.write_all(blocks)?;
        self.written += whole as u64;
        self.gathered.drain(..whole);
        Ok(())
    }

    fn packs<'a>(&mut self, packs: &(impl Iterator<Item = &'a PackDraft> + Clone)) -> io::Result<()> {
        let mut first_chunk = 0;
        self.rows(packs.clone().map(|pack| {
            let chunk_count = count(pack.chunks().len());
            first_chunk += chunk_count;
            Ok(PackRow {
                id: pack.id,
                stored_len: pack.stored_len(),
                raw_len: pack.raw_len(),
                first_chunk: first_chunk - chunk_count,
                chunk_count,
            })
        }))?;
        self.rows(packs.clone().flat_map(|pack| pack.chunks().iter()).map(Ok))?;
        self.lookup(first_chunk, || {
            packs.clone().flat_map(|pack| pack.chunks().iter().map(|chunk| chunk.hash))
        })
    }

    /// The lookup table, sorted part by part: of very many chunks, all of its rows together would be much to hold.
    fn lookup<I: Iterator<Item = ChunkHash>>(
        &mut self,
        count: u32,
        hashes: impl Fn() -> I,
    ) -> io::Result<()> {
        let parts = count.div_ceil(PART).clamp(1, MAX_PARTS);
        let part_of = |row: &LookupRow| (u128::from(row.prefix) * u128::from(parts)) >> u64::BITS;
        self.section(Table::Lookup, |layout| {
            let mut rows: Vec<LookupRow> = Vec::with_capacity((count / parts) as usize);
            for part in 0..parts {
                let all = (0..).zip(hashes());
                let all = all.map(|(chunk, hash)| LookupRow { prefix: LookupRow::prefix_of(hash), chunk });
                rows.extend(all.filter(|row| part_of(row) == u128::from(part)));
                rows.sort_unstable_by_key(|row| (row.prefix, row.chunk));
                rows.drain(..).try_for_each(|row| layout.row(&row))?;
            }
            Ok(())
        })
    }

    /// Ends the file; answers its name and its length.
    fn finish(mut self) -> io::Result<(IndexId, u64)> {
        self.flush(0)?;
        let block_count = count(self.hashes.len() / BLOCK_HASH);
        let mut tail = self.hashes;
        tail.extend(Trailer { sections: self.sections, block_count }.encode());
        self.out.write_all(&tail)?;
        Ok((id_of_tail(&tail), self.written + tail.len() as u64))
    }
}

/// What an [`IndexBuilder`] holds under an object id.
#[derive(Debug)]
pub enum Added<'a> {
    /// A blob that is this content.
    Blob(Sha256),
    /// A blob that is the LFS pointer of this content.
    Pointer(Sha256),
    /// A body as stored: kind, codec, decoded length, bytes.
    Body(Kind, Codec, u32, Cow<'a, [u8]>),
}

/// The check of one block of the sections.
pub(super) fn block_hash(block: &[u8]) -> [u8; BLOCK_HASH] {
    *blake3::hash(block).as_bytes().first_chunk().expect("BLAKE3 is 32 bytes")
}

/// The name of the index whose block hashes and trailer are `tail`.
pub(super) fn id_of_tail(tail: &[u8]) -> IndexId {
    IndexId::from_bytes(*blake3::hash(tail).as_bytes())
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("an index never holds four billion rows: a transaction is split before that")
}

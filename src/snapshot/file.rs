//! The one way to a file's bytes: `read_at`, shared by mount, `cat`, and whatever comes later.
//!
//! A position becomes an extent, an extent chunks of a pack. Whole raw chunks are read straight to where they are
//! wanted, neighbours with one call, and checked there. Parts of a chunk come from the cache, which holds whole checked
//! ones, for who reads on and for chunks that must be decoded; who goes here and there has only the parts read, once
//! their chunk was checked, and checked each time. A chunk that fails its check is an error that names the file and the pack; other chunks of the
//! file stay readable. Who reads a file from front to back has the disk told what comes next.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::cache::{ChunkCache, Known};
use super::error::SnapshotError;
use super::pace::Pace;
use crate::store::StoreError;
use crate::store::catalog::run::raw_run;
use crate::store::catalog::{Catalog, FileRecord, Pack};
use crate::store::id::{ChunkHash, Sha256};
use crate::store::index::ChunkRow;
use crate::store::media::ReadAt;
use crate::store::vault::View;

/// Chunks located at a time: some 4 MiB of the file, in a few KiB of memory.
const WINDOW: usize = 64;
/// The same for who goes here and there: what a kernel asks for at a time without reading ahead.
const GLANCE: usize = 8;
/// A file of a snapshot, open for reading at any position from any thread.
#[derive(Debug)]
pub struct FileReader {
    view: Arc<View>,
    cache: Arc<ChunkCache>,
    record: FileRecord,
    /// Where in the file each extent starts.
    starts: Vec<u64>,
    packs: Vec<OnceLock<Pack>>,
    window: Mutex<Arc<Window>>,
    pace: Pace,
    label: String,
}

/// Where a byte of a file is stored.
#[derive(Debug)]
pub(super) struct Place {
    /// The vault file that holds it.
    pub(super) pack: String,
    /// Its place among the decoded bytes there.
    pub(super) position: u64,
    /// Bytes of the file that follow each other there from this one on.
    pub(super) extent_left: u64,
    /// The chunk it is in.
    pub(super) hash: ChunkHash,
    /// Its place in the chunk.
    pub(super) within: u64,
    /// Bytes of the chunk from this one on.
    pub(super) chunk_left: u64,
}

/// Chunks of one extent, located last.
#[derive(Debug, Default)]
struct Window {
    extent: usize,
    rows: Vec<ChunkRow>,
}

impl Window {
    /// The chunks from the one that holds `position` on; empty when it is not here.
    fn from(&self, extent: usize, position: u64) -> &[ChunkRow] {
        let after = self.rows.partition_point(|row| row.raw_start <= position);
        match after.checked_sub(1).filter(|_| self.extent == extent) {
            Some(at) if position - self.rows[at].raw_start < u64::from(self.rows[at].raw_len) => {
                &self.rows[at..]
            }
            _ => &[],
        }
    }
}

impl FileReader {
    pub(super) fn new(view: Arc<View>, cache: Arc<ChunkCache>, record: FileRecord, label: String) -> Self {
        let starts = record
            .extents
            .iter()
            .scan(0, |at, extent| {
                let start = *at;
                *at += extent.len;
                Some(start)
            })
            .collect();
        let packs = record.extents.iter().map(|_| OnceLock::new()).collect();
        let (window, pace) = (Mutex::default(), Pace::default());
        Self { view, cache, record, starts, packs, window, pace, label }
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// SHA-256 of the whole content.
    pub fn sha256(&self) -> Sha256 {
        self.record.sha256
    }

    /// How many separate runs the content is stored in: 1 for a file stored whole.
    pub fn extents(&self) -> usize {
        self.record.extents.len()
    }

    /// Fills `buffer` from `offset`; fewer bytes only at the end of the file, none beyond it.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SnapshotError> {
        let left = self.size().saturating_sub(offset);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let failed = |source| SnapshotError::Read { file: self.label.clone(), source };
        if wanted > 0
            && let Some(soon) = self.pace.count(offset, wanted as u64, self.size())
        {
            self.announce(soon).map_err(failed)?;
        }
        let mut done = 0;
        while done < wanted {
            done += self.read_some(offset + done as u64, &mut buffer[done..wanted]).map_err(failed)?;
        }
        Ok(done)
    }

    /// Tells the disk that a part of the file is read soon.
    fn announce(&self, soon: Range<u64>) -> Result<(), StoreError> {
        let mut at = soon.start;
        while at < soon.end {
            let number = self.extent_at(at);
            let (extent, within) = (&self.record.extents[number], at - self.starts[number]);
            let len = (extent.len - within).min(soon.end - at);
            let pack = self.pack(number)?;
            if !pack.is_inline() {
                let row = self.view.catalog.chunk_at(pack, extent.start + within)?;
                // Compressed chunks are shorter on disk; then this is a little too much.
                self.view.catalog.announce(pack, row.stored_start, len);
            }
            at += len.max(1);
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> usize {
        self.starts.partition_point(|&start| start <= offset).saturating_sub(1)
    }

    /// Where the byte at `offset`, which must be there, is stored.
    pub(super) fn place(&self, offset: u64) -> Result<Place, SnapshotError> {
        self.find(offset).map_err(|source| SnapshotError::Read { file: self.label.clone(), source })
    }

    fn find(&self, offset: u64) -> Result<Place, StoreError> {
        let number = self.starts.partition_point(|&start| start <= offset).saturating_sub(1);
        let beyond = || StoreError::MissingContent(self.record.sha256);
        let extent = self.record.extents.get(number).ok_or_else(beyond)?;
        let within = offset - self.starts[number];
        let extent_left = extent.len.checked_sub(within).filter(|&left| left > 0).ok_or_else(beyond)?;
        let pack = self.pack(number)?;
        let position = extent.start + within;
        let row = self.view.catalog.chunk_at(pack, position)?;
        let within = position - row.raw_start;
        let chunk_left = u64::from(row.raw_len).saturating_sub(within);
        Ok(Place { pack: pack.file(), position, extent_left, hash: row.hash, within, chunk_left })
    }

    fn pack(&self, extent: usize) -> Result<&Pack, StoreError> {
        if let Some(pack) = self.packs[extent].get() {
            return Ok(pack);
        }
        let pack = self.view.catalog.pack_of(&self.record, &self.record.extents[extent])?;
        Ok(self.packs[extent].get_or_init(|| pack))
    }

    /// Chunks of an extent from the one that holds `position` of its pack on.
    fn locate(&self, extent: usize, pack: &Pack, position: u64) -> Result<Arc<Window>, StoreError> {
        let held = Arc::clone(&self.window.lock().unwrap_or_else(PoisonError::into_inner));
        if !held.from(extent, position).is_empty() {
            return Ok(held);
        }
        let most = if self.pace.is_steady() { WINDOW } else { GLANCE };
        let rows = self.view.catalog.chunks_at(pack, position, most)?;
        let window = Arc::new(Window { extent, rows });
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&window);
        Ok(window)
    }

    /// Bytes from `offset` on: whole chunks, or the rest of one, up to the end of the extent or the buffer.
    fn read_some(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StoreError> {
        let number = self.extent_at(offset);
        let (extent, within) = (&self.record.extents[number], offset - self.starts[number]);
        let left = usize::try_from(extent.len - within).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let pack = self.pack(number)?;
        let position = extent.start + within;
        let window = self.locate(number, pack, position)?;
        let too_short = || StoreError::damaged(&pack.file(), "a chunk is shorter than its row");
        let rows = window.from(number, position);
        let row = rows.first().ok_or_else(too_short)?;
        if row.raw_start == position {
            let (run, len) = raw_run(pack, rows, room);
            if len > 0 {
                self.view.catalog.read_run(pack, run, &mut buffer[..len])?;
                return Ok(len);
            }
        }
        let skip = usize::try_from(position - row.raw_start).unwrap_or(usize::MAX);
        if !self.pace.is_steady() && Catalog::has_parts(pack, row) {
            let n = (row.raw_len as usize).saturating_sub(skip).min(room);
            return self.read_part(pack, row, skip, &mut buffer[..n]).map(|()| n);
        }
        let chunk = self.cache.get(row.hash, || self.view.catalog.read_chunk(pack, row))?;
        let from = chunk.get(skip..).unwrap_or_default();
        let n = from.len().min(room);
        if n == 0 {
            return Err(too_short());
        }
        buffer[..n].copy_from_slice(&from[..n]);
        if n == from.len() && self.pace.is_steady() {
            // Whoever goes from front to back is done with it, and others keep their room.
            self.cache.let_go(row.hash);
        }
        Ok(n)
    }

    /// Fills `out` from `skip` of a chunk of which nothing else may be wanted.
    fn read_part(&self, pack: &Pack, row: &ChunkRow, skip: usize, out: &mut [u8]) -> Result<(), StoreError> {
        match self.cache.known(row.hash) {
            Some(Known::Proof(proof)) => self.view.catalog.read_part(pack, row, &proof, skip, out),
            Some(Known::Bytes(chunk)) => {
                let part = chunk.get(skip..).and_then(|from| from.get(..out.len()));
                let too_short = || StoreError::damaged(&pack.file(), "a chunk is shorter than its row");
                out.copy_from_slice(part.ok_or_else(too_short)?);
                Ok(())
            }
            None => {
                let proof = self.view.catalog.prove_chunk(pack, row, skip, out)?;
                self.cache.keep_proof(row.hash, proof);
                Ok(())
            }
        }
    }

    /// The open pack file, when the content is stored whole, raw and alone in one: what a kernel can be handed
    /// to read by itself. Bytes read that way are not checked.
    pub fn whole_file(&self) -> Result<Option<Arc<dyn ReadAt>>, SnapshotError> {
        let [extent] = self.record.extents.as_slice() else { return Ok(None) };
        let pack = self.pack(0)?;
        let alone =
            pack.row.raw_len == self.size() && pack.row.stored_len == self.size() && extent.start == 0;
        if !alone || pack.is_inline() {
            return Ok(None);
        }
        let file = self.view.catalog.pack_file(pack.row.id)?;
        // A kernel would read a truncated pack as a shorter file and say nothing; reading it here is an error. The file
        // may have been open for long, so its length is asked for again.
        let now = file.as_file().and_then(|file| file.metadata().ok()).map(|metadata| metadata.len());
        Ok((file.len() == self.size() && now.is_none_or(|now| now == self.size())).then_some(file))
    }

    /// Hands over the bytes of `span` in order, each run with where in the file it starts, in large runs that do not
    /// pass through the chunk cache. Every byte is checked, as in [`FileReader::read_at`]; in a span that starts or
    /// ends within a chunk all of that chunk is read.
    pub fn read_span<E: From<SnapshotError>>(
        &self,
        span: Range<u64>,
        each: &mut dyn FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let done = self.view.catalog.read_span(&self.record, span, &mut |at, bytes| {
            failed = each(at, bytes).err();
            failed.is_none()
        });
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(done.map_err(|source| SnapshotError::Read { file: self.label.clone(), source })?)
    }

    /// The content from the beginning, as a stream.
    pub fn stream(&self) -> impl Read + '_ {
        Stream { file: self, at: 0 }
    }
}

struct Stream<'a> {
    file: &'a FileReader,
    at: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(self.at, buffer).map_err(io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

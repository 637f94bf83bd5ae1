//! Turning content into stored chunks: hashed, cut, matched against what is known, and laid out to read fast.
//!
//! Small files go to a pack shared with their neighbours, in the order they come. A large file is written to a
//! pack of its own while it is hashed; when all of it turns out to be known nothing is kept, when much of it
//! is known (or it compresses well) only the rest is moved to a shared pack, and otherwise that pack, byte for
//! byte the file, is kept: it is what a kernel can read by itself. Nothing here is durable or visible.

use std::io::{self, Write};

use sha2::Digest as _;

use super::chunk::{self, Cutter};
use super::error::StoreError;
use super::id::{ChunkHash, ObjectId, PackId, Sha256};
use super::index::write::PackDraft;
use super::index::{Codec, Extent};
use super::media::ReadAt;
use super::object::{Kind, ObjectHasher};
use super::pack::{Compression, PackFile, shrinks_well};
use super::pointer::Pointer;
use super::publish::discard;
use super::transaction::{Transaction, unless_damaged};

/// A file from this size on is "large": it gets a pack of its own. Opening a backing file costs about 9 us,
/// reading 64 KiB through a streaming mount about 30 us, so small files lose more than they gain by it.
pub const WHOLE_FILE: u64 = 512 << 10;
/// Known chunks are only reused in runs this long, so that a file of many versions still reads forward.
pub const MIN_RUN: u64 = 1 << 20;
/// A new large file is stored whole when less than one part in this many is known.
const WORTH_SHARING: u64 = 10;
/// Bytes read at a time.
const BUFFER: usize = 1 << 20;
/// Bytes of each sample that decides whether a large file is worth compressing.
const SAMPLE: usize = 64 << 10;

/// Content being stored, read front to back.
pub trait Content {
    /// What it is called, for messages.
    fn name(&self) -> &str;
    /// How long it is; more or fewer bytes is [`StoreError::SourceChanged`].
    fn size(&self) -> u64;
    /// The next bytes; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Some bytes from `offset`, without moving the place [`Content::read`] is at.
    fn sample(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
    /// Whether it is still what it was when it was opened; asked after the last byte was read.
    fn is_unchanged(&mut self) -> io::Result<bool>;
}

/// What storing a file gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredFile {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// Its blob id in Git: of the content, or of its LFS pointer.
    pub blob: ObjectId,
    /// How many of its bytes the vault did not have yet.
    pub new_bytes: u64,
}

/// Finds a file's ids as it is read.
#[derive(Debug)]
pub struct Identity {
    sha256: sha2::Sha256,
    blob: Option<ObjectHasher>,
    size: u64,
}

impl Identity {
    /// For a file of `size` bytes; `pointer` says that Git sees its LFS pointer.
    pub fn new(size: u64, pointer: bool) -> Self {
        let blob = (!pointer).then(|| ObjectHasher::new(Kind::Blob, size));
        Self { sha256: sha2::Sha256::new(), blob, size }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(blob) = &mut self.blob {
            blob.update(bytes);
        }
    }

    /// SHA-256 of the content, and its blob id in Git.
    pub fn finish(self) -> (Sha256, ObjectId) {
        let sha256 = Sha256::from_bytes(self.sha256.finalize().into());
        let blob =
            self.blob.map_or_else(|| Pointer { sha256, size: self.size }.blob_id(), ObjectHasher::finish);
        (sha256, blob)
    }
}

/// One chunk of a large file and, if the vault has it, where.
struct Piece {
    hash: ChunkHash,
    len: u32,
    known: Option<(PackId, u64)>,
}

/// Consecutive chunks that are stored alike.
struct Run {
    pieces: std::ops::Range<usize>,
    known: Option<(PackId, u64)>,
    len: u64,
}

impl Transaction<'_> {
    /// Stores a file's content; `pointer` says that Git sees its LFS pointer. `progress` is told how many more
    /// bytes have been read.
    ///
    /// # Errors
    /// [`StoreError::SourceChanged`] when it is not what it was when it was opened, [`StoreError::Source`]
    /// when it cannot be read, [`StoreError::PointerAsContent`] for a plain file that is an LFS pointer.
    pub fn add_content(
        &mut self,
        content: &mut dyn Content,
        pointer: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<StoredFile, StoreError> {
        let size = content.size();
        // The pointer of an empty file is the empty file: under one id it cannot be two things.
        let pointer = pointer && size > 0;
        let (sha256, blob, new_bytes) = if size < WHOLE_FILE {
            self.add_small(content, pointer, progress)?
        } else {
            self.add_large(content, pointer, progress)?
        };
        self.add_blob(blob, sha256, pointer)?;
        Ok(StoredFile { sha256, size, blob, new_bytes })
    }

    fn add_small(
        &mut self,
        content: &mut dyn Content,
        pointer: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Sha256, ObjectId, u64), StoreError> {
        let size = content.size();
        let bytes = read_small(content)?;
        progress(size);
        check_unchanged(content)?;
        if !pointer && Pointer::decode(&bytes).is_some() {
            return Err(StoreError::PointerAsContent(content.name().to_owned()));
        }
        let mut identity = Identity::new(size, pointer);
        identity.update(&bytes);
        let (sha256, blob) = identity.finish();
        if self.is_known(sha256) {
            return Ok((sha256, blob, 0));
        }
        let mut extents = Vec::new();
        for range in chunk::cut_all(&bytes) {
            let raw = &bytes[range];
            self.push_chunk(chunk::hash(raw), raw, Compression::Try, &mut extents)?;
        }
        self.builder.add_file(sha256, size, extents);
        Ok((sha256, blob, size))
    }

    /// Appends a chunk to the shared pack and its place to `extents`.
    fn push_chunk(
        &mut self,
        hash: ChunkHash,
        raw: &[u8],
        compression: Compression,
        extents: &mut Vec<Extent>,
    ) -> Result<(), StoreError> {
        let media = &*self.vault.media;
        let shared = self.shared_pack()?;
        let start = shared.push(media, hash, raw, compression)?;
        append(extents, Extent { pack: shared.id(), start, len: raw.len() as u64 });
        Ok(())
    }

    fn add_large(
        &mut self,
        content: &mut dyn Content,
        pointer: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Sha256, ObjectId, u64), StoreError> {
        let size = content.size();
        let compression =
            if shrinks_well(&samples(content)?) { Compression::Try } else { Compression::Never };
        let tmp = self.next_tmp();
        let mut sink = self.vault.media.create(&tmp).map_err(StoreError::io("create", &tmp))?;
        let mut identity = Identity::new(size, pointer);
        let pieces = self.spool(content, &mut |bytes| {
            identity.update(bytes);
            progress(bytes.len() as u64);
            sink.write_all(bytes).map_err(StoreError::io("write", &tmp))
        })?;
        check_unchanged(content)?;
        let (sha256, blob) = identity.finish();
        if self.is_known(sha256) {
            drop(sink);
            discard(&*self.vault.media, &tmp);
            return Ok((sha256, blob, 0));
        }
        let runs = runs(&pieces);
        let known: u64 = runs.iter().filter(|run| run.known.is_some()).map(|run| run.len).sum();
        if compression == Compression::Never && known.saturating_mul(WORTH_SHARING) < size {
            self.keep_whole(sha256, size, &pieces, tmp, sink);
            return Ok((sha256, blob, size));
        }
        drop(sink);
        self.keep_pieces(sha256, size, &pieces, &runs, &tmp, compression)?;
        discard(&*self.vault.media, &tmp);
        Ok((sha256, blob, size - known))
    }

    /// Reads the content once, handing every byte to `each` and cutting it into chunks.
    fn spool(
        &mut self,
        content: &mut dyn Content,
        each: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<Vec<Piece>, StoreError> {
        let mut cutter = Cutter::new();
        let mut buffer = vec![0; BUFFER];
        let mut unfinished = Vec::with_capacity(chunk::MAX);
        let mut pieces = Vec::new();
        let mut left = content.size();
        loop {
            let n = read_some(content, &mut buffer)?;
            left = left.checked_sub(n as u64).ok_or_else(|| changed(content))?;
            if n == 0 && left > 0 {
                return Err(changed(content));
            }
            let mut fresh = &buffer[..n];
            each(fresh)?;
            while let Some(len) = cutter.next_cut(fresh, n == 0) {
                let (head, rest) = fresh.split_at(len);
                fresh = rest;
                unfinished.extend_from_slice(head);
                pieces.push(self.piece(&unfinished));
                unfinished.clear();
            }
            unfinished.extend_from_slice(fresh);
            if n == 0 {
                return Ok(pieces);
            }
        }
    }

    fn piece(&mut self, raw: &[u8]) -> Piece {
        let hash = chunk::hash(raw);
        let len = u32::try_from(raw.len()).expect("a chunk is at most 128 KiB");
        Piece { hash, len, known: self.find_chunk(hash, len) }
    }

    fn find_chunk(&mut self, hash: ChunkHash, len: u32) -> Option<(PackId, u64)> {
        if let Some(&place) = self.own_chunks.get(&hash) {
            return Some(place);
        }
        let (pack, chunk) = unless_damaged(self.base.catalog.chunk(hash))?;
        (chunk.raw_len == len && self.is_sound(pack.id)).then_some((pack.id, chunk.raw_start))
    }

    fn keep_whole(
        &mut self,
        sha256: Sha256,
        size: u64,
        pieces: &[Piece],
        tmp: String,
        sink: Box<dyn super::media::Sink>,
    ) {
        let mut draft = PackDraft::new(self.next_pack());
        for piece in pieces {
            let start = draft.push(piece.hash, piece.len, piece.len, Codec::Raw);
            self.own_chunks.insert(piece.hash, (draft.id, start));
        }
        self.builder.add_file(sha256, size, vec![Extent { pack: draft.id, start: 0, len: size }]);
        self.closed.push(PackFile { draft, tmp, sink });
    }

    fn keep_pieces(
        &mut self,
        sha256: Sha256,
        size: u64,
        pieces: &[Piece],
        runs: &[Run],
        tmp: &str,
        compression: Compression,
    ) -> Result<(), StoreError> {
        let spooled = self.vault.media.open(tmp).map_err(StoreError::io("read", tmp))?;
        let mut extents = Vec::new();
        let mut at = 0;
        for run in runs {
            if let Some((pack, start)) = run.known {
                append(&mut extents, Extent { pack, start, len: run.len });
                at += run.len;
                continue;
            }
            for piece in &pieces[run.pieces.clone()] {
                let raw = reread(&*spooled, tmp, at, piece)?;
                self.push_chunk(piece.hash, &raw, compression, &mut extents)?;
                at += u64::from(piece.len);
            }
        }
        self.builder.add_file(sha256, size, extents);
        Ok(())
    }
}

fn reread(spooled: &dyn ReadAt, tmp: &str, at: u64, piece: &Piece) -> Result<Vec<u8>, StoreError> {
    let mut raw = vec![0; piece.len as usize];
    spooled.read_exact_at(&mut raw, at).map_err(StoreError::reading(tmp))?;
    Ok(raw)
}

/// Adds an extent, joining it to the last one when it follows it in the same pack.
fn append(extents: &mut Vec<Extent>, next: Extent) {
    match extents.last_mut() {
        Some(last) if last.pack == next.pack && last.start + last.len == next.start => last.len += next.len,
        _ => extents.push(next),
    }
}

/// Groups chunks into runs, giving up known ones that are too short to be worth a seek.
fn runs(pieces: &[Piece]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let len = u64::from(piece.len);
        if let Some(last) = runs.last_mut() {
            let follows = match (last.known, piece.known) {
                (Some((pack, start)), Some(next)) => (pack, start + last.len) == next,
                (known, next) => known.is_none() && next.is_none(),
            };
            if follows {
                last.pieces.end = at + 1;
                last.len += len;
                continue;
            }
        }
        runs.push(Run { pieces: at..at + 1, known: piece.known, len });
    }
    runs.iter_mut().filter(|run| run.len < MIN_RUN).for_each(|run| run.known = None);
    runs
}

fn samples(content: &mut dyn Content) -> Result<Vec<Vec<u8>>, StoreError> {
    let size = content.size();
    let places = [size / 4, size / 2, size - size / 8];
    let read = |offset| content.sample(offset, SAMPLE);
    places.into_iter().map(read).collect::<io::Result<_>>().map_err(|source| unreadable(content, source))
}

fn read_small(content: &mut dyn Content) -> Result<Vec<u8>, StoreError> {
    // One byte more than announced, so that a file that grew is noticed.
    let size = usize::try_from(content.size()).expect("small files are far below 4 GiB");
    let mut bytes = vec![0; size + 1];
    let n = read_some(content, &mut bytes)?;
    if n != size {
        return Err(changed(content));
    }
    bytes.truncate(size);
    Ok(bytes)
}

/// Fills the buffer unless the content ends first.
fn read_some(content: &mut dyn Content, buffer: &mut [u8]) -> Result<usize, StoreError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(unreadable(content, source)),
        }
    }
    Ok(filled)
}

fn check_unchanged(content: &mut dyn Content) -> Result<(), StoreError> {
    match content.is_unchanged() {
        Ok(true) => Ok(()),
        Ok(false) => Err(changed(content)),
        Err(source) => Err(unreadable(content, source)),
    }
}

fn changed(content: &dyn Content) -> StoreError {
    StoreError::SourceChanged(content.name().to_owned())
}

fn unreadable(content: &dyn Content, source: io::Error) -> StoreError {
    StoreError::Source { name: content.name().to_owned(), source }
}

/// Content that is in memory already.
#[derive(Debug)]
pub struct Bytes<'a> {
    name: &'a str,
    content: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    /// Content called `name` for messages.
    pub fn new(name: &'a str, content: &'a [u8]) -> Self {
        Self { name, content, at: 0 }
    }
}

impl Content for Bytes<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = io::Read::read(&mut &self.content[self.at..], buffer)?;
        self.at += n;
        Ok(n)
    }

    fn sample(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        Ok(self.content[from..].iter().take(len).copied().collect())
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

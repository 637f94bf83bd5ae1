//! Turning content into stored chunks: hashed, cut, matched against what is known, and laid out to read fast.
//!
//! Small files go to a pack shared with their neighbours, in the order they come. A large file is written to a
//! pack of its own while it is hashed (`pipeline`); when all of it turns out to be known nothing is kept, when
//! much of it is known (or it compresses well) only the rest is moved to a shared pack (`spool`), and otherwise
//! that pack, byte for byte the file, is kept: it is what a kernel can read by itself. Where the file system can
//! share blocks, that pack is there before its first byte is read (`reflink`). Nothing here is durable or visible.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::sync::Arc;

use sha2::Digest as _;

use super::error::StoreError;
use super::id::{ObjectId, Sha256};
use super::index::Extent;
use super::index::draft::{Chunks, PackDraft};
use super::object::{Kind, ObjectHasher};
use super::pack::{Compression, PackFile, worthwhile};
use super::pointer::Pointer;
use super::publish::discard;
use super::stat_cache::Fingerprint;
use super::transaction::Transaction;

mod arrange;
pub(super) mod encode;
mod extend;
mod known;
mod many;
mod mend;
mod pipeline;
mod reflink;
mod small;
mod spool;

pub use many::{Done, Files, Sources, Storing, Told};

use encode::{Group, encode_all};
use extend::{Layout, Stretch};
use known::Known;
use reflink::Reflink;
use small::Small;
use spool::{Run, Spool, Spooled};

#[cfg(test)]
mod tests;

/// A file from this size on is "large": it gets a pack of its own. Opening a backing file costs about 9 us,
/// reading 64 KiB through a streaming mount about 30 us, so small files lose more than they gain by it.
pub const WHOLE_FILE: u64 = 512 << 10;
/// Known chunks are always reused in runs this long; shorter ones only as far as the file keeps reading forward.
pub const MIN_RUN: u64 = 1 << 20;
/// No known run shorter than this is reused, unless it lies beside what is read before or after it.
pub const SHORT_RUN: u64 = 128 << 10;
/// A new large file is stored whole when less than one part in this many is known.
pub(super) const WORTH_SHARING: u64 = 10;
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
    /// The open file all of it is in, where there is one: what a file system can be asked to share the blocks of.
    fn as_file(&self) -> Option<&File> {
        None
    }
    /// What tells this file from any other and from itself after a change, where there is such a thing.
    fn fingerprint(&self) -> Option<Fingerprint> {
        None
    }
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
        if size < WHOLE_FILE {
            let small = Small::read(content, pointer, self.compression, &self.base.catalog)?;
            progress(size);
            return self.store_small(small);
        }
        let (sha256, blob, new_bytes) = self.add_large(content, pointer, progress)?;
        self.add_blob(blob, sha256, pointer)?;
        Ok(StoredFile { sha256, size, blob, new_bytes })
    }

    fn add_large(
        &mut self,
        content: &mut dyn Content,
        pointer: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Sha256, ObjectId, u64), StoreError> {
        let size = content.size();
        let compression = worthwhile(self.compression, &samples(content)?);
        let tmp = self.next_tmp();
        let may_be_whole = compression == Compression::None;
        let vault = self.vault;
        let mut sink = vault.media.create(&tmp).map_err(StoreError::io("create", &tmp))?;
        let shared = reflink::share(&mut *sink, &tmp, content)?;
        let spool = Spool::new(&tmp, sink, shared, size, may_be_whole);
        let progress = &mut |bytes: u64| {
            progress(bytes);
            vault.interrupt().check()
        };
        let (identity, known) = (Identity::new(size, pointer), Known::of(self));
        let (sha256, blob, spooled) = if shared {
            let mut copy = Reflink::open(&*vault.media, &tmp, content)?;
            pipeline::run(&mut copy, identity, known, spool, progress)?
        } else {
            let found = pipeline::run(content, identity, known, spool, progress)?;
            check_unchanged(content)?;
            found
        };
        let Spooled { sink, pieces, runs, whole } = spooled;
        if self.is_known(sha256)? {
            drop(sink);
            discard(&*self.vault.media, &tmp);
            return Ok((sha256, blob, 0));
        }
        if whole {
            self.keep_whole(sha256, size, pieces, tmp, sink)?;
            return Ok((sha256, blob, size));
        }
        drop(sink);
        let new = self.keep_pieces((sha256, size), (&pieces, &runs), &tmp, compression)?;
        discard(&*self.vault.media, &tmp);
        Ok((sha256, blob, new))
    }

    fn keep_whole(
        &mut self,
        sha256: Sha256,
        size: u64,
        pieces: Chunks,
        tmp: String,
        sink: Box<dyn super::media::Sink>,
    ) -> Result<(), StoreError> {
        let draft = Arc::new(PackDraft::of(self.next_pack(), pieces));
        if self.sound.found_any() {
            draft.chunks().iter().for_each(|row| self.sound.stored(row.hash, (draft.id, row.raw_start)));
        }
        self.own_chunks.add(Arc::clone(&draft));
        self.builder.add_file(sha256, size, vec![Extent { pack: draft.id, start: 0, len: size }]);
        self.closed.push(PackFile { draft, tmp, sink });
        self.relieve()
    }

    /// Stores what is new of a spooled file and shares the rest; answers how many bytes are new.
    fn keep_pieces(
        &mut self,
        (sha256, size): (Sha256, u64),
        (pieces, runs): (&Chunks, &[Run]),
        tmp: &str,
        compression: Compression,
    ) -> Result<u64, StoreError> {
        let spooled = self.vault.media.open(tmp).map_err(StoreError::io("read", tmp))?;
        let base = Arc::clone(&self.base);
        let layout = Layout::new(&base.catalog, (&*spooled, tmp), pieces);
        let stretches = layout.stretches(runs, &mut Known::of(self))?;
        let (mut extents, mut new, mut group) = (Vec::new(), 0, Group::default());
        for stretch in stretches {
            let (pieces, mut at) = match stretch {
                Stretch::Known(extent) => {
                    self.push_group(&mut group, compression, &mut extents)?;
                    append(&mut extents, extent);
                    continue;
                }
                Stretch::Part { hash, at, len } => {
                    new += u64::from(len);
                    group.push(hash, layout.read(at..at + u64::from(len))?);
                    continue;
                }
                Stretch::Pieces { pieces, at } => (pieces, at),
            };
            for piece in layout.pieces.range(pieces) {
                let len = u64::from(piece.raw_len);
                group.push(piece.hash, layout.read(at..at + len)?);
                (new, at) = (new + len, at + len);
                if group.is_full() {
                    self.push_group(&mut group, compression, &mut extents)?;
                }
            }
        }
        self.push_group(&mut group, compression, &mut extents)?;
        if let Some(shared) = &mut self.shared {
            shared.will_be_named(new);
        }
        self.builder.add_file(sha256, size, extents);
        Ok(new)
    }

    /// Appends what is in `group` to the shared pack, and empties it.
    fn push_group(
        &mut self,
        group: &mut Group,
        compression: Compression,
        extents: &mut Vec<Extent>,
    ) -> Result<(), StoreError> {
        let Group { hashes, chunks, .. } = std::mem::take(group);
        encode_all(&chunks, compression, |at, codec, stored| {
            self.push_encoded(hashes[at], chunks[at].len(), codec, stored, extents)
        })
    }
}

/// Adds an extent, joining it to the last one when it follows it in the same pack.
fn append(extents: &mut Vec<Extent>, next: Extent) {
    match extents.last_mut() {
        Some(last) if last.pack == next.pack && last.start + last.len == next.start => last.len += next.len,
        _ => extents.push(next),
    }
}

fn samples(content: &mut dyn Content) -> Result<Vec<Vec<u8>>, StoreError> {
    let size = content.size();
    let places = [size / 4, size / 2, size - size / 8];
    let read = |offset| content.sample(offset, SAMPLE);
    places.into_iter().map(read).collect::<io::Result<_>>().map_err(|source| unreadable(content, source))
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
    content: Cow<'a, [u8]>,
    at: usize,
}

impl<'a> Bytes<'a> {
    /// Content called `name` for messages.
    pub fn new(name: &'a str, content: &'a [u8]) -> Self {
        Self { name, content: Cow::Borrowed(content), at: 0 }
    }

    /// The same, with bytes of its own.
    pub fn owned(name: &'a str, content: Vec<u8>) -> Self {
        Self { name, content: Cow::Owned(content), at: 0 }
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

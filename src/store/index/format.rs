//! The rows of an index, bytes to values and back; `docs/format.md` is drawn from this file.
//!
//! All integers are little-endian but for [`LookupRow::prefix`], which is big-endian so that rows sort as the
//! hashes do. This file does no I/O and knows nothing of blocks, checks or files.

use crate::store::id::{ChunkHash, ObjectId, PackId, Sha256};
use crate::store::object::Kind;

/// Marks the end of an index file.
pub const MAGIC: [u8; 8] = *b"HVINDEX\n";
/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = 1;
/// Bytes of the sections that one block hash covers.
pub const BLOCK: usize = 16 << 10;
/// Bytes kept of each block's BLAKE3.
pub const BLOCK_HASH: usize = 16;
/// Bytes of the trailer: seven (offset, length) pairs, block count, version, magic.
pub const TRAILER: usize = Table::COUNT * 16 + 4 + 4 + 8;

/// A section of an index file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Table {
    /// [`PackRow`]s by id; [`PackId::HERE`], when present, is first.
    Packs,
    /// [`ChunkRow`]s: pack by pack in the order of `Packs`, by position within each.
    Chunks,
    /// [`LookupRow`]s by hash prefix.
    Lookup,
    /// [`FileRow`]s by SHA-256.
    Files,
    /// [`Extent`]s, file by file in the order of `Files`.
    Extents,
    /// [`ObjectRow`]s by id.
    Objects,
    /// Content without a pack of its own, then object bodies.
    Data,
}

impl Table {
    /// Number of sections.
    pub const COUNT: usize = 7;

    /// Every section in file order, with the length of its rows in bytes.
    pub const ALL: [(Self, usize); Self::COUNT] = [
        (Self::Packs, PackRow::LEN),
        (Self::Chunks, ChunkRow::LEN),
        (Self::Lookup, LookupRow::LEN),
        (Self::Files, FileRow::LEN),
        (Self::Extents, Extent::LEN),
        (Self::Objects, ObjectRow::LEN),
        (Self::Data, 1),
    ];
}

/// A fixed-width row of one table.
pub trait Row: Sized {
    /// The table it lives in.
    const TABLE: Table;
    /// Its length in bytes.
    const LEN: usize;
    /// Reads the row from exactly [`Row::LEN`] bytes; `None` when a field has no valid meaning.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// Appends the row's [`Row::LEN`] bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

/// How bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
    /// Numbers, byte by byte.
    Planes = 2,
}

impl Codec {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            2 => Some(Self::Planes),
            _ => None,
        }
    }
}

/// A pack: a file that holds chunk bytes and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRow {
    /// Its name, or [`PackId::HERE`] for the data section of this index.
    pub id: PackId,
    /// Length of the file in bytes.
    pub stored_len: u64,
    /// Length of its chunks' bytes when decoded.
    pub raw_len: u64,
    /// Ordinal of its first chunk in this index.
    pub first_chunk: u32,
    /// How many chunks it holds.
    pub chunk_count: u32,
}

/// One content-defined chunk of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRow {
    /// Keyed BLAKE3 of the decoded bytes.
    pub hash: ChunkHash,
    /// Position of its first byte among the pack's decoded bytes.
    pub raw_start: u64,
    /// Position of its first byte in the pack file.
    pub stored_start: u64,
    /// Decoded length in bytes, at most [`crate::store::chunk::MAX`].
    pub raw_len: u32,
    /// Length in the pack file in bytes, below 2^24.
    pub stored_len: u32,
    /// How it is stored.
    pub codec: Codec,
}

/// Finds a chunk by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupRow {
    /// First eight bytes of the hash, as a big-endian number.
    pub prefix: u64,
    /// Ordinal of the chunk in this index.
    pub chunk: u32,
}

/// A file's content as the vault stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRow {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// Ordinal of its first extent in this index.
    pub first_extent: u32,
    /// How many extents make it up.
    pub extent_count: u32,
}

/// A run of decoded bytes of one pack that is a run of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The pack; [`PackId::HERE`] is the data section of the index that holds this extent.
    pub pack: PackId,
    /// First byte among the pack's decoded bytes.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
}

/// A Git object, or what a Git blob id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRow {
    /// Its Git id.
    pub id: ObjectId,
    /// What it is and where its bytes are.
    pub stored: Stored,
}

/// Where an object's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A blob whose body is the file with this hash.
    Blob(Sha256),
    /// A blob that is the LFS pointer of the file with this hash.
    Pointer(Sha256),
    /// A tree, commit or tag in this index's data section.
    Body {
        /// Which of the three.
        kind: Kind,
        /// How it is stored.
        codec: Codec,
        /// First byte in the data section.
        offset: u64,
        /// Stored length in bytes.
        stored_len: u32,
        /// Decoded length in bytes.
        raw_len: u32,
    },
}

/// Takes fields off the front of a row; rows have fixed lengths, so it cannot run out.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) =
            self.0.split_first_chunk().expect("rows are cut to their fixed length before decoding");
        self.0 = rest;
        *head
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

impl Row for PackRow {
    const TABLE: Table = Table::Packs;
    const LEN: usize = 40;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut f = Fields(bytes);
        Some(Self {
            id: PackId::from_bytes(f.take()),
            stored_len: f.u64(),
            raw_len: f.u64(),
            first_chunk: f.u32(),
            chunk_count: f.u32(),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.id.as_bytes());
        out.extend(self.stored_len.to_le_bytes());
        out.extend(self.raw_len.to_le_bytes());
        out.extend(self.first_chunk.to_le_bytes());
        out.extend(self.chunk_count.to_le_bytes());
    }
}

impl Row for ChunkRow {
    const TABLE: Table = Table::Chunks;
    const LEN: usize = 56;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut f = Fields(bytes);
        let hash = ChunkHash::from_bytes(f.take());
        let (raw_start, stored_start, raw_len) = (f.u64(), f.u64(), f.u32());
        let [a, b, c, codec] = f.take();
        let codec = Codec::from_byte(codec)?;
        let stored_len = u32::from_le_bytes([a, b, c, 0]);
        let sound = raw_len as usize <= crate::store::chunk::MAX
            && raw_len > 0
            && (codec != Codec::Raw || raw_len == stored_len)
            && raw_start.checked_add(u64::from(raw_len)).is_some()
            && stored_start.checked_add(u64::from(stored_len)).is_some();
        sound.then_some(Self { hash, raw_start, stored_start, raw_len, stored_len, codec })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.hash.as_bytes());
        out.extend(self.raw_start.to_le_bytes());
        out.extend(self.stored_start.to_le_bytes());
        out.extend(self.raw_len.to_le_bytes());
        let [a, b, c, _] = self.stored_len.to_le_bytes();
        out.extend([a, b, c, self.codec as u8]);
    }
}

impl Row for LookupRow {
    const TABLE: Table = Table::Lookup;
    const LEN: usize = 12;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut f = Fields(bytes);
        Some(Self { prefix: u64::from_be_bytes(f.take()), chunk: f.u32() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.prefix.to_be_bytes());
        out.extend(self.chunk.to_le_bytes());
    }
}

impl LookupRow {
    /// The prefix a hash is looked up by.
    pub fn prefix_of(hash: ChunkHash) -> u64 {
        u64::from_be_bytes(*hash.as_bytes().first_chunk().expect("a hash is 32 bytes"))
    }
}

impl Row for FileRow {
    const TABLE: Table = Table::Files;
    const LEN: usize = 48;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut f = Fields(bytes);
        Some(Self {
            sha256: Sha256::from_bytes(f.take()),
            size: f.u64(),
            first_extent: f.u32(),
            extent_count: f.u32(),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.sha256.as_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.first_extent.to_le_bytes());
        out.extend(self.extent_count.to_le_bytes());
    }
}

impl Row for Extent {
    const TABLE: Table = Table::Extents;
    const LEN: usize = 32;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut f = Fields(bytes);
        let extent = Self { pack: PackId::from_bytes(f.take()), start: f.u64(), len: f.u64() };
        (extent.len > 0 && extent.start.checked_add(extent.len).is_some()).then_some(extent)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.pack.as_bytes());
        out.extend(self.start.to_le_bytes());
        out.extend(self.len.to_le_bytes());
    }
}

const BLOB: u8 = 1;
const POINTER: u8 = 2;
const TREE: u8 = 3;
const COMMIT: u8 = 4;
const TAG: u8 = 5;

impl Row for ObjectRow {
    const TABLE: Table = Table::Objects;
    const LEN: usize = 56;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut f = Fields(bytes);
        let id = ObjectId::from_bytes(f.take());
        let [kind, codec, _, _] = f.take();
        let kind = match kind {
            BLOB => return Some(Self { id, stored: Stored::Blob(Sha256::from_bytes(f.take())) }),
            POINTER => return Some(Self { id, stored: Stored::Pointer(Sha256::from_bytes(f.take())) }),
            TREE => Kind::Tree,
            COMMIT => Kind::Commit,
            TAG => Kind::Tag,
            _ => return None,
        };
        let codec = Codec::from_byte(codec)?;
        let (offset, stored_len, raw_len) = (f.u64(), f.u32(), f.u32());
        let sound = codec != Codec::Raw || stored_len == raw_len;
        sound.then_some(Self { id, stored: Stored::Body { kind, codec, offset, stored_len, raw_len } })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.id.as_bytes());
        match self.stored {
            Stored::Blob(sha256) => {
                out.extend([BLOB, 0, 0, 0]);
                out.extend(sha256.as_bytes());
            }
            Stored::Pointer(sha256) => {
                out.extend([POINTER, 0, 0, 0]);
                out.extend(sha256.as_bytes());
            }
            Stored::Body { kind, codec, offset, stored_len, raw_len } => {
                let kind = match kind {
                    Kind::Blob => unreachable!("blobs are stored by their content's hash"),
                    Kind::Tree => TREE,
                    Kind::Commit => COMMIT,
                    Kind::Tag => TAG,
                };
                out.extend([kind, codec as u8, 0, 0]);
                out.extend(offset.to_le_bytes());
                out.extend(stored_len.to_le_bytes());
                out.extend(raw_len.to_le_bytes());
                out.extend([0; 16]);
            }
        }
    }
}

/// Where each section lies, and how many blocks the sections fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// Offset and length in bytes of each section, in [`Table::ALL`] order.
    pub sections: [(u64, u64); Table::COUNT],
    /// How many block hashes stand between the sections and the trailer.
    pub block_count: u32,
}

impl Trailer {
    /// The trailer's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER);
        for (offset, len) in self.sections {
            out.extend(offset.to_le_bytes());
            out.extend(len.to_le_bytes());
        }
        out.extend(self.block_count.to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        out.extend(MAGIC);
        out
    }

    /// Reads a trailer of a file of `file_len` bytes and checks that every number in it agrees with that
    /// length, so that nothing read from it can make us allocate or seek beyond the file.
    pub fn decode(bytes: &[u8; TRAILER], file_len: u64) -> Result<Self, TrailerError> {
        let mut f = Fields(bytes);
        let sections = std::array::from_fn(|_| (f.u64(), f.u64()));
        let (block_count, version, magic) = (f.u32(), f.u32(), f.take::<8>());
        if magic != MAGIC {
            return Err(TrailerError::Malformed("it does not end as an index does"));
        }
        if version > VERSION {
            return Err(TrailerError::Version(version));
        }
        let mut end = 0;
        for ((_, width), (offset, len)) in Table::ALL.into_iter().zip(sections) {
            if offset != end
                || len % width as u64 != 0
                || len / width as u64 > u64::from(u32::MAX) && width > 1
            {
                return Err(TrailerError::Malformed("its sections do not follow each other"));
            }
            end = offset.checked_add(len).ok_or(TrailerError::Malformed("its sections overflow"))?;
        }
        let blocks = end.div_ceil(BLOCK as u64);
        let total =
            end.saturating_add(blocks.saturating_mul(BLOCK_HASH as u64)).saturating_add(TRAILER as u64);
        if u64::from(block_count) != blocks || total != file_len {
            return Err(TrailerError::Malformed("its length is not what its trailer says"));
        }
        Ok(Self { sections, block_count })
    }

    /// End of the last section, which is where the block hashes start.
    pub fn sections_end(&self) -> u64 {
        let (offset, len) = self.sections[Table::Data as usize];
        offset + len
    }
}

/// Why bytes are not a usable trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailerError {
    /// A later version of the format.
    Version(u32),
    /// Not a trailer of this file.
    Malformed(&'static str),
}

//! Packs: files that hold chunk bytes and nothing else; how a chunk is stored in one and taken out again.
//!
//! A pack that holds one whole raw file is, byte for byte, that file: nothing precedes or follows it, so a
//! kernel can be handed it. Everything that describes a pack is in an index. This file knows codecs and the
//! bytes of a pack, not which chunks make up which file.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chunk;
use super::error::StoreError;
use super::id::{ChunkHash, PackId};
use super::index::draft::PackDraft;
use super::index::{ChunkRow, Codec};
use super::media::{Media, Sink};
use super::{planes, zip};

/// Content below this total stays in the index of its transaction instead of a pack of its own: one file less
/// to create and sync for a small commit. Pieces of edited files are an exception.
pub const INLINE_LIMIT: u64 = 1 << 20;

/// From this many bytes on, pieces of an edited file go to a pack, however little else there is to store: nothing but the
/// index itself can name what lies in an index, so each later version would store them again. A block of a disk: what
/// is less is cheaper stored again than put into a file of its own.
const NAMED_LIMIT: u64 = 4 << 10;

/// A shared pack is closed when it reaches this size, so that none grows without bound.
pub const PACK_LIMIT: u64 = 512 << 20;

/// Where the pack with this id lies in the vault.
pub fn path_of(id: PackId) -> String {
    format!("packs/{id}.pack")
}

/// How hard content is compressed when it is stored. Reading undoes it, whatever it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all: reading fast is worth more.
    None,
    /// What shrinks much for little time, as text does; weights stay as they are.
    #[default]
    Auto,
    /// All that shrinks: weights too, which then no kernel can read by itself.
    Max,
}

/// Below this size compression saves less than it costs to undo.
const MIN_COMPRESSED: usize = 128;
/// The same for bodies of trees, commits and tags: a history is read commit by commit.
pub(super) const MIN_COMPRESSED_BODY: usize = 512;

/// zstd's levels for [`Compression::Auto`] and [`Compression::Max`].
const LEVELS: (i32, i32) = (1, 9);

/// Chooses how to store a chunk: compressed when that takes off at least an eighth, or with [`Compression::Max`] a
/// thirty-second; raw otherwise.
pub fn encode_chunk(raw: &[u8], compression: Compression) -> (Codec, Cow<'_, [u8]>) {
    if compression == Compression::None || raw.len() < MIN_COMPRESSED {
        return (Codec::Raw, Cow::Borrowed(raw));
    }
    let zip = |level| zip::compress(raw, level).ok();
    let mut zipped = zip(LEVELS.0);
    let (planes, most) = if compression == Compression::Max {
        let planes = planes::encode(raw);
        let len = |packed: &Option<Vec<u8>>| packed.as_ref().map_or(raw.len(), Vec::len);
        // Numbers that lie best in planes gain nothing from more effort.
        if len(&zipped) <= len(&planes) {
            zipped = zip(LEVELS.1);
        }
        (planes, raw.len() - raw.len() / 32)
    } else {
        (None, raw.len() - raw.len() / 8)
    };
    let candidates = [(Codec::Zstd, zipped), (Codec::Planes, planes)];
    let candidates = candidates.into_iter().filter_map(|(codec, packed)| Some((codec, packed?)));
    match candidates.min_by_key(|(_, packed)| packed.len()) {
        Some((codec, packed)) if packed.len() <= most => (codec, Cow::Owned(packed)),
        _ => (Codec::Raw, Cow::Borrowed(raw)),
    }
}

/// What is done with a large file, going by samples of it. Only if it shrinks well is reading it raw worth less than
/// the space, unless `asked` for: text does (to a third or less), weights do not (bf16 to 0.78).
pub fn worthwhile(asked: Compression, samples: &[Vec<u8>]) -> Compression {
    let raw = samples.iter().map(Vec::len).sum();
    let packed = samples.iter().map(|sample| encode_chunk(sample, asked).1.len()).sum();
    if pays(asked, raw, packed) { asked } else { Compression::None }
}

/// The same for samples of so many bytes that were encoded already, to so many.
pub fn pays(asked: Compression, raw: usize, packed: usize) -> bool {
    let most = if asked == Compression::Max { raw - raw / 32 } else { raw / 2 };
    raw > 0 && packed <= most
}

/// Undoes [`encode_chunk`] into exactly `raw_len` bytes; `None` when the stored bytes don't give that.
pub fn decode(codec: Codec, stored: Vec<u8>, raw_len: usize) -> Option<Vec<u8>> {
    let raw = match codec {
        Codec::Raw => stored,
        Codec::Zstd => zip::decompress(&stored, raw_len).ok()?,
        Codec::Planes => planes::decode(&stored, raw_len)?,
    };
    (raw.len() == raw_len).then_some(raw)
}

/// Takes a chunk out of its stored bytes and checks it; `file` names the vault file for the error.
pub fn open_chunk(row: &ChunkRow, stored: Vec<u8>, file: &str) -> Result<Vec<u8>, StoreError> {
    let raw = decode(row.codec, stored, row.raw_len as usize).filter(|raw| chunk::hash(raw) == row.hash);
    raw.ok_or_else(|| failed_check(row, file))
}

/// The error for a chunk that is not what its row says.
pub(super) fn failed_check(row: &ChunkRow, file: &str) -> StoreError {
    let detail = format!("the {} bytes at offset {} fail their check", row.stored_len, row.stored_start);
    StoreError::damaged(file, detail)
}

/// A pack being filled with chunks of many files. Its bytes stay in memory until there are too many of them.
#[derive(Debug)]
pub struct SharedPack {
    draft: PackDraft,
    tmp: String,
    pending: Vec<u8>,
    sink: Option<Box<dyn Sink>>,
    /// Bytes that later versions of a file will name.
    named: u64,
}

/// A filled pack.
#[derive(Debug)]
pub enum Filled {
    /// Small enough to go into the index: its chunks and its stored bytes.
    Inline(PackDraft, Vec<u8>),
    /// Written under its temporary name, not yet synced.
    File(PackFile),
}

/// A pack written under a temporary name; `publish` makes it durable and visible.
#[derive(Debug)]
pub struct PackFile {
    /// What it holds.
    pub draft: Arc<PackDraft>,
    /// Its temporary name.
    pub tmp: String,
    /// The file, still open for syncing.
    pub sink: Box<dyn Sink>,
}

impl SharedPack {
    /// An empty pack that would be written under the temporary name `tmp`.
    pub fn new(id: PackId, tmp: String) -> Self {
        Self { draft: PackDraft::new(id), tmp, pending: Vec::new(), sink: None, named: 0 }
    }

    /// Its name.
    pub fn id(&self) -> PackId {
        self.draft.id
    }

    /// Bytes it will take on disk.
    pub fn stored_len(&self) -> u64 {
        self.draft.stored_len()
    }

    /// Appends the stored bytes of a chunk; answers where it starts among the decoded bytes.
    pub fn push(
        &mut self,
        media: &dyn Media,
        hash: ChunkHash,
        raw_len: usize,
        codec: Codec,
        stored: &[u8],
    ) -> Result<u64, StoreError> {
        self.append(media, stored)?;
        let raw_len = u32::try_from(raw_len).expect("a chunk is at most 128 KiB");
        let stored_len = u32::try_from(stored.len()).expect("a stored chunk is never longer than its bytes");
        Ok(self.draft.push(hash, raw_len, stored_len, codec))
    }

    /// Appends a chunk of another pack as it is stored there; answers as [`SharedPack::push`].
    pub fn push_stored(
        &mut self,
        media: &dyn Media,
        row: &ChunkRow,
        stored: &[u8],
    ) -> Result<u64, StoreError> {
        self.append(media, stored)?;
        Ok(self.draft.push(row.hash, row.raw_len, row.stored_len, row.codec))
    }

    /// Notes that `len` bytes pushed before are pieces of a file that has others elsewhere.
    pub fn will_be_named(&mut self, len: u64) {
        self.named += len;
    }

    fn append(&mut self, media: &dyn Media, stored: &[u8]) -> Result<(), StoreError> {
        self.pending.extend_from_slice(stored);
        if self.pending.len() as u64 > INLINE_LIMIT { self.flush(media) } else { Ok(()) }
    }

    fn flush(&mut self, media: &dyn Media) -> Result<(), StoreError> {
        let sink = match &mut self.sink {
            Some(sink) => sink,
            None => self.sink.insert(create(media, &self.tmp)?),
        };
        sink.write_all(&self.pending).map_err(StoreError::io("write", &self.tmp))?;
        self.pending.clear();
        Ok(())
    }

    /// Ends the pack.
    pub fn finish(self, media: &dyn Media) -> Result<Filled, StoreError> {
        if self.sink.is_none() && self.named < NAMED_LIMIT {
            return Ok(Filled::Inline(self.draft, self.pending));
        }
        Ok(Filled::File(self.into_file(media)?))
    }

    /// Ends the pack as a file, however small it is.
    pub fn into_file(mut self, media: &dyn Media) -> Result<PackFile, StoreError> {
        let mut sink = match self.sink.take() {
            Some(sink) => sink,
            None => create(media, &self.tmp)?,
        };
        sink.write_all(&self.pending).map_err(StoreError::io("write", &self.tmp))?;
        Ok(PackFile { draft: Arc::new(self.draft), tmp: self.tmp, sink })
    }
}

fn create(media: &dyn Media, tmp: &str) -> Result<Box<dyn Sink>, StoreError> {
    media.create(tmp).map_err(StoreError::io("create", tmp))
}

//! One transaction being prepared: content and objects go in, nothing is visible until it is published.
//!
//! Bytes go to `tmp/` or stay in memory; dropping the transaction takes them away again (`scratch`). Turning content into
//! chunks is in `ingest`, making it durable in `publish`; this file holds what they share and adds objects.

use std::borrow::Cow;
use std::sync::Arc;

use super::catalog::max_body;
use super::error::StoreError;
use super::id::{ObjectId, PackId, Sha256};
use super::index::draft::DraftChunks;
use super::index::write::Added;
use super::index::{ChunkRow, Codec, IndexBuilder};
use super::log::record::NewPack;
use super::media::{Lock, LockMode, Wait};
use super::object::Timestamp;
use super::object::{self, Kind};
use super::pack::{self, Compression, Filled, PackFile, SharedPack};
use super::publish::discard;
use super::scratch::Scratch;
use super::sorted::{Coded, Key, Room, Sorted};
use super::sound::Soundness;
use super::stat_cache::StatCache;
use super::vault::{Vault, View};
use super::zip;

/// What a transaction is told about the world: the library has no clock, no user and no randomness.
#[derive(Debug, Clone)]
pub struct Context {
    /// When it is made.
    pub time: Timestamp,
    /// Who makes it, as `Name <email>`.
    pub actor: String,
    /// What was asked for, in one word.
    pub command: String,
    /// Random; names the files it makes. Two transactions must never be given the same.
    pub nonce: [u8; 16],
}

/// A transaction being prepared.
#[derive(Debug)]
pub struct Transaction<'v> {
    pub(super) vault: &'v Vault,
    pub(super) context: Context,
    pub(super) base: Arc<View>,
    pub(super) builder: IndexBuilder,
    pub(super) shared: Option<SharedPack>,
    /// Packs written and not yet durable.
    pub(super) closed: Vec<PackFile>,
    /// Packs in place under their names.
    pub(super) packs: Vec<NewPack>,
    /// Files in place that nothing points at yet; removed when the transaction is dropped.
    pub(super) published: Vec<String>,
    /// Chunks of this transaction's whole-file packs, for files of the same transaction.
    pub(super) own_chunks: DraftChunks,
    pub(super) lock: Option<Box<dyn Lock>>,
    pub(super) sound: Soundness,
    pub(super) compression: Compression,
    names: u64,
    scratch: Scratch,
    /// Number of the newest transaction when it began.
    pub(super) begun: u64,
    /// Keeps garbage collection away; given back last.
    _uncollected: Option<Box<dyn Lock>>,
}

/// The lock that keeps what transactions rely on from being collected: they share it, a collection holds it alone.
pub(super) const COLLECT_LOCK: &str = "locks/gc";
/// Held by a collection that waits for transactions to end, for moments: who begins waits for it first.
pub(super) const TURN_LOCK: &str = "locks/gc-turn";

impl Vault {
    /// Starts a transaction on the newest state. Waits while garbage is being collected.
    pub fn begin(&self, context: Context) -> Result<Transaction<'_>, StoreError> {
        let scratch = Scratch::new(&self.media, PackId::from_bytes(context.nonce))?;
        let share = |path: &str| {
            self.media.lock(path, LockMode::Shared, Wait::Forever).map_err(StoreError::io("lock", path))
        };
        drop(share(TURN_LOCK)?);
        let shared = share(COLLECT_LOCK)?;
        self.begin_with(context, scratch, shared)
    }

    /// Starts the transaction of a collection, whose lock the caller holds.
    pub(super) fn begin_collection(&self, context: Context) -> Result<Transaction<'_>, StoreError> {
        let scratch = Scratch::new(&self.media, PackId::from_bytes(context.nonce))?;
        self.begin_with(context, scratch, None)
    }

    fn begin_with(
        &self,
        context: Context,
        scratch: Scratch,
        uncollected: Option<Box<dyn Lock>>,
    ) -> Result<Transaction<'_>, StoreError> {
        let base = self.refresh()?;
        Ok(Transaction {
            compression: base.state.compression,
            begun: base.state.tip.map_or(0, |tip| tip.seq),
            _uncollected: uncollected,
            vault: self,
            context,
            base,
            builder: IndexBuilder::default(),
            shared: None,
            closed: Vec::new(),
            packs: Vec::new(),
            published: Vec::new(),
            own_chunks: DraftChunks::default(),
            lock: None,
            sound: Soundness::default(),
            names: 0,
            scratch,
        })
    }
}

impl Transaction<'_> {
    /// The state it is being built on.
    pub fn base(&self) -> &Arc<View> {
        &self.base
    }

    /// How hard content is compressed from now on; before, as the vault's setting says.
    pub fn set_compression(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// What is known of local files, to be asked about `lookups` of them; `None` on a medium without a clock.
    pub fn stat_cache(&self, lookups: usize) -> Option<StatCache> {
        let begun = self.scratch.begun_at()?;
        Some(StatCache::open(&*self.vault.media, begun, lookups))
    }

    fn next_name(&mut self) -> [u8; 16] {
        self.names += 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.context.nonce).update(&self.names.to_le_bytes());
        *hasher.finalize().as_bytes().first_chunk().expect("BLAKE3 is 32 bytes")
    }

    pub(super) fn next_pack(&mut self) -> PackId {
        PackId::from_bytes(self.next_name())
    }

    pub(super) fn next_tmp(&mut self) -> String {
        self.scratch.next()
    }

    /// The pack that small content goes to, closing the last one when it is full.
    pub(super) fn shared_pack(&mut self) -> Result<&mut SharedPack, StoreError> {
        if self.shared.as_ref().is_some_and(|pack| pack.stored_len() >= pack::PACK_LIMIT) {
            self.close_packs()?;
            self.relieve()?;
        }
        let shared = match self.shared.take() {
            Some(shared) => shared,
            None => SharedPack::new(self.next_pack(), self.next_tmp()),
        };
        Ok(self.shared.insert(shared))
    }

    /// Appends a chunk, as stored elsewhere and checked, to the shared pack; answers where it is now.
    pub(super) fn push_stored(&mut self, row: &ChunkRow, stored: &[u8]) -> Result<(PackId, u64), StoreError> {
        let media = &*self.vault.media;
        let shared = self.shared_pack()?;
        Ok((shared.id(), shared.push_stored(media, row, stored)?))
    }

    /// Ends the shared pack, if there is one.
    pub(super) fn close_packs(&mut self) -> Result<(), StoreError> {
        let Some(shared) = self.shared.take() else { return Ok(()) };
        match shared.finish(&*self.vault.media)? {
            Filled::Inline(draft, bytes) => self.builder.inline_pack(&draft, &bytes),
            Filled::File(file) => self.closed.push(file),
        }
        Ok(())
    }

    /// Adds a tree, commit or tag; answers its Git id. Adding what is there already costs nothing.
    ///
    /// # Errors
    /// [`StoreError::Collision`] when another content already has that id, [`StoreError::ObjectTooLarge`] for a folder of
    /// over 128 MiB of names or a message of over 4 MiB.
    pub fn add_object(&mut self, kind: Kind, body: &[u8]) -> Result<ObjectId, StoreError> {
        let id = object::id_of(kind, body);
        if let Some(known) = self.known_body(id)? {
            return if known == (kind, Cow::Borrowed(body)) {
                Ok(id)
            } else {
                Err(StoreError::Collision(id))
            };
        }
        let try_it = body.len() >= pack::MIN_COMPRESSED_BODY;
        let packed = try_it.then(|| zip::compress(body, 3).ok()).flatten();
        let packed = packed.filter(|packed| packed.len() < body.len());
        let (codec, bytes) = packed.map_or((Codec::Raw, body.to_vec()), |packed| (Codec::Zstd, packed));
        let raw_len = u32::try_from(body.len()).ok().filter(|&len| len <= max_body(kind));
        let raw_len = raw_len.ok_or(StoreError::ObjectTooLarge(id))?;
        self.builder.add_body(id, kind, codec, raw_len, bytes);
        self.spill_index()?;
        Ok(id)
    }

    fn known_body(&self, id: ObjectId) -> Result<Option<(Kind, Cow<'_, [u8]>)>, StoreError> {
        match self.builder.object(id).map_err(reading_back)? {
            Some(Added::Body(kind, codec, raw_len, bytes)) => {
                let body = pack::decode(codec, bytes.into_owned(), raw_len as usize).unwrap_or_default();
                Ok(Some((kind, Cow::Owned(body))))
            }
            Some(Added::Blob(_) | Added::Pointer(_)) => Err(StoreError::Collision(id)),
            None if unless_damaged(self.base.catalog.try_object(id)).is_none() => Ok(None),
            None => Ok(self.base.catalog.body(id).ok().map(|(kind, body)| (kind, Cow::Owned(body)))),
        }
    }

    /// Notes that blob `id` stands for the content `sha256`, which is stored or being stored.
    pub(super) fn add_blob(&mut self, id: ObjectId, sha256: Sha256, pointer: bool) -> Result<(), StoreError> {
        let known = match self.builder.object(id).map_err(reading_back)? {
            Some(Added::Blob(known)) => Some((known, false)),
            Some(Added::Pointer(known)) => Some((known, true)),
            Some(Added::Body(..)) => return Err(StoreError::Collision(id)),
            None if unless_damaged(self.base.catalog.try_object(id)).is_some() => {
                Some(self.base.catalog.blob(id)?)
            }
            None => None,
        };
        match known {
            Some(known) if known == (sha256, pointer) => {}
            Some(_) => return Err(StoreError::Collision(id)),
            None => self.builder.add_blob(id, sha256, pointer),
        }
        self.spill_index()
    }

    /// Moves to `tmp/` what is held beyond bounds of the rows of the index.
    fn spill_index(&mut self) -> Result<(), StoreError> {
        let mut room =
            Room { media: &*self.vault.media, scratch: &mut self.scratch, most: self.vault.most_held() };
        self.builder.spill(&mut room).map_err(StoreError::io("write", "tmp"))
    }

    /// Moves rows to `tmp/`, until the transaction ends, when more are held than should be.
    pub fn spill<K: Key, V: Coded>(&mut self, rows: &mut Sorted<K, V>) -> Result<(), StoreError> {
        let mut room =
            Room { media: &*self.vault.media, scratch: &mut self.scratch, most: self.vault.most_held() };
        rows.spill(&mut room).map_err(StoreError::io("write", "tmp"))
    }

    /// The length of the content with this hash, if it is stored or being stored, and the packs it is in are there.
    pub(super) fn known_size(&mut self, sha256: Sha256) -> Result<Option<u64>, StoreError> {
        if let Some(size) = self.builder.file_size(sha256).map_err(reading_back)? {
            return Ok(Some(size));
        }
        let Some(record) = unless_damaged(self.base.catalog.try_file(sha256)) else { return Ok(None) };
        let is_there = |pack| pack == PackId::HERE || self.is_sound(pack);
        let is_there = record.extents.iter().map(|extent| extent.pack).all(is_there);
        Ok((is_there && self.sound.holds_all(&self.base.catalog, &record)).then_some(record.size))
    }

    /// Whether content with this hash is stored or being stored, and the packs it is in are there.
    pub(super) fn is_known(&mut self, sha256: Sha256) -> Result<bool, StoreError> {
        self.known_size(sha256).map(|size| size.is_some())
    }

    /// From now on, what the vault has is read and checked before it stands in for content that is at hand. Follow it up
    /// with [`Transaction::mend`].
    pub fn distrust(&mut self) {
        self.sound.distrust();
    }

    fn is_sound(&mut self, id: PackId) -> bool {
        self.sound.check(&*self.vault.media, &self.base.catalog, id)
    }

    /// Whether it brings content that the vault did not have or had lost.
    pub fn brings_content(&self) -> bool {
        self.builder.has_files()
    }

    /// Forgets the trees, commits and tags added so far: the state they were built on is no longer the newest.
    pub fn forget_objects(&mut self) {
        self.builder.drop_bodies();
    }
}

/// The failure to read what was moved out of memory.
pub(super) fn reading_back(source: std::io::Error) -> StoreError {
    StoreError::io("read", "tmp")(source)
}

/// What a lookup found. A damaged index must not stop anyone from committing: what it hides is stored again.
pub(super) fn unless_damaged<T>(found: Result<Option<T>, StoreError>) -> Option<T> {
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, "stored again what may be there");
        None
    })
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.shared = None;
        self.closed.clear();
        for path in self.published.drain(..) {
            discard(&*self.vault.media, &path);
        }
    }
}

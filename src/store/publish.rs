//! The only code that makes anything durable or visible. `docs/durability.md` is its contract.
//!
//! The order never changes: packs are written and synced; they and the index that describes them are moved
//! into `packs/`, whose names are then synced; the log record is written, synced and moved to the next free
//! number, and the name is synced; only then is success reported. Every move refuses to replace anything, so
//! the record's number decides between two writers even where locks lie. A crash before the record's move
//! leaves the old state and some files nothing points at; after it, the new state.

use std::io::{self, Write};
use std::sync::Arc;

use super::catalog::Catalog;
use super::error::StoreError;
use super::frame::{self, Checksum};
use super::id::{IndexId, ObjectId, PackId};
use super::index::{self, BlockCache, Index, IndexBuilder};
use super::log::record::{NewPack, Record, RefChange};
use super::log::scan::read_file;
use super::log::state::State;
use super::log::{BUCKET, CHECKPOINT_EVERY, bucket_path, checkpoint_path, record_path};
use super::media::{LockMode, Media, Wait};
use super::pack::{self, Compression};
use super::refname::RefName;
use super::stat_cache::{Fingerprint, StatCache};
use super::transaction::{Context, Transaction};
use super::vault::{MARKER, MARKER_KIND, Settings, Vault, View};

/// The folders of a vault.
pub const FOLDERS: [&str; 6] = ["log", "packs", "leases", "locks", "tmp", "cache"];

/// The lock writers hold while they publish, so that the loser of a race waits instead of starting over.
const PUBLISH_LOCK: &str = "locks/publish";

/// Packs that a transaction which writes many keeps open until they are synced.
const OPEN_PACKS: usize = 64;

/// What a transaction changes besides the content it brings.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Refs to move. `old` is where each must be now.
    pub refs: Vec<RefChange>,
    /// The default branch from now on, when it changes.
    pub default_branch: Option<RefName>,
    /// How hard content is compressed when nothing else is said, from now on, when that changes.
    pub compression: Option<Compression>,
}

/// What was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// Number of the transaction.
    pub seq: u64,
    /// The state after it.
    pub view: Arc<View>,
    /// Bytes of packs and index it added to the vault.
    pub stored_bytes: u64,
}

/// Makes a vault on an empty medium: its folders, then its marker. Does nothing when the marker is there.
pub fn create_vault(media: &dyn Media, settings: &Settings) -> Result<(), StoreError> {
    media.create_dir("").map_err(StoreError::io("create", "."))?;
    for folder in FOLDERS {
        media.create_dir(folder).map_err(StoreError::io("create", folder))?;
    }
    // A crash may keep any of these names without the others, and the marker says that the folders are there.
    sync_dir(media, "")?;
    let (bytes, _) = frame::encode(MARKER_KIND, settings);
    let tmp = format!("tmp/{}-marker", settings.vault_id);
    write(media, &tmp, &bytes)?;
    match media.publish(&tmp, MARKER) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => discard(media, &tmp),
        done => done.map_err(StoreError::io("publish", MARKER))?,
    }
    sync_dir(media, "")
}

/// Writes a file under a temporary name, syncs it, and moves it to a name that does not exist. The name is
/// durable once its folder is synced.
fn put(media: &dyn Media, tmp: &str, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    write(media, tmp, bytes)?;
    media.publish(tmp, path).map_err(StoreError::io("publish", path)).inspect_err(|_| discard(media, tmp))
}

/// Writes and syncs a file under a temporary name.
fn write(media: &dyn Media, tmp: &str, bytes: &[u8]) -> Result<(), StoreError> {
    write_with(media, tmp, |sink| sink.write_all(bytes))
}

/// The same for what `fill` writes; answers what it answers.
fn write_with<T>(
    media: &dyn Media,
    tmp: &str,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T, StoreError> {
    let mut sink = media.create(tmp).map_err(StoreError::io("create", tmp))?;
    let written = fill(&mut *sink).map_err(StoreError::io("write", tmp));
    written
        .and_then(|done| sink.sync().map(|()| done).map_err(StoreError::io("sync", tmp)))
        .inspect_err(|_| discard(media, tmp))
}

/// Puts a file into the cache, in the last of `folders`, which are made. Nothing is synced: what is in the cache
/// carries a checksum, and a crash may take it.
pub fn put_cached(media: &dyn Media, folders: &[&str], name: &str, bytes: &[u8]) -> io::Result<()> {
    for folder in ["tmp"].iter().chain(folders) {
        media.create_dir(folder)?;
    }
    // The same bytes have the same name, so that whoever comes after a crash clears it away.
    let tmp = format!("tmp/cached-{}", &blake3::hash(bytes).to_hex()[..32]);
    let path = format!("{}/{name}", folders.last().copied().unwrap_or("cache"));
    let mut sink = media.create(&tmp).inspect_err(|_| discard(media, &tmp))?;
    let done = sink.write_all(bytes).and_then(|()| media.publish(&tmp, &path));
    done.inspect_err(|_| discard(media, &tmp))
}

/// Removes a file of the cache.
pub fn discard_cached(media: &dyn Media, path: &str) {
    if path.starts_with("cache/") {
        discard(media, path);
    }
}

/// Whether an index is there with all its bytes: its name is the check of its block hashes, and they of its blocks.
fn holds(media: &dyn Media, id: IndexId, len: u64) -> Result<bool, StoreError> {
    let found = Index::open(media, id, &Arc::new(BlockCache::new(0)))?;
    found.check_all_blocks()?;
    Ok(found.len() == len)
}

fn sync_dir(media: &dyn Media, path: &str) -> Result<(), StoreError> {
    media.sync_dir(path).map_err(StoreError::io("sync the folder", path))
}

/// Removes a file nothing points at. Failing to is harmless: `gc` finds it later.
pub(super) fn discard(media: &dyn Media, path: &str) {
    if let Err(error) = media.remove(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path, %error, "could not remove an unpublished file");
    }
}

/// What a collection says is live no longer.
#[derive(Debug, Clone, Default)]
pub(super) struct Retired {
    /// Indexes, whose live part the new one says.
    pub(super) indexes: Vec<IndexId>,
    /// Packs, whose live chunks were moved.
    pub(super) packs: Vec<PackId>,
}

impl Retired {
    /// The record that says so.
    pub(super) fn into_record(self, plain: Record) -> Record {
        Record { retired_indexes: self.indexes, retired_packs: self.packs, collects: true, ..plain }
    }
}

/// A record on top of `state` that changes nothing but the content there is.
pub(super) fn plain_record(
    context: &Context,
    state: &State,
    packs: Vec<NewPack>,
    index: Option<IndexId>,
) -> Record {
    Record {
        seq: state.next,
        previous: state.tip,
        time: context.time.seconds,
        offset: context.time.offset_minutes,
        actor: context.actor.clone(),
        command: context.command.clone(),
        refs: Vec::new(),
        default_branch: None,
        compression: None,
        packs,
        index,
        retired_indexes: Vec::new(),
        retired_packs: Vec::new(),
        collects: false,
    }
}

/// Removes a file that no state names any longer, or never did; answers how many bytes that freed.
pub(super) fn remove(media: &dyn Media, path: &str) -> Result<u64, StoreError> {
    let len = media.len(path).map_err(StoreError::io("look at", path))?;
    match media.remove(path) {
        Ok(()) => Ok(len.unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StoreError::io("remove", path)(error)),
    }
}

impl Transaction<'_> {
    /// Notes which local files are stored as which blobs. Nothing is synced and no failure matters: what is lost is
    /// read again.
    pub fn note_files(&mut self, cache: &StatCache, noted: &[(Fingerprint, ObjectId)]) {
        let tmp = self.next_tmp();
        let name = PackId::from_bytes(self.context.nonce).to_string();
        let Some(new) = cache.with(noted, &name) else { return };
        let media = &*self.vault.media;
        let written = media.create_dir("cache").and_then(|()| media.create(&tmp)?.write_all(&new.bytes));
        match written.and_then(|()| media.publish(&tmp, &new.path)) {
            Ok(()) => new.replaces.iter().for_each(|path| discard(media, path)),
            Err(error) => tracing::debug!(%error, "could not note which files are stored"),
        }
    }

    /// Waits for other writers, then answers the newest state. From here to [`Transaction::publish`] nobody
    /// else publishes, so what is built on this state will fit.
    pub fn lock(&mut self) -> Result<Arc<View>, StoreError> {
        self.close_packs()?;
        self.make_packs_durable()?;
        if self.lock.is_none() {
            let lock = self.vault.media.lock(PUBLISH_LOCK, LockMode::Exclusive, Wait::Forever);
            self.lock = lock.map_err(StoreError::io("lock", PUBLISH_LOCK))?;
        }
        self.base = self.vault.refresh()?;
        if self.base.state.collected > self.begun {
            // Only where locks don't work: what was found in the vault may be gone.
            return Err(StoreError::Collected(self.base.state.collected));
        }
        Ok(Arc::clone(&self.base))
    }

    /// As [`Vault::confirm`], for the state it is being built on.
    pub fn confirm(&self) -> Result<(), StoreError> {
        self.vault.confirm(&self.base)
    }

    /// Makes packs durable when many are open: each is an open file until then.
    pub(super) fn relieve(&mut self) -> Result<(), StoreError> {
        if self.closed.len() < OPEN_PACKS { Ok(()) } else { self.make_packs_durable() }
    }

    fn make_packs_durable(&mut self) -> Result<(), StoreError> {
        let media = &*self.vault.media;
        while let Some(mut file) = self.closed.pop() {
            let new = NewPack { id: file.draft.id, len: file.draft.stored_len() };
            file.sink.sync().map_err(StoreError::io("sync", &file.tmp))?;
            drop(file.sink);
            let path = pack::path_of(new.id);
            media.publish(&file.tmp, &path).map_err(StoreError::io("publish", &path))?;
            self.published.push(path);
            self.packs.push(new);
            self.builder.add_pack(file.draft);
        }
        Ok(())
    }

    /// Makes the transaction durable and visible.
    ///
    /// # Errors
    /// [`StoreError::RefMoved`] when a ref is not where `change` says it is; [`StoreError::Overtaken`] when
    /// another writer published first (only where locks don't work): lock, rebuild, publish again.
    pub fn publish(&mut self, change: Change) -> Result<Published, StoreError> {
        let base = self.prepare()?;
        check_refs(&base.state, &change)?;
        let (index, retired_indexes) = self.write_index(&base)?;
        let Change { refs, default_branch, compression } = change;
        let plain = self.record(&base, index);
        let record = Record { refs, default_branch, compression, retired_indexes, ..plain };
        self.publish_record(&base, &record, index)
    }

    /// Publishes that what `retired` names is live no longer; this transaction holds all that is still needed of
    /// it. Only after that may [`remove`] take files away.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the newest state is not the one `on` that was looked at.
    pub(super) fn publish_collection(
        &mut self,
        on: &View,
        retired: Retired,
    ) -> Result<Published, StoreError> {
        let base = self.prepare()?;
        if base.state.tip != on.state.tip {
            return Err(StoreError::Overtaken(base.state.next));
        }
        let index = if self.builder.is_empty() { None } else { Some(self.put_index(None)?) };
        let record = retired.into_record(self.record(&base, index));
        self.publish_record(&base, &record, index)
    }

    /// Puts everything but index and record in place; answers the state to build on.
    fn prepare(&mut self) -> Result<Arc<View>, StoreError> {
        if self.lock.is_none() {
            self.lock()?;
        }
        self.close_packs()?;
        self.make_packs_durable()?;
        Ok(Arc::clone(&self.base))
    }

    /// The record of this transaction, before what makes each kind different.
    fn record(&self, base: &View, index: Option<(IndexId, u64)>) -> Record {
        plain_record(&self.context, &base.state, self.packs.clone(), index.map(|(id, _)| id))
    }

    fn publish_record(
        &mut self,
        base: &View,
        record: &Record,
        index: Option<(IndexId, u64)>,
    ) -> Result<Published, StoreError> {
        if index.is_some() || !self.packs.is_empty() {
            sync_dir(&*self.vault.media, "packs")?;
        }
        let stored = self.packs.iter().map(|pack| pack.len).sum::<u64>();
        let checksum = self.write_record(record)?;
        let view = self.fold(base, record, checksum);
        self.lock = None;
        Ok(Published { seq: record.seq, view, stored_bytes: stored + index.map_or(0, |(_, new)| new) })
    }

    /// Writes this transaction's index, taking over small older ones of its size. Answers its name and length,
    /// and the indexes it replaces.
    fn write_index(&mut self, base: &View) -> Result<(Option<(IndexId, u64)>, Vec<IndexId>), StoreError> {
        if self.builder.is_empty() {
            return Ok((None, Vec::new()));
        }
        let own = self.builder.estimated_len();
        let (peers, retired) = peers(base.catalog.indexes(), own);
        let mut merged = (!peers.is_empty()).then(|| self.builder.clone());
        if let Some(merged) = &mut merged {
            let is_gone = |pack| base.catalog.is_retired(pack);
            // Newest first: where two say something of one content, the later knows better; also one that stays, unless
            // it cannot give it: then the older record is kept, and is the one that is believed from now on.
            for (at, index) in &peers {
                let newer = &base.catalog.indexes()[at + 1..];
                let staying: Vec<_> = newer.iter().filter(|index| !retired.contains(&index.id())).collect();
                let is_said = |content| staying.iter().any(|index| base.catalog.gives(index, content));
                merged.absorb(index, &is_gone, &is_said)?;
            }
        }
        Ok((Some(self.put_index(merged.as_ref())?), retired))
    }

    /// Writes an index, this transaction's own or one with more in it, and puts it in place; answers its name and
    /// length.
    fn put_index(&mut self, merged: Option<&IndexBuilder>) -> Result<(IndexId, u64), StoreError> {
        let tmp = self.next_tmp();
        let media = &*self.vault.media;
        let builder = merged.unwrap_or(&self.builder);
        let (id, len) = write_with(media, &tmp, |sink| builder.write(sink))?;
        let path = index::path_of(id);
        match media.publish(&tmp, &path) {
            Ok(()) => self.published.push(path),
            Err(error) => {
                discard(media, &tmp);
                // An index is named by its content, and an interrupted transaction that said the same left it.
                if error.kind() != io::ErrorKind::AlreadyExists || !holds(media, id, len)? {
                    return Err(StoreError::io("publish", &path)(error));
                }
            }
        }
        Ok((id, len))
    }

    fn write_record(&mut self, record: &Record) -> Result<Checksum, StoreError> {
        let media = &*self.vault.media;
        let (bucket, path) = (bucket_path(record.seq), record_path(record.seq));
        if record.previous.is_none_or(|previous| previous.seq / BUCKET != record.seq / BUCKET) {
            // From now on nobody syncs the last folder, where a killed writer may have left a record unsynced.
            self.confirm()?;
            media.create_dir(&bucket).map_err(StoreError::io("create", &bucket))?;
            sync_dir(media, "log")?;
        }
        let (bytes, checksum) = record.encode();
        let tmp = self.next_tmp();
        write(media, &tmp, &bytes)?;
        // Once the move was asked for, nothing of the transaction may be taken back: it may be visible.
        self.published.clear();
        match media.publish(&tmp, &path) {
            Ok(()) => {}
            // A network filesystem may carry the move out and lose the answer: then the bytes are ours.
            Err(_) if read_file(media, &path).is_ok_and(|found| found == bytes) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.lock = None;
                return Err(StoreError::Overtaken(record.seq));
            }
            Err(source) => return Err(StoreError::Unconfirmed { seq: record.seq, source }),
        }
        media.sync_dir(&bucket).map_err(|source| StoreError::Unconfirmed { seq: record.seq, source })?;
        Ok(checksum)
    }

    fn fold(&self, base: &View, record: &Record, checksum: Checksum) -> Arc<View> {
        let mut state = base.state.clone();
        state.fold(record, checksum);
        let catalog = self.vault.open_catalog(&state, &base.catalog);
        let view = self.vault.install(Arc::new(View { state, catalog, warnings: base.warnings.clone() }));
        if record.seq.is_multiple_of(CHECKPOINT_EVERY)
            && let Err(error) = write_checkpoint(self.vault, &view.state)
        {
            // Only ever a shortcut: the log says everything a checkpoint does.
            tracing::warn!(%error, seq = record.seq, "could not write a checkpoint");
        }
        view
    }
}

fn check_refs(state: &State, change: &Change) -> Result<(), StoreError> {
    for wanted in &change.refs {
        let found = state.refs.get(&wanted.name).copied();
        if found != wanted.old {
            return Err(StoreError::RefMoved { name: wanted.name.clone(), expected: wanted.old, found });
        }
        let stays =
            |name: &RefName| !change.refs.iter().any(|other| other.name == *name && other.new.is_none());
        if wanted.new.is_some()
            && let Some(other) =
                state.refs.keys().find(|other| other.conflicts_with(&wanted.name) && stays(other))
        {
            return Err(StoreError::RefConflict { name: wanted.name.clone(), other: other.clone() });
        }
    }
    Ok(())
}

/// Indexes are taken over when there are this many of a size class, so each byte is rewritten once per class.
const PEERS: usize = 8;
/// Indexes above this size are left alone by commits.
const MERGE_LIMIT: u64 = 64 << 20;

fn size_class(bytes: u64) -> u32 {
    (bytes / 4096 + 1).ilog(PEERS as u64)
}

/// The small indexes that one of `own` bytes takes over, newest first, each with its number; and their names.
fn peers(live: &[Arc<Index>], own: u64) -> (Vec<(usize, Arc<Index>)>, Vec<IndexId>) {
    let mut size = own;
    let mut chosen: Vec<(usize, Arc<Index>)> = Vec::new();
    loop {
        let class = size_class(size);
        let is_new = |at: usize| !chosen.iter().any(|(other, _)| *other == at);
        let is_peer = |(at, index): &(usize, &Arc<Index>)| size_class(index.len()) <= class && is_new(*at);
        let peers: Vec<_> = live.iter().enumerate().filter(is_peer).collect();
        let total = size + peers.iter().map(|(_, index)| index.len()).sum::<u64>();
        if peers.len() + 1 < PEERS || total > MERGE_LIMIT {
            break;
        }
        // A damaged index stays as it is: what can still be read of it must not be lost in a merge.
        let sound = |index: &Arc<Index>| index.check_all_blocks().and_then(|()| index.check_layout()).is_ok();
        let sound = peers.into_iter().filter(|(_, index)| sound(index));
        chosen.extend(sound.map(|(at, index)| (at, Arc::clone(index))));
        size = total;
    }
    chosen.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    let retired = chosen.iter().map(|(_, index)| index.id()).collect();
    (chosen, retired)
}

fn write_checkpoint(vault: &Vault, state: &State) -> Result<(), StoreError> {
    let Some(checkpoint) = state.to_checkpoint() else { return Ok(()) };
    let (bytes, _) = checkpoint.encode();
    let seq = checkpoint.at.seq;
    put(&*vault.media, &format!("tmp/{}-checkpoint", checkpoint.at.checksum), &checkpoint_path(seq), &bytes)?;
    sync_dir(&*vault.media, &bucket_path(seq))
}

/// Where a ref is expected to be and where it goes.
pub fn move_ref(name: RefName, old: Option<ObjectId>, new: Option<ObjectId>, message: &str) -> RefChange {
    RefChange { name, old, new, message: message.to_owned() }
}

impl Vault {
    /// Makes the newest transaction of a state durable: to be called before saying that something is done which
    /// somebody else did, as they may have been killed before their last sync.
    pub fn confirm(&self, view: &View) -> Result<(), StoreError> {
        view.state.tip.map_or(Ok(()), |tip| sync_dir(&*self.media, &bucket_path(tip.seq)))
    }

    pub(super) fn open_catalog(&self, state: &State, previous: &Catalog) -> Catalog {
        Catalog::open(&self.media, state, self.block_cache(), Some(previous))
    }
}

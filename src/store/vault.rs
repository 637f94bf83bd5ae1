//! One vault on a medium: its marker, its newest state, and the views readers keep.
//!
//! Opening reads the marker, the newest usable checkpoint and the records after it; nothing is locked and
//! nothing is written, so a read-only folder opens like any other. This file decides nothing about what is
//! written: that is `ingest` (content) and `publish` (durability).

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::error::StoreError;
use super::frame;
use super::id::{ObjectId, PackId};
use super::index::BlockCache;
use super::interrupt::Interrupt;
use super::log::opening::{self, Opening};
use super::log::scan::{self, Warning};
use super::log::state::State;
use super::media::Media;
use super::refname::RefName;
use super::sorted::HELD;

/// The file that makes a folder a vault.
pub const MARKER: &str = "HUBVAULT";
/// Frame kind of the marker.
pub const MARKER_KIND: &str = "vault";
/// Files of at least this many bytes are LFS pointers in Git's eyes, as on the Hub.
pub const DEFAULT_LARGE_FILE_THRESHOLD: u64 = 10 << 20;
/// Memory for blocks of indexes.
const BLOCK_CACHE: usize = 32 << 20;

/// What is fixed when a vault is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Random; a copy of a vault keeps it.
    pub vault_id: PackId,
    /// When it was made, seconds since 1970 UTC.
    pub created: i64,
    /// Files of at least this many bytes enter trees as LFS pointers.
    pub large_file_threshold: u64,
}

/// One state of a vault and everything needed to read it. Immutable.
#[derive(Debug)]
pub struct View {
    /// Refs and default branch.
    pub state: State,
    /// The content.
    pub catalog: Catalog,
    /// What was passed over on the way to this state.
    pub warnings: Vec<Warning>,
}

impl View {
    /// Where a ref points.
    pub fn target(&self, name: &RefName) -> Option<ObjectId> {
        self.state.refs.get(name).copied()
    }

    /// The default branch.
    ///
    /// # Errors
    /// [`StoreError::Unfinished`] before the first transaction.
    pub fn default_branch(&self) -> Result<&RefName, StoreError> {
        self.state.default_branch.as_ref().ok_or(StoreError::Unfinished)
    }
}

/// An open vault.
#[derive(Debug)]
pub struct Vault {
    pub(super) media: Arc<dyn Media>,
    settings: Settings,
    cache: Arc<BlockCache>,
    view: Arc<RwLock<Arc<View>>>,
    interrupt: Interrupt,
    most_held: AtomicUsize,
}

impl Vault {
    /// Opens the vault on a medium.
    ///
    /// # Errors
    /// [`StoreError::NotAVault`] without a marker; [`StoreError::Damaged`] when the marker or a record that
    /// later ones need is damaged.
    pub fn open(media: Arc<dyn Media>) -> Result<Self, StoreError> {
        let settings = read_marker(&*media)?;
        let cache = Arc::new(BlockCache::new(BLOCK_CACHE));
        let view = settled(&*media, || first_view(&media, &cache).map(Arc::new))?;
        let view = Arc::new(RwLock::new(view));
        let (interrupt, most_held) = (Interrupt::default(), AtomicUsize::new(HELD));
        Ok(Self { media, settings, cache, view, interrupt, most_held })
    }

    /// The same open vault, to be interrupted by itself: it shares state and memory, and nobody has asked it to end.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            media: Arc::clone(&self.media),
            settings: self.settings,
            cache: Arc::clone(&self.cache),
            view: Arc::clone(&self.view),
            interrupt: Interrupt::default(),
            most_held: AtomicUsize::new(self.most_held()),
        }
    }

    /// By which what is going on with this handle can be asked to end.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// What was fixed when the vault was made.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The medium it is on.
    pub fn media(&self) -> &dyn Media {
        &*self.media
    }

    /// Limits the memory for blocks of indexes to at most what is usual, and to `bytes`.
    pub fn limit_block_cache(&self, bytes: usize) {
        self.cache.limit(bytes.min(BLOCK_CACHE));
    }

    /// Most bytes of blocks of indexes that are held.
    pub fn block_cache_limit(&self) -> usize {
        self.cache.most()
    }

    /// The catalog of a state that follows the one of `previous`.
    pub(super) fn open_catalog(&self, state: &State, previous: &Catalog) -> Catalog {
        Catalog::open(&self.media, state, &self.cache, Some(previous))
    }

    /// Has each map of a transaction hold about this many bytes of rows, and what is more moved to `tmp/`. Changes nothing
    /// that is published.
    pub fn hold_at_most(&self, bytes: usize) {
        self.most_held.store(bytes, Relaxed);
    }

    pub(super) fn most_held(&self) -> usize {
        self.most_held.load(Relaxed)
    }

    /// The newest state seen so far.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what was published since, and answers the newest state.
    pub fn refresh(&self) -> Result<Arc<View>, StoreError> {
        let view = settled(&*self.media, || self.newest())?;
        Ok(self.install(view))
    }

    fn newest(&self) -> Result<Arc<View>, StoreError> {
        let current = self.view();
        let Ok(tail) = scan::since(&*self.media, current.state.tip) else {
            // What we saw may have been passed over since, by a writer who could not see all of it.
            return first_view(&self.media, &self.cache).map(Arc::new);
        };
        if tail.records.is_empty() && tail.next == current.state.next {
            return Ok(current);
        }
        let mut state = current.state.clone();
        tail.records.iter().for_each(|(record, checksum)| state.fold(record, *checksum));
        state.next = tail.next;
        let mut warnings = current.warnings.clone();
        warnings.extend(tail.warnings.into_iter().filter(|new| !current.warnings.contains(new)));
        let catalog = self.open_catalog(&state, &current.catalog);
        Ok(Arc::new(View { state, catalog, warnings }))
    }

    pub(super) fn install(&self, view: Arc<View>) -> Arc<View> {
        let mut slot = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if slot.state.next <= view.state.next {
            *slot = Arc::clone(&view);
        }
        view
    }
}

/// Most often that the log is read again because somebody collected garbage meanwhile.
const READINGS: usize = 16;

/// Reads a state until nothing is missing of it, or nothing was published while it was read. A file that is missing
/// may have been retired by a later record and removed after that: then the log has grown, and says so.
fn settled(
    media: &dyn Media,
    read: impl Fn() -> Result<Arc<View>, StoreError>,
) -> Result<Arc<View>, StoreError> {
    let mut view = read()?;
    for _ in 1..READINGS {
        let is_whole = view.catalog.broken().is_empty() && view.warnings.is_empty();
        if is_whole || !scan::has_grown(media, view.state.next) {
            break;
        }
        view = read()?;
    }
    Ok(view)
}

fn first_view(media: &Arc<dyn Media>, cache: &Arc<BlockCache>) -> Result<View, StoreError> {
    let Opening { checkpoint, tail } = opening::open(&**media)?;
    let mut state = checkpoint.map(State::from_checkpoint).unwrap_or_default();
    tail.records.iter().for_each(|(record, checksum)| state.fold(record, *checksum));
    state.next = tail.next;
    let catalog = Catalog::open(media, &state, cache, None);
    Ok(View { state, catalog, warnings: tail.warnings })
}

/// Reads the marker.
pub fn read_marker(media: &dyn Media) -> Result<Settings, StoreError> {
    let bytes = scan::read_file(media, MARKER).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::NotAVault,
        _ => StoreError::reading(MARKER)(error),
    })?;
    frame::decode(MARKER_KIND, &bytes)
        .map(|(settings, _)| settings)
        .map_err(|e| scan::frame_error(MARKER, &e))
}

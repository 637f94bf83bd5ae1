//! `get_storage_overview`: where a vault's bytes are and which of them could be freed.
//!
//! Every file below the vault's folder is in exactly one section, so the sections add up to what `du` says. Each
//! stored chunk counts once, for the first that needs it: what branches and tags show now, then what came before.

use std::collections::BTreeSet;

use serde::Serialize;

use super::error::OpsError;
use super::gc::{GcOptions, each_file};
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::index::{ObjectRow, Stored};
use crate::store::mark::{Marker, Missing, locate_object};

/// A part of the vault's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageSectionInfo {
    /// What it is called.
    pub name: &'static str,
    /// Where it is, relative to the vault.
    pub path: &'static str,
    /// Bytes of its files.
    pub total_size: u64,
    /// Number of its files.
    pub file_count: u64,
    /// Bytes that could be freed.
    pub reclaimable_size: u64,
    /// How: `gc`, `prune-cache`, `keep` or `manual-review`.
    pub reclaim_strategy: &'static str,
    /// What it is for.
    pub notes: &'static str,
}

/// Where a vault's bytes are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StorageOverview {
    /// Bytes of all files in the vault's folder.
    pub total_size: u64,
    /// Bytes stored for what branches and tags show now.
    pub reachable_size: u64,
    /// Bytes stored only for commits before that.
    pub historical_retained_size: u64,
    /// Bytes that no ref needs, kept for undoing and for readers.
    pub held_size: u64,
    /// Bytes that `hv gc` would free.
    pub reclaimable_gc_size: u64,
    /// Bytes that `hv gc --prune-cache` would free besides.
    pub reclaimable_cache_size: u64,
    /// Bytes left by writers and readers that died.
    pub reclaimable_temporary_size: u64,
    /// Bytes of all different files that refs lead to.
    pub logical_size: u64,
    /// What is left of them when each chunk counts once.
    pub unique_size: u64,
    /// What is saved by that.
    pub shared_size: u64,
    /// What is saved by compression.
    pub compression_saved_size: u64,
    /// The parts of the folder; their sizes add up to `total_size`.
    pub sections: Vec<StorageSectionInfo>,
    /// What to do to free space.
    pub recommendations: Vec<String>,
}

/// Name, path, how to free space there, what it is for.
type Kind = (&'static str, &'static str, &'static str, &'static str);

const SECTIONS: [Kind; 9] = [
    ("content", "packs", "gc", "bytes of files, in packs"),
    ("indexes", "packs", "gc", "what describes packs; commits, folders and small files"),
    ("log", "log", "keep", "one record for each transaction, and checkpoints"),
    ("cache", "cache", "prune-cache", "disposable"),
    ("temporary", "tmp", "gc", "unpublished work, and what dead writers left"),
    ("leases", "leases", "keep", "who is reading what"),
    ("locks", "locks", "keep", "empty files"),
    ("marker", "HUBVAULT", "keep", "makes the folder a vault"),
    ("other", ".", "manual-review", "files that hubvault did not make"),
];

/// The section a file belongs to.
fn section_of(path: &str) -> usize {
    match path.split_once('/') {
        Some(("packs", name)) if name.strip_suffix(".pack").is_some() => 0,
        Some(("packs", name)) if name.strip_suffix(".idx").is_some() => 1,
        Some(("log", _)) => 2,
        Some(("cache", _)) => 3,
        Some(("tmp", _)) => 4,
        Some(("leases", _)) => 5,
        Some(("locks", _)) => 6,
        None if path == "HUBVAULT" => 7,
        _ => 8,
    }
}

impl Repository {
    /// Where the vault's bytes are. What could be freed is what a dry run of `gc` says, with the undo window that
    /// ends at `actor`'s time.
    ///
    /// # Errors
    /// As [`Repository::gc`]: a damaged vault can not be measured.
    pub fn get_storage_overview(&self, actor: &Actor) -> Result<StorageOverview, OpsError> {
        let options =
            GcOptions { dry_run: true, prune_cache: true, list_limit: 0, ..GcOptions::usual(actor) };
        let gc = self.gc(&options, actor, &mut |_| ())?;
        let positive = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        let mut overview = StorageOverview {
            reclaimable_gc_size: positive(gc.reclaimed_chunk_size + gc.reclaimed_object_size),
            reclaimable_cache_size: positive(gc.reclaimed_cache_size),
            reclaimable_temporary_size: positive(gc.reclaimed_temporary_size),
            held_size: gc.held_size(),
            ..StorageOverview::default()
        };
        self.measure_content(&mut overview)?;
        let reclaimable = [
            positive(gc.reclaimed_chunk_size),
            positive(gc.reclaimed_object_size),
            0,
            overview.reclaimable_cache_size,
            overview.reclaimable_temporary_size,
        ];
        overview.sections = SECTIONS
            .into_iter()
            .enumerate()
            .map(|(at, (name, path, reclaim_strategy, notes))| StorageSectionInfo {
                name,
                path,
                total_size: 0,
                file_count: 0,
                reclaimable_size: reclaimable.get(at).copied().unwrap_or(0),
                reclaim_strategy,
                notes,
            })
            .collect();
        each_file(self.vault().media(), "", &mut |path, len| {
            let section = &mut overview.sections[section_of(path)];
            section.total_size += len;
            section.file_count += 1;
            overview.total_size += len;
        });
        overview.recommend();
        Ok(overview)
    }

    fn measure_content(&self, overview: &mut StorageOverview) -> Result<(), OpsError> {
        let view = self.vault().view();
        let mut marker = Marker::new(&view.catalog);
        // The objects that refs point at, which are marked below, with all that came before them.
        let mut heads = BTreeSet::new();
        for &id in view.state.refs.values() {
            let commit = resolve::peeled(&view, id)?;
            heads.extend([id, commit]);
            marker.mark(view.catalog.commit(commit)?.tree, Missing::Refuse)?;
        }
        let mut heads_size = 0;
        for id in heads {
            if let Some((_, _, ObjectRow { stored: Stored::Body { stored_len, .. }, .. })) =
                locate_object(&view.catalog, id)?
            {
                heads_size += u64::from(stored_len);
            }
        }
        let now = marker.tally;
        for &id in view.state.refs.values() {
            marker.mark(id, Missing::Refuse)?;
        }
        let all = marker.tally;
        overview.reachable_size = now.stored + heads_size;
        overview.historical_retained_size = all.stored.saturating_sub(overview.reachable_size);
        overview.logical_size = all.logical;
        overview.unique_size = all.raw;
        overview.shared_size = all.logical.saturating_sub(all.raw);
        overview.compression_saved_size = all.raw.saturating_sub(all.content);
        Ok(())
    }
}

/// A cache below this is not worth losing.
const CACHE_WORTH_EMPTYING: u64 = 1 << 20;

impl StorageOverview {
    fn recommend(&mut self) {
        let mut say = |bytes: u64, text: &str| {
            if bytes > 0 {
                self.recommendations.push(text.to_owned());
            }
        };
        say(self.reclaimable_gc_size + self.reclaimable_temporary_size, "`hv gc` frees what nothing needs");
        let cache = self.reclaimable_cache_size;
        say(if cache < CACHE_WORTH_EMPTYING { 0 } else { cache }, "`hv gc --prune-cache` empties the cache");
        say(self.held_size, "`hv gc --prune=now` frees what is kept for undoing");
        say(
            self.historical_retained_size,
            "`hv squash BRANCH --prune=now` drops a branch's past and frees it",
        );
    }
}

//! Which small indexes a new one takes over, so that many small transactions do not leave many small indexes behind.
//!
//! Works on open indexes and in memory; must not write anything.

use std::sync::Arc;

use crate::store::catalog::Catalog;
use crate::store::error::StoreError;
use crate::store::id::IndexId;
use crate::store::index::{Index, IndexBuilder};

/// Indexes are taken over when there are this many of a size class, so each byte is rewritten once per class.
const PEERS: usize = 8;
/// Indexes above this size are left alone by commits.
const MERGE_LIMIT: u64 = 64 << 20;

/// What `own` and the small indexes it takes over say together, when there are any; and the names of those.
pub(super) fn take_over(
    own: &IndexBuilder,
    live: &Catalog,
) -> Result<(Option<IndexBuilder>, Vec<IndexId>), StoreError> {
    let peers = peers(live.indexes(), own.estimated_len());
    let retired: Vec<_> = peers.iter().map(|(_, index)| index.id()).collect();
    if peers.is_empty() {
        return Ok((None, retired));
    }
    let mut merged = own.clone();
    let is_gone = |pack| live.is_retired(pack);
    // Of each content, what is believed from now on: the merged index is the newest, and what it leaves out is gone when its
    // own is retired.
    for (at, index) in &peers {
        let is_said = |content| live.believed(content).is_some_and(|believed| believed != *at);
        merged.absorb(index, &is_gone, &is_said)?;
    }
    Ok((Some(merged), retired))
}

fn size_class(bytes: u64) -> u32 {
    (bytes / 4096 + 1).ilog(PEERS as u64)
}

/// The small indexes that one of `own` bytes takes over, newest first, each with its number.
fn peers(live: &[Arc<Index>], own: u64) -> Vec<(usize, Arc<Index>)> {
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
    chosen
}

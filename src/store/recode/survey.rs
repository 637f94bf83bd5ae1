//! Which packs are worth recoding, found out from a few chunks of each.
//!
//! What encoding gives depends on nothing but a chunk's bytes. So a pack that was recoded, or that did not seem worth
//! it, never seems worth it later: there is nothing to remember. Reads; changes nothing.

use std::ops::Range;

use crate::store::catalog::{Catalog, Pack};
use crate::store::error::StoreError;
use crate::store::id::{PackId, Sha256};
use crate::store::index::{ChunkRow, Codec, PackRow};
use crate::store::pack::{Compression, encode_chunk, pays};

/// Most chunks that are looked at, of a pack or of a file.
const SAMPLES: u64 = 8;

/// One chunk is looked at in so many bytes, of what is small. Samples are encoded again when their pack is: keeping what
/// that gives would cost memory for every pack there is, so what they cost is bounded instead. For 60 packs of 600 KiB
/// each (9 chunks), optimizing took 10.8 CPU s when eight were encoded three times, and takes 5.8 now: of 15 chunks that
/// are encoded for such a pack, 6 are samples. Of a pack of 64 MiB they are a sixtieth.
const SPREAD: u64 = 256 << 10;

/// A pack is worth recoding when that takes off one part in this many, as for a large file that is committed.
const WORTH: u64 = 32;

/// A pack that is worth recoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The pack.
    pub pack: PackId,
    /// Bytes of its chunks, decoded.
    pub raw: u64,
    /// Bytes of its file.
    pub stored: u64,
    /// About how many bytes there will be instead.
    pub estimate: u64,
}

/// Whether a pack of its own file is worth being recoded with `compression`.
///
/// # Errors
/// [`StoreError::Damaged`] when none of the chunks that are looked at can be read.
pub fn survey(
    catalog: &Catalog,
    id: PackId,
    compression: Compression,
) -> Result<Option<Candidate>, StoreError> {
    let Some(pack) = catalog.pack(id)? else { return Ok(None) };
    let PackRow { raw_len: raw, stored_len: stored, .. } = pack.row;
    let undoes = |codec: Codec| match compression {
        Compression::None => codec != Codec::Raw,
        Compression::Auto => codec == Codec::Planes,
        Compression::Max => false,
    };
    let candidate = |estimate| Some(Candidate { pack: id, raw, stored, estimate });
    if compression != Compression::Max {
        for chunk in pack.chunks() {
            if undoes(chunk?.codec) {
                return Ok(candidate(raw));
            }
        }
    }
    if compression == Compression::None {
        return Ok(None);
    }
    let samples = samples(catalog, &[(pack, 0..raw)])?;
    let is_raw = samples.iter().all(|(row, _)| row.codec == Codec::Raw);
    let now: u64 = samples.iter().map(|(row, _)| u64::from(row.stored_len)).sum();
    let decoded: usize = samples.iter().map(|(_, bytes)| bytes.len()).sum();
    let then: usize = samples.iter().map(|(_, bytes)| encode_chunk(bytes, compression).1.len()).sum();
    if is_raw && !pays(compression, decoded, then) {
        return Ok(None);
    }
    let then = then as u64;
    let is_worth_it = then.saturating_mul(WORTH) <= now.saturating_mul(WORTH - 1) && now > 0;
    let estimate = u128::from(stored) * u128::from(then) / u128::from(now.max(1));
    Ok(candidate(u64::try_from(estimate).unwrap_or(stored)).filter(|_| is_worth_it))
}

/// Some chunks, evenly spread over stretches of decoded bytes of packs, with their bytes. What cannot be read is left out,
/// as long as there is anything else.
pub(super) fn samples(
    catalog: &Catalog,
    stretches: &[(Pack, Range<u64>)],
) -> Result<Vec<(ChunkRow, Vec<u8>)>, StoreError> {
    let total: u64 = stretches.iter().map(|(_, range)| range.end - range.start).sum();
    let mut found: Vec<(ChunkRow, Vec<u8>)> = Vec::new();
    let mut failed = None;
    let count = count(total);
    for n in 0..count {
        let mut at = total / (2 * count) * (2 * n + 1);
        for (pack, range) in stretches {
            let len = range.end - range.start;
            if at < len {
                let row = catalog.chunk_at(pack, range.start + at)?;
                if found.last().is_none_or(|(last, _)| last != &row) {
                    match catalog.read_chunk(pack, &row) {
                        Ok(bytes) => found.push((row, bytes)),
                        Err(error) if error.is_unreadable() => failed = Some(error),
                        Err(error) => return Err(error),
                    }
                }
                break;
            }
            at -= len;
        }
    }
    match failed {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Bytes that are stored for a content: of every chunk that holds some of it.
///
/// # Errors
/// [`StoreError::MissingContent`] when it is not there.
pub fn stored_len(catalog: &Catalog, sha256: Sha256) -> Result<u64, StoreError> {
    let file = catalog.file(sha256)?;
    let mut sum = 0;
    for extent in &file.extents {
        let pack = catalog.pack_of(&file, extent)?;
        for chunk in pack.chunks_in(extent) {
            sum += u64::from(chunk?.1.stored_len);
        }
    }
    Ok(sum)
}

/// How many chunks of so many bytes are looked at.
fn count(total: u64) -> u64 {
    total.div_ceil(SPREAD).clamp(1, SAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ingest::WHOLE_FILE;

    #[test]
    fn at_most_half_of_a_file_is_encoded_twice_more() {
        // Once to survey its pack, once to tell whether it is to be kept whole; chunks are 64 KiB on average.
        for size in [WHOLE_FILE, 600 << 10, 1 << 20, 2 << 20, 64 << 20] {
            assert!(2 * count(size) * (64 << 10) * 2 <= size + (256 << 10), "{size}");
        }
        assert_eq!([1, 1 << 20, 1 << 40].map(count), [1, 4, SAMPLES]);
    }
}

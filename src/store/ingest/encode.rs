//! Compressing many chunks on every core, and storing them in order.
//!
//! What is stored does not depend on the number of threads. Knows chunks as bytes; where they go is its caller's.

use std::thread::{self, available_parallelism};

use crate::store::error::StoreError;
use crate::store::id::ChunkHash;
use crate::store::index::Codec;
use crate::store::pack::{Compression, encode_chunk};

/// Bytes of chunks that are compressed at a time, which bounds the memory.
const GROUP: usize = 4 << 20;

/// Chunks that wait for each other.
#[derive(Debug, Default)]
pub(in crate::store) struct Group {
    pub(in crate::store) hashes: Vec<ChunkHash>,
    pub(in crate::store) chunks: Vec<Vec<u8>>,
    bytes: usize,
}

impl Group {
    pub(in crate::store) fn push(&mut self, hash: ChunkHash, raw: Vec<u8>) {
        self.bytes += raw.len();
        self.hashes.push(hash);
        self.chunks.push(raw);
    }

    pub(in crate::store) fn is_full(&self) -> bool {
        self.bytes >= GROUP
    }
}

/// Hands over each of `chunks` with its codec and its stored bytes.
pub(in crate::store) fn encode_all(
    chunks: &[Vec<u8>],
    compression: Compression,
    mut each: impl FnMut(usize, Codec, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let threads = available_parallelism().map_or(1, usize::from);
    let share = chunks.len().div_ceil(threads).max(1);
    if compression == Compression::None || share == chunks.len() {
        return chunks.iter().enumerate().try_for_each(|(at, raw)| {
            let (codec, stored) = encode_chunk(raw, compression);
            each(at, codec, &stored)
        });
    }
    let work = |part: &[Vec<u8>]| -> Vec<(Codec, Vec<u8>)> {
        let encoded = part.iter().map(|raw| encode_chunk(raw, compression));
        encoded.map(|(codec, stored)| (codec, stored.into_owned())).collect()
    };
    let encoded: Vec<_> = thread::scope(|threads| {
        let parts: Vec<_> = chunks.chunks(share).map(|part| threads.spawn(move || work(part))).collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    encoded.iter().enumerate().try_for_each(|(at, (codec, stored))| each(at, *codec, stored))
}

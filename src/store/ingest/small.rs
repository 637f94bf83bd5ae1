//! A small file, in two steps: all that only looks at its bytes, then putting it into the transaction.
//!
//! The first step runs on any thread and for many files at a time, the second in order on one. What is stored
//! does not depend on who did the first.

use std::borrow::Cow;
use std::ops::Range;

use super::{Content, Identity, StoredFile, append, changed, check_unchanged, read_some};
use crate::store::catalog::Catalog;
use crate::store::chunk;
use crate::store::error::StoreError;
use crate::store::id::{ChunkHash, ObjectId, Sha256};
use crate::store::index::{Codec, Extent};
use crate::store::pack::{Compression, encode_chunk};
use crate::store::pointer::Pointer;
use crate::store::stat_cache::Fingerprint;
use crate::store::transaction::Transaction;

/// One chunk as it will be stored.
struct Encoded {
    hash: ChunkHash,
    range: Range<usize>,
    /// Codec and stored bytes, when those are not its bytes.
    packed: Option<(Codec, Vec<u8>)>,
}

/// A small file that was read, and what its bytes give.
pub(super) struct Small {
    bytes: Vec<u8>,
    sha256: Sha256,
    blob: ObjectId,
    pointer: bool,
    pub(super) fingerprint: Option<Fingerprint>,
    /// Empty when the vault seemed to have it.
    chunks: Vec<Encoded>,
}

impl Small {
    /// Reads it. What `catalog` has is not made ready for storing.
    pub(super) fn read(
        content: &mut dyn Content,
        pointer: bool,
        compression: Compression,
        catalog: &Catalog,
    ) -> Result<Self, StoreError> {
        let bytes = read_whole(content)?;
        check_unchanged(content)?;
        // The pointer of an empty file is the empty file: under one id it cannot be two things.
        let pointer = pointer && !bytes.is_empty();
        if !pointer && Pointer::decode(&bytes).is_some() {
            return Err(StoreError::PointerAsContent(content.name().to_owned()));
        }
        let mut identity = Identity::new(bytes.len() as u64, pointer);
        identity.update(&bytes);
        let (sha256, blob) = identity.finish();
        let fingerprint = content.fingerprint();
        let seems_known = catalog.file_size(sha256).is_ok_and(|found| found.is_some());
        let chunks = if seems_known { Vec::new() } else { encode(&bytes, compression) };
        Ok(Self { bytes, sha256, blob, pointer, fingerprint, chunks })
    }
}

fn encode(bytes: &[u8], compression: Compression) -> Vec<Encoded> {
    let encoded = chunk::cut_all(bytes).into_iter().map(|range| {
        let raw = &bytes[range.clone()];
        let packed = match encode_chunk(raw, compression) {
            (codec, Cow::Owned(packed)) => Some((codec, packed)),
            (_, Cow::Borrowed(_)) => None,
        };
        Encoded { hash: chunk::hash(raw), range, packed }
    });
    encoded.collect()
}

impl Transaction<'_> {
    /// Puts a small file into the shared pack, unless it is known.
    pub(super) fn store_small(&mut self, mut small: Small) -> Result<StoredFile, StoreError> {
        let size = small.bytes.len() as u64;
        let mut new_bytes = 0;
        if !self.is_known(small.sha256)? {
            if small.chunks.is_empty() {
                small.chunks = encode(&small.bytes, self.compression);
            }
            let mut extents = Vec::new();
            for chunk in &small.chunks {
                let raw = &small.bytes[chunk.range.clone()];
                let (codec, stored) = match &chunk.packed {
                    Some((codec, packed)) => (*codec, packed.as_slice()),
                    None => (Codec::Raw, raw),
                };
                self.push_encoded(chunk.hash, raw.len(), codec, stored, &mut extents)?;
            }
            self.builder.add_file(small.sha256, size, extents);
            new_bytes = size;
        }
        self.add_blob(small.blob, small.sha256, small.pointer)?;
        Ok(StoredFile { sha256: small.sha256, size, blob: small.blob, new_bytes })
    }

    /// Appends a chunk to the shared pack and its place to `extents`.
    pub(super) fn push_encoded(
        &mut self,
        hash: ChunkHash,
        raw_len: usize,
        codec: Codec,
        stored: &[u8],
        extents: &mut Vec<Extent>,
    ) -> Result<(), StoreError> {
        let media = &*self.vault.media;
        let shared = self.shared_pack()?;
        let start = shared.push(media, hash, raw_len, codec, stored)?;
        let pack = shared.id();
        self.sound.stored(hash, (pack, start));
        append(extents, Extent { pack, start, len: raw_len as u64 });
        Ok(())
    }
}

fn read_whole(content: &mut dyn Content) -> Result<Vec<u8>, StoreError> {
    // One byte more than announced, so that a file that grew is noticed.
    let size = usize::try_from(content.size()).expect("small files are far below 4 GiB");
    let mut bytes = vec![0; size + 1];
    let n = read_some(content, &mut bytes)?;
    if n != size {
        return Err(changed(content));
    }
    bytes.truncate(size);
    Ok(bytes)
}

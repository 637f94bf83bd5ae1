//! zstd, with what it needs to work kept from call to call.
//!
//! Setting up a compressor costs more than compressing a commit, and a decompressor more than reading one. Each
//! thread keeps one of both. Knows nothing of what is compressed.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// `bytes` as one zstd frame.
pub(super) fn compress(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(level)?),
        };
        compressor.set_compression_level(level)?;
        compressor.compress(bytes)
    })
}

/// What the frame `packed` holds, which must be at most `capacity` bytes.
pub(super) fn decompress(packed: &[u8], capacity: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress(packed, capacity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_changes_nothing_and_a_failure_spoils_nothing() {
        let texts: Vec<Vec<u8>> = (1..40_u8).map(|n| vec![n; usize::from(n) * 100]).collect();
        for level in [1, 3, 1] {
            for text in &texts {
                let packed = compress(text, level).unwrap();
                assert_eq!(packed, zstd::bulk::compress(text, level).unwrap());
                decompress(&packed, text.len() - 1).unwrap_err();
                decompress(&packed[..packed.len() - 1], text.len()).unwrap_err();
                assert_eq!(decompress(&packed, text.len()).unwrap(), *text);
            }
        }
    }
}

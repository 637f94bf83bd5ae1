//! What an index that is being built holds of files and objects, and how it is written down when there is too much of it.
//!
//! Knows rows one by one; which there are, and how they are laid out, is in `write`.

use super::format::{Codec, Extent, Row as _};
use crate::store::id::{PackId, Sha256};
use crate::store::object::Kind;
use crate::store::sorted::Coded;

/// What makes up a file's content.
#[derive(Debug, Clone)]
pub(super) struct FileDraft {
    pub(super) size: u64,
    pub(super) extents: Vec<Extent>,
}

/// What a blob id stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlobDraft {
    pub(super) sha256: Sha256,
    pub(super) pointer: bool,
}

/// A tree, commit or tag, as stored.
#[derive(Debug, Clone)]
pub(super) struct BodyDraft {
    pub(super) kind: Kind,
    pub(super) codec: Codec,
    pub(super) raw_len: u32,
    pub(super) bytes: Vec<u8>,
}

fn take_some<'b>(bytes: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(head)
}

impl Coded for FileDraft {
    fn put(&self, out: &mut Vec<u8>) {
        (self.size, self.extents.len() as u64).put(out);
        self.extents.iter().for_each(|extent| extent.encode(out));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (size, count): (u64, u64) = Coded::take(bytes)?;
        let count = usize::try_from(count).ok()?;
        let rows = take_some(bytes, count.checked_mul(Extent::LEN)?)?;
        let extents = rows.chunks(Extent::LEN).map(Extent::decode).collect::<Option<_>>()?;
        Some(Self { size, extents })
    }

    fn beside(&self) -> usize {
        self.extents.capacity() * size_of::<Extent>() + size_of::<PackId>()
    }
}

impl Coded for BlobDraft {
    fn put(&self, out: &mut Vec<u8>) {
        self.sha256.put(out);
        out.push(u8::from(self.pointer));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (sha256, [pointer]) = (Coded::take(bytes)?, Coded::take(bytes)?);
        Some(Self { sha256, pointer: pointer == 1 })
    }
}

/// The kinds that have a body; each is written as its place here.
const KINDS: [Kind; 3] = [Kind::Tree, Kind::Commit, Kind::Tag];

impl Coded for BodyDraft {
    fn put(&self, out: &mut Vec<u8>) {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or(KINDS.len());
        out.extend([u8::try_from(kind).unwrap_or(u8::MAX), self.codec as u8]);
        (u64::from(self.raw_len), self.bytes.len() as u64).put(out);
        out.extend_from_slice(&self.bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let [kind, codec] = Coded::take(bytes)?;
        let (kind, codec) = (*KINDS.get(usize::from(kind))?, Codec::from_byte(codec)?);
        let (raw_len, len): (u64, u64) = Coded::take(bytes)?;
        let bytes = take_some(bytes, usize::try_from(len).ok()?)?.to_vec();
        Some(Self { kind, codec, raw_len: u32::try_from(raw_len).ok()?, bytes })
    }

    fn beside(&self) -> usize {
        self.bytes.capacity()
    }
}

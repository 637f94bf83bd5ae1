//! Git LFS pointers: the small text Git stores in place of a large file's bytes.
//!
//! Exists because the Hub and Git LFS name a large file by the blob of its pointer, so that blob's id must be
//! ours too. Follows the `git-lfs` specification, version 1, in its canonical form only: what a pointer tool
//! would rewrite is content, not a pointer. It must not know which files are large, or where their bytes are.

use super::id::{ObjectId, Sha256};
use super::object::{Kind, id_of};

const VERSION: &str = "version https://git-lfs.github.com/spec/v1\n";

/// A stand-in for content stored elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// The content's SHA-256.
    pub sha256: Sha256,
    /// The content's length in bytes; at most `i64::MAX`, as in Git LFS.
    pub size: u64,
}

impl Pointer {
    /// The three canonical lines; for empty content nothing at all, because in Git LFS an empty file is its
    /// own pointer ("An empty file is the pointer for an empty file").
    pub fn encode(&self) -> String {
        if self.size == 0 {
            return String::new();
        }
        format!("{VERSION}oid sha256:{}\nsize {}\n", self.sha256, self.size)
    }

    /// Reads a pointer in canonical form. Everything else, the empty file included, is ordinary content.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (sha256, size) =
            text.strip_prefix(VERSION)?.strip_prefix("oid sha256:")?.split_once("\nsize ")?;
        let pointer = Self { sha256: sha256.parse().ok()?, size: size.strip_suffix('\n')?.parse().ok()? };
        (i64::try_from(pointer.size).is_ok() && pointer.encode() == text).then_some(pointer)
    }

    /// The id of the blob that holds this pointer.
    pub fn blob_id(&self) -> ObjectId {
        id_of(Kind::Blob, self.encode().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Pointer {
        Pointer { sha256: Sha256::from_bytes([0xab; 32]), size: 12_345 }
    }

    #[test]
    fn only_the_canonical_form_is_a_pointer() {
        let text = sample().encode();
        assert_eq!(Pointer::decode(text.as_bytes()), Some(sample()));
        let others = [
            String::new(),
            text.replace("12345", "012345"),
            text.replace("12345", "+12345"),
            text.replace("12345", "0"),
            text.replace("12345", "9223372036854775808"),
            text.replace('\n', "\r\n"),
            text.replace("ab", "AB"),
            text.replace("v1\n", "v1\next-0-x sha256:00\n"),
            text.replace("sha256", "sha1"),
            format!("{text}\n"),
            text.trim_end().to_owned(),
        ];
        for other in others {
            assert_eq!(Pointer::decode(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn an_empty_file_is_its_own_pointer() {
        let empty = Pointer { size: 0, ..sample() };
        assert_eq!(empty.blob_id().to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }

    proptest! {
        #[test]
        fn a_changed_pointer_is_another_pointer_or_none(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = sample().encode().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Some(pointer) = Pointer::decode(&bytes) {
                prop_assert_eq!(pointer.encode().into_bytes(), bytes);
            }
        }
    }
}

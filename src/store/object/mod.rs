//! Git's four kinds of object as values: bytes in, values out, and the id that names them.
//!
//! Exists so that every id the vault shows is the id Git would compute for the same content. The encodings
//! follow Git's `gitformat-pack`, `git-mktree`, `git-commit-tree` and `git-mktag` documents; a decoder accepts
//! only bytes that its encoder gives back unchanged, so reading an object and writing it again never moves its
//! id. This module must not know where objects are stored, how content is cut, or what a path may be called.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use sha1::{Digest, Sha1};
use thiserror::Error;

use super::id::ObjectId;

mod commit;
mod signature;
mod tag;
mod tree;

pub use commit::{Commit, Header, message};
pub use signature::{IdentityError, Signature, Timestamp, parse_identity};
pub use tag::Tag;
pub use tree::{Mode, Tree, TreeEntry};

/// What an object is; part of what its id is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A file's bytes, or a symlink's target.
    Blob,
    /// One folder: names, modes and ids.
    Tree,
    /// One version: a tree, its parents, who and why.
    Commit,
    /// An annotated tag: a name and a message for another object.
    Tag,
}

impl Kind {
    /// The word Git writes in an object's header: `blob`, `tree`, `commit` or `tag`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Tree => "tree",
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names none of Git's four object kinds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no kind of object: expected blob, tree, commit or tag")]
pub struct ParseKindError(String);

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(word: &str) -> Result<Self, ParseKindError> {
        [Self::Blob, Self::Tree, Self::Commit, Self::Tag]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| ParseKindError(word.chars().take(80).collect()))
    }
}

/// The id Git gives an object with this kind and this body (without header), as `git hash-object` does.
pub fn id_of(kind: Kind, body: &[u8]) -> ObjectId {
    let mut hasher = ObjectHasher::new(kind, body.len() as u64);
    hasher.update(body);
    hasher.finish()
}

/// Computes an object's id from a body that arrives in pieces.
///
/// Git hashes the length before the content, so the length (in bytes) is promised up front; check
/// [`is_complete`](Self::is_complete) before trusting the id of something that might have changed meanwhile.
#[derive(Debug, Clone)]
pub struct ObjectHasher {
    sha1: Sha1,
    promised: u64,
    fed: u64,
}

impl ObjectHasher {
    /// Starts an object of `length` body bytes.
    pub fn new(kind: Kind, length: u64) -> Self {
        let mut sha1 = Sha1::new();
        sha1.update(format!("{kind} {length}\0"));
        Self { sha1, promised: length, fed: 0 }
    }

    /// Feeds the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.sha1.update(piece);
        self.fed = self.fed.saturating_add(piece.len() as u64);
    }

    /// Whether exactly the promised number of bytes has been fed.
    pub const fn is_complete(&self) -> bool {
        self.fed == self.promised
    }

    /// The id of what was fed. Names a real object only if [`is_complete`](Self::is_complete).
    pub fn finish(self) -> ObjectId {
        ObjectId::from_bytes(self.sha1.finalize().into())
    }
}

/// Bytes that are not the encoding of the object they were read as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("malformed {kind}: {detail}")]
pub struct DecodeError {
    kind: Kind,
    detail: Cow<'static, str>,
}

impl DecodeError {
    /// `detail` completes the sentence "malformed tree: …".
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// What the bytes were read as.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong with them.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// A name out of an untrusted object, made safe to show: bounded, lossy, escaped.
fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(80)].escape_ascii().to_string()
}

/// Walks the header lines of a commit or a tag; knows the line discipline, not the headers.
struct Lines<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    const fn new(kind: Kind, bytes: &'a [u8]) -> Self {
        Self { kind, rest: bytes }
    }

    fn error(&self, detail: impl Into<Cow<'static, str>>) -> DecodeError {
        DecodeError::new(self.kind, detail)
    }

    /// Takes the next line without its newline; an error at the end, without newline, or with a NUL in it.
    fn line(&mut self) -> Result<&'a [u8], DecodeError> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| self.error("its headers end without an empty line"))?;
        let (line, rest) = self.rest.split_at(end);
        if line.contains(&0) {
            return Err(self.error("a header contains a NUL byte"));
        }
        self.rest = &rest[1..];
        Ok(line)
    }

    /// Takes the value of the next line if that line is `name value`; leaves it otherwise.
    fn optional(&mut self, name: &str) -> Result<Option<&'a [u8]>, DecodeError> {
        let matches = self.rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' '));
        if matches { Ok(Some(&self.line()?[name.len() + 1..])) } else { Ok(None) }
    }

    fn required(&mut self, name: &str) -> Result<&'a [u8], DecodeError> {
        self.optional(name)?.ok_or_else(|| self.error(format!("expected a `{name}` header")))
    }

    fn object_id(&self, hex: &[u8]) -> Result<ObjectId, DecodeError> {
        let id = std::str::from_utf8(hex).ok().and_then(|text| text.parse().ok());
        id.ok_or_else(|| self.error(format!("`{}` is not an object id", shown(hex))))
    }

    fn signature(&self, line: &[u8]) -> Result<Signature, DecodeError> {
        Signature::decode(line).ok_or_else(|| self.error(format!("`{}` names nobody", shown(line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_ones_git_gives() {
        let known = [
            (Kind::Blob, &b""[..], "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            (Kind::Blob, b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
            (Kind::Tree, b"", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
        ];
        for (kind, body, id) in known {
            assert_eq!(id_of(kind, body).to_string(), id);
        }
    }

    #[test]
    fn a_streamed_body_has_the_same_id_and_counts_its_bytes() {
        let mut hasher = ObjectHasher::new(Kind::Blob, 6);
        hasher.update(b"hel");
        assert!(!hasher.is_complete());
        hasher.update(b"lo\n");
        assert!(hasher.is_complete());
        assert_eq!(hasher.finish(), id_of(Kind::Blob, b"hello\n"));
    }

    #[test]
    fn kinds_read_back_what_they_write() {
        for kind in [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("Blob".parse::<Kind>().is_err());
    }
}

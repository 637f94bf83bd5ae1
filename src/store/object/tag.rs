//! An annotated tag as Git encodes it: `object`, `type`, `tag`, perhaps `tagger`, an empty line, the message.
//!
//! Exists so that a tag with a message is the same object Git makes with `git tag -a` (`git-mktag` gives the
//! format). Tags from before 2005 have no tagger; later inventions in the header are refused rather than lost.
//! It must not know which refs exist, nor whether the name is one that a ref may have.

use super::{DecodeError, Kind, Lines, ObjectId, Signature, id_of, shown};

/// A name and a message for another object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    /// What is tagged.
    pub target: ObjectId,
    /// What kind of object that is.
    pub target_kind: Kind,
    /// The tag's short name: not empty, without newline or NUL.
    pub name: Vec<u8>,
    /// Who tagged it and when; only the oldest tags lack it.
    pub tagger: Option<Signature>,
    /// The message with its final newline, and with a signature at its end if there is one.
    pub message: Vec<u8>,
}

impl Tag {
    /// The body of the tag object.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("object {}\ntype {}\ntag ", self.target, self.target_kind).into_bytes();
        bytes.extend_from_slice(&self.name);
        bytes.push(b'\n');
        if let Some(tagger) = &self.tagger {
            bytes.extend_from_slice(b"tagger ");
            bytes.extend_from_slice(tagger.encode());
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.message);
        bytes
    }

    /// Reads a tag object's body. Refuses what would not be written back byte for byte: missing or further
    /// headers, upper-case ids, an empty name, NUL in a header, no empty line after the headers.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut lines = Lines::new(Kind::Tag, bytes);
        let target = lines.required("object")?;
        let target = lines.object_id(target)?;
        let word = lines.required("type")?;
        let target_kind = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        let target_kind =
            target_kind.ok_or_else(|| lines.error(format!("unknown type `{}`", shown(word))))?;
        let name = lines.required("tag")?.to_vec();
        if name.is_empty() {
            return Err(lines.error("its name is empty"));
        }
        let tagger = lines.optional("tagger")?;
        let tagger = tagger.map(|line| lines.signature(line)).transpose()?;
        match lines.line()? {
            b"" => Ok(Self { target, target_kind, name, tagger, message: lines.rest.to_vec() }),
            line => Err(lines.error(format!("unknown header `{}`", shown(line)))),
        }
    }

    /// The tag's Git id.
    pub fn id(&self) -> ObjectId {
        id_of(Kind::Tag, &self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Timestamp;
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Tag {
        let time = Timestamp { seconds: 5, offset_minutes: -90 };
        Tag {
            target: ObjectId::from_bytes([1; 20]),
            target_kind: Kind::Commit,
            name: b"v1".to_vec(),
            tagger: Some(Signature::new("T", "t@x", time).unwrap()),
            message: b"Release\n".to_vec(),
        }
    }

    #[test]
    fn with_or_without_tagger_it_round_trips() {
        for tagger in [sample().tagger, None] {
            let tag = Tag { tagger, ..sample() };
            assert_eq!(Tag::decode(&tag.encode()), Ok(tag));
        }
    }

    #[test]
    fn what_would_not_be_written_back_is_refused() {
        let text = String::from_utf8(sample().encode()).unwrap();
        let cases = [
            (text.replace("type commit", "type note"), "unknown type"),
            (text.replace("tag v1", "tag "), "name is empty"),
            (text.replace("tagger T", "gpgsig x\ntagger T"), "unknown header"),
            (text.replace("object", "thing"), "`object` header"),
            (text.replace("\n\nRelease", "\nRelease"), "unknown header"),
            (text.replace("\n\nRelease\n", "\n"), "empty line"),
        ];
        for (text, expected) in cases {
            let error = Tag::decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn changed_bytes_decode_to_themselves_or_not_at_all(
            edits in prop::collection::vec((any::<prop::sample::Index>(), "[ \n\0<>a]{0,2}"), 1..4),
            noise in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = sample().encode();
            for (index, text) in edits {
                let at = index.index(bytes.len());
                bytes.splice(at..(at + 1).min(bytes.len()), text.bytes());
            }
            if let Ok(tag) = Tag::decode(&bytes) {
                prop_assert_eq!(tag.encode(), bytes);
            }
            prop_assert!(Tag::decode(&noise).is_err());
        }
    }
}

//! One version as Git encodes it: headers (`tree`, `parent`…, `author`, `committer`, others), an empty line,
//! the message. Follows `git-commit-tree`, `gitformat-signature` (continuation lines) and `pretty-formats`.
//!
//! Exists so that commit ids are Git's, for ours and for imported ones: headers this code has no use for are
//! carried along untouched. It must not know what the tree holds, nor who the user is, nor what time it is.

use super::{DecodeError, Kind, Lines, ObjectId, Signature, id_of, shown};

/// A header's name and value.
pub type Header = (Vec<u8>, Vec<u8>);

/// One version of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit {
    /// The root folder.
    pub tree: ObjectId,
    /// The versions this one follows: none, one, or several for a merge.
    pub parents: Vec<ObjectId>,
    /// Who made the change.
    pub author: Signature,
    /// Who recorded it.
    pub committer: Signature,
    /// Other headers in order (`encoding`, `gpgsig`, `mergetag`): a name without space or newline, and a
    /// value whose newlines become continuation lines. Neither may hold NUL.
    pub extra_headers: Vec<Header>,
    /// The message with its final newline, usually made by [`message`].
    pub message: Vec<u8>,
}

impl Commit {
    /// The body of the commit object.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("tree {}\n", self.tree).into_bytes();
        for parent in &self.parents {
            bytes.extend_from_slice(format!("parent {parent}\n").as_bytes());
        }
        push_header(&mut bytes, b"author", self.author.encode());
        push_header(&mut bytes, b"committer", self.committer.encode());
        for (name, value) in &self.extra_headers {
            push_header(&mut bytes, name, value);
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.message);
        bytes
    }

    /// Reads a commit object's body. Refuses what would not be written back byte for byte: headers missing
    /// or out of Git's order, upper-case ids, NUL in a header, no empty line after the headers.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut lines = Lines::new(Kind::Commit, bytes);
        let tree = lines.required("tree")?;
        let tree = lines.object_id(tree)?;
        let mut parents = Vec::new();
        while let Some(parent) = lines.optional("parent")? {
            parents.push(lines.object_id(parent)?);
        }
        let author = lines.required("author")?;
        let author = lines.signature(author)?;
        let committer = lines.required("committer")?;
        let committer = lines.signature(committer)?;
        let extra_headers = decode_extra(&mut lines)?;
        Ok(Self { tree, parents, author, committer, extra_headers, message: lines.rest.to_vec() })
    }

    /// The commit's Git id.
    pub fn id(&self) -> ObjectId {
        id_of(Kind::Commit, &self.encode())
    }

    /// The first paragraph on one line, as Git's `%s`; bytes that are not UTF-8 are replaced.
    pub fn title(&self) -> String {
        let (title, _) = split_message(&self.message);
        let lines: Vec<_> = title.iter().map(|line| String::from_utf8_lossy(line)).collect();
        lines.join(" ")
    }

    /// What follows the first paragraph, as Git's `%b`; bytes that are not UTF-8 are replaced.
    pub fn body(&self) -> String {
        let (_, body) = split_message(&self.message);
        String::from_utf8_lossy(body).into_owned()
    }
}

/// The message of a title and perhaps a description, exactly as `git commit-tree -m title -m description`
/// puts it together: each ends in one newline of its own at least, with an empty line between them.
pub fn message(title: &str, description: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in std::iter::once(title).chain(description) {
        if !bytes.is_empty() {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(part.as_bytes());
        if bytes.last().is_some_and(|&byte| byte != b'\n') {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn push_header(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    bytes.extend_from_slice(name);
    for line in value.split(|&byte| byte == b'\n') {
        bytes.push(b' ');
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
}

/// Headers up to and including the empty line.
fn decode_extra(lines: &mut Lines<'_>) -> Result<Vec<Header>, DecodeError> {
    let mut headers: Vec<Header> = Vec::new();
    loop {
        let line = lines.line()?;
        match (line.iter().position(|&byte| byte == b' '), headers.last_mut()) {
            _ if line.is_empty() => return Ok(headers),
            (Some(0), Some((_, value))) => {
                value.push(b'\n');
                value.extend_from_slice(&line[1..]);
            }
            (Some(space), _) if space > 0 => {
                headers.push((line[..space].to_vec(), line[space + 1..].to_vec()));
            }
            _ => return Err(lines.error(format!("`{}` is not a header", shown(line)))),
        }
    }
}

/// Git's `parse_commit_message`: the lines of the first paragraph, and what follows the blank lines after it.
fn split_message(message: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let end = message.iter().position(|&byte| byte == 0).unwrap_or(message.len());
    let mut rest = skip_blank(&message[..end]);
    let mut title = Vec::new();
    while let Some((line, after)) = next_line(rest) {
        rest = after;
        if line.is_empty() {
            break;
        }
        title.push(line);
    }
    (title, skip_blank(rest))
}

fn skip_blank(mut text: &[u8]) -> &[u8] {
    while let Some((b"", rest)) = next_line(text) {
        text = rest;
    }
    text
}

/// The next line without what Git calls space at its end, and the rest; `None` at the end.
fn next_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.is_empty() {
        return None;
    }
    let end = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |newline| newline + 1);
    let (line, rest) = text.split_at(end);
    let kept = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    Some((&line[..kept.map_or(0, |last| last + 1)], rest))
}

#[cfg(test)]
mod tests {
    use super::super::Timestamp;
    use super::*;
    use proptest::prelude::*;

    fn signature(name: &str) -> Signature {
        Signature::new(name, "e@x", Timestamp { seconds: 5, offset_minutes: 0 }).unwrap()
    }

    fn sample() -> Commit {
        Commit {
            tree: ObjectId::from_bytes([1; 20]),
            parents: vec![ObjectId::from_bytes([2; 20]), ObjectId::from_bytes([3; 20])],
            author: signature("A"),
            committer: signature("C"),
            extra_headers: vec![
                (b"encoding".to_vec(), b"latin1".to_vec()),
                (b"gpgsig".to_vec(), b"-----BEGIN-----\n\nx\n-----END-----\n".to_vec()),
                (b"empty".to_vec(), b"".to_vec()),
            ],
            message: message("Title", Some("Body")),
        }
    }

    #[test]
    fn headers_of_several_lines_round_trip() {
        let commit = sample();
        let bytes = commit.encode();
        assert_eq!(Commit::decode(&bytes).as_ref(), Ok(&commit));
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains("\ngpgsig -----BEGIN-----\n \n x\n -----END-----\n \nempty \n\nTitle\n\nBody\n"),
            "{text}"
        );
    }

    #[test]
    fn what_would_not_be_written_back_is_refused() {
        let text = String::from_utf8(sample().encode()).unwrap();
        let cases = [
            (text.replacen("tree ", "Tree ", 1), "`tree` header"),
            (text.replace("0101", "ZZ01"), "not an object id"),
            (text.replace("0202", "ABCD"), "not an object id"),
            (text.replace("author A <", "author A "), "names nobody"),
            (text.replace("committer", "comm"), "`committer` header"),
            (text.replace("encoding latin1", " x"), "not a header"),
            (text.replace("encoding latin1", "encoding"), "not a header"),
            (text.replace("latin1", "lat\0in1"), "NUL"),
            (text[..=text.find("\n\nTitle").unwrap()].to_owned(), "empty line"),
            (String::new(), "`tree` header"),
        ];
        for (text, expected) in cases {
            let error = Commit::decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} for {text}");
        }
    }

    #[test]
    fn title_and_body_are_gits_s_and_b() {
        let cases = [
            ("Title\n\nBody\n", "Title", "Body\n"),
            ("\n \n One \ntwo\t\n \n\n  b\n\nc", " One two", "  b\n\nc"),
            ("", "", ""),
            ("only", "only", ""),
            ("a\0b\n\nc", "a", ""),
        ];
        for (text, title, body) in cases {
            let commit = Commit { message: text.into(), ..sample() };
            assert_eq!((commit.title().as_str(), commit.body().as_str()), (title, body), "{text:?}");
        }
    }

    #[test]
    fn messages_end_in_a_newline_of_their_own() {
        assert_eq!(message("a", None), b"a\n");
        assert_eq!(message("a\n", Some("b\n\n")), b"a\n\nb\n\n");
        assert_eq!(message("", Some("b")), b"b\n");
        assert_eq!(message("a", Some("")), b"a\n\n");
        assert_eq!(message("", None), b"");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn changed_bytes_decode_to_themselves_or_not_at_all(
            edits in prop::collection::vec((any::<prop::sample::Index>(), "[ \n\0<>a]{0,2}"), 1..4),
        ) {
            let mut bytes = sample().encode();
            for (index, text) in edits {
                let at = index.index(bytes.len());
                bytes.splice(at..(at + 1).min(bytes.len()), text.bytes());
            }
            if let Ok(commit) = Commit::decode(&bytes) {
                drop((commit.title(), commit.body()));
                prop_assert_eq!(commit.encode(), bytes);
            }
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Commit::decode(&bytes).is_err());
        }
    }
}

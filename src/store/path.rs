//! Names of files inside a vault: one form for each, usable on every platform.
//!
//! Exists because a vault made on one system is opened on another: a name Windows or macOS cannot hold, or that
//! would reach outside the folder or into a `.git`, is refused where it enters, on every platform alike
//! (Windows' "Naming Files", Git's `path.c:is_ntfs_dotgit` and `utf8.c:is_hfs_dotgit`). [`RepoPath`] is made only
//! by that check. This file must not know which files exist, nor the platform it runs on.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::sorted::Coded;
use super::text::serialised_as_text;

mod component;
mod key;

pub use key::collision_key;

/// Longest path, in bytes of UTF-8.
pub const MAX_PATH_BYTES: usize = 4096;
/// Most components in one path.
pub const MAX_DEPTH: usize = 256;
/// Longest component, in bytes of UTF-8 and in units of UTF-16 alike.
pub const MAX_COMPONENT: usize = 255;

/// Why a text names no file in a vault. Every message says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// Nothing, or only `.` and slashes.
    #[error("the path is empty: name a file, like `model/weights.bin`")]
    Empty,
    /// It starts at the root of a file system.
    #[error("`{0}` is absolute: leave out the leading slash, paths start at the vault's root")]
    Absolute(String),
    /// It starts with a Windows drive.
    #[error("`{0}` starts with a drive: paths start at the vault's root")]
    Drive(String),
    /// A component is `..`.
    #[error("`{0}` contains `..`: write the path it leads to instead")]
    ParentFolder(String),
    /// Backslashes, which only Windows reads as separators.
    #[error("`{0}` contains a backslash: use `/` between folders")]
    Backslash(String),
    /// A character some platform has no room for in names.
    #[error("`{component}` contains `{}`, which Windows cannot store: rename it", .character.escape_default())]
    Character {
        /// The component it is in.
        component: String,
        /// The character.
        character: char,
    },
    /// Windows drops dots and spaces at the end.
    #[error("`{0}` ends in a dot or a space, which Windows would drop: rename it")]
    TrailingDotOrSpace(String),
    /// Names a device on Windows, with or without extension.
    #[error("`{0}` is a device on Windows, whatever its extension: rename it")]
    Device(String),
    /// `.git`, or what some file system takes for it.
    #[error("`{0}` would be taken for Git's own folder `.git`: rename it")]
    DotGit(String),
    /// A component over [`MAX_COMPONENT`].
    #[error("the name `{0}…` is over 255 bytes long: shorten it")]
    ComponentTooLong(String),
    /// A path over [`MAX_PATH_BYTES`].
    #[error("the path `{start}…` is {bytes} bytes long: use at most 4096")]
    TooLong {
        /// How it starts.
        start: String,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A path over [`MAX_DEPTH`].
    #[error("the path `{start}…` goes over 256 folders deep: flatten it")]
    TooDeep {
        /// How it starts.
        start: String,
    },
}

/// A relative path: components between single slashes, each of them a name on every platform; never empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(String);

impl RepoPath {
    /// Checks and normalises: `./a`, `a//b`, `a/./b` and `a/` become `a`, `a/b`, `a/b` and `a`.
    /// Everything else is kept as it is, case and Unicode form included, or refused.
    pub fn new(text: &str) -> Result<Self, PathError> {
        if text.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong { start: start(text), bytes: text.len() });
        }
        if text.contains('\\') {
            return Err(PathError::Backslash(text.to_owned()));
        }
        if text.starts_with('/') {
            return Err(PathError::Absolute(text.to_owned()));
        }
        if matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
            return Err(PathError::Drive(text.to_owned()));
        }
        let components: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if components.is_empty() {
            return Err(PathError::Empty);
        }
        if components.contains(&"..") {
            return Err(PathError::ParentFolder(text.to_owned()));
        }
        if components.len() > MAX_DEPTH {
            return Err(PathError::TooDeep { start: start(text) });
        }
        components.iter().try_for_each(|component| component::check(component))?;
        Ok(Self(components.join("/")))
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names from the root down; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The folder it is in; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// `other` inside this folder. Fails only when the whole is too long or too deep.
    pub fn join(&self, other: &Self) -> Result<Self, PathError> {
        Self::new(&format!("{self}/{other}"))
    }

    /// Whether this is `folder` or lies inside it, by whole components.
    pub fn starts_with(&self, folder: &Self) -> bool {
        let rest = self.0.strip_prefix(&folder.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Coded for RepoPath {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0.len() as u64).put(out);
        out.extend_from_slice(self.0.as_bytes());
    }

    /// Takes only what was a path when it was put.
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let len = usize::try_from(u64::take(bytes)?).ok()?;
        let (text, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).ok().map(Self)
    }

    fn beside(&self) -> usize {
        self.0.capacity()
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for RepoPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepoPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

serialised_as_text!(RepoPath);

fn start(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text).unwrap()
    }

    #[test]
    fn spellings_of_one_path_become_one() {
        for text in ["a/b", "./a/b", "a//b", "a/./b", "a/b/", "a/b/.", ".//a///b//"] {
            assert_eq!(path(text).as_str(), "a/b", "{text}");
        }
        for text in
            [".gitmodules", ".gitattributes", "...a", "con_", "COM10", "git~2", "a b", "é", "日本", "-x", "~"]
        {
            assert_eq!(path(text).as_str(), text);
        }
    }

    #[test]
    fn what_leads_out_of_the_vault_is_refused() {
        let cases = [
            ("", PathError::Empty),
            (".", PathError::Empty),
            ("./", PathError::Empty),
            ("..", PathError::ParentFolder("..".into())),
            ("a/../b", PathError::ParentFolder("a/../b".into())),
            ("/a", PathError::Absolute("/a".into())),
            ("//server/share", PathError::Absolute("//server/share".into())),
            ("c:/a", PathError::Drive("c:/a".into())),
            ("a\\b", PathError::Backslash("a\\b".into())),
            ("\\\\server\\share", PathError::Backslash("\\\\server\\share".into())),
        ];
        for (text, error) in cases {
            assert_eq!(RepoPath::new(text), Err(error), "{text}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let deep = |depth: usize| vec!["a"; depth].join("/");
        assert!(RepoPath::new(&deep(256)).is_ok());
        assert!(matches!(RepoPath::new(&deep(257)), Err(PathError::TooDeep { .. })));
        let long = format!("{}/{}", vec!["a".repeat(255); 15].join("/"), "b".repeat(255));
        assert_eq!(long.len(), 4095);
        assert!(RepoPath::new(&long).is_ok());
        assert!(matches!(RepoPath::new(&format!("{long}/b")), Err(PathError::TooLong { bytes: 4097, .. })));
        assert!(path(&long).join(&path("b")).is_err());
    }

    #[test]
    fn parts_of_a_path() {
        let whole = path("a/bc/d");
        assert_eq!(whole.components().collect::<Vec<_>>(), ["a", "bc", "d"]);
        assert_eq!((whole.name(), whole.parent()), ("d", Some(path("a/bc"))));
        assert_eq!((path("a").name(), path("a").parent()), ("a", None));
        assert_eq!(path("a").join(&path("bc/d")), Ok(whole.clone()));
        assert!(whole.starts_with(&path("a/bc")) && whole.starts_with(&whole));
        assert!(!whole.starts_with(&path("a/b")) && !path("a").starts_with(&whole));
    }

    #[test]
    fn json_form_is_the_text_and_is_checked() {
        assert_eq!(serde_json::from_str::<RepoPath>("\"a//b\"").unwrap(), path("a/b"));
        assert!(serde_json::from_str::<RepoPath>("\"../b\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_stable_and_safe(text in "[a./\\\\: ~\u{200c}GgIiTt1é\n]{0,12}|\\PC{0,20}") {
            if let Ok(path) = RepoPath::new(&text) {
                prop_assert_eq!(RepoPath::new(path.as_str()), Ok(path.clone()));
                for component in path.components() {
                    prop_assert!(!component.is_empty() && component != "." && component != "..");
                    prop_assert!(!component.eq_ignore_ascii_case(".git") && !component.ends_with(['.', ' ']));
                }
            }
        }
    }
}

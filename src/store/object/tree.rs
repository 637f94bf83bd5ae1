//! One folder as Git encodes it: `<mode> <name>\0<20 id bytes>`, sorted as if folder names ended in `/`.
//!
//! Exists so that a tree in memory is always one Git would accept: both doors in ([`Tree::from_entries`],
//! [`Tree::decode`]) refuse duplicate and dangerous names (`git fsck`'s `treeNotSorted`, `duplicateEntries`,
//! `fullPathname`, `hasDot*`, `zeroPaddedFilemode`). It must not know how trees nest or what names a host allows.

use std::cmp::Ordering;

use super::{DecodeError, Kind, ObjectId, id_of, shown};
use crate::store::sorted::Coded;

/// What an entry is. Git's other modes (submodules `160000`, the historical `100664`) have no place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A regular file.
    File,
    /// A regular file that may be run.
    Executable,
    /// A blob holding a symlink's target.
    Symlink,
    /// Another tree.
    Directory,
}

impl Mode {
    /// The digits Git writes in a tree, without leading zero.
    pub const fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Directory => "40000",
        }
    }

    /// The same as six digits, as Git lists them.
    pub const fn six_digits(self) -> &'static str {
        if let Self::Directory = self { "040000" } else { self.octal() }
    }

    /// Reads the digits of [`octal`](Self::octal); every other text is refused by name.
    pub fn parse(digits: &[u8]) -> Result<Self, DecodeError> {
        let known = [Self::File, Self::Executable, Self::Symlink, Self::Directory];
        if let Some(mode) = known.into_iter().find(|mode| mode.octal().as_bytes() == digits) {
            return Ok(mode);
        }
        Err(match digits {
            b"160000" => error("mode 160000 is a submodule, which a vault cannot hold"),
            [b'0', ..] => error(format!("mode `{}` has a leading zero", shown(digits))),
            _ => error(format!("mode `{}` is none of 100644, 100755, 120000, 40000", shown(digits))),
        })
    }

    /// Which kind of object an entry of this mode points to.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Directory => Kind::Tree,
            Self::File | Self::Executable | Self::Symlink => Kind::Blob,
        }
    }
}

impl Coded for Mode {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let [byte] = Coded::take(bytes)?;
        [Self::File, Self::Executable, Self::Symlink, Self::Directory]
            .into_iter()
            .find(|mode| *mode as u8 == byte)
    }
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TreeEntry {
    /// The name's raw bytes: not empty, no `/`, no NUL.
    pub name: Vec<u8>,
    /// What it is.
    pub mode: Mode,
    /// The blob or tree it stands for.
    pub id: ObjectId,
}

impl TreeEntry {
    /// Git's order of the entries of a tree: by bytes, a folder as if its name ended in `/`.
    pub fn git_cmp(&self, other: &Self) -> Ordering {
        order_names(&self.name, self.mode, &other.name, other.mode)
    }
}

/// A folder whose entries are valid, unique and in Git's order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tree {
    entries: Vec<TreeEntry>,
}

impl Tree {
    /// The tree without entries, `4b825dc…`.
    pub const fn empty() -> Self {
        Self { entries: Vec::new() }
    }

    /// Sorts entries into Git's order. Refuses a name that is empty, `.`, `..`, `.git` (any case), holds `/`
    /// or NUL, or is there twice, be it once as a file and once as a folder.
    pub fn from_entries(mut entries: Vec<TreeEntry>) -> Result<Self, DecodeError> {
        entries.sort_unstable_by(TreeEntry::git_cmp);
        Self::checked(entries)
    }

    /// Reads a tree object's body. Refuses what [`from_entries`](Self::from_entries) refuses, wrong order,
    /// foreign modes and cut-off entries.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let (entry, rest) = decode_entry(bytes)?;
            entries.push(entry);
            bytes = rest;
        }
        Self::checked(entries)
    }

    fn checked(entries: Vec<TreeEntry>) -> Result<Self, DecodeError> {
        for entry in &entries {
            check_name(&entry.name)?;
        }
        for pair in entries.windows(2) {
            match pair[0].git_cmp(&pair[1]) {
                Ordering::Less => {}
                Ordering::Equal => return Err(twice(&pair[0].name)),
                Ordering::Greater => {
                    return Err(error(format!("`{}` is out of order", shown(&pair[1].name))));
                }
            }
        }
        let tree = Self { entries };
        let mut folders = tree.entries.iter().filter(|entry| entry.mode == Mode::Directory);
        match folders.find(|folder| tree.position(&folder.name, Mode::File).is_some()) {
            Some(folder) => Err(twice(&folder.name)),
            None => Ok(tree),
        }
    }

    /// The body of the tree object.
    pub fn encode(&self) -> Vec<u8> {
        let length = self.entries.iter().map(|entry| entry.name.len() + 28).sum();
        let mut bytes = Vec::with_capacity(length);
        for entry in &self.entries {
            bytes.extend_from_slice(entry.mode.octal().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(&entry.name);
            bytes.push(0);
            bytes.extend_from_slice(entry.id.as_bytes());
        }
        bytes
    }

    /// The tree's Git id.
    pub fn id(&self) -> ObjectId {
        id_of(Kind::Tree, &self.encode())
    }

    /// Entries in Git's order.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// The entries, taken out, in Git's order.
    pub fn into_entries(self) -> Vec<TreeEntry> {
        self.entries
    }

    /// The entry with exactly this name, by binary search.
    pub fn find(&self, name: &[u8]) -> Option<&TreeEntry> {
        let position = self.position(name, Mode::File).or_else(|| self.position(name, Mode::Directory));
        position.map(|index| &self.entries[index])
    }

    /// Where `name` is, if it is there as a folder (or as a non-folder, for every other mode).
    fn position(&self, name: &[u8], mode: Mode) -> Option<usize> {
        self.entries.binary_search_by(|entry| order_names(&entry.name, entry.mode, name, mode)).ok()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn decode_entry(bytes: &[u8]) -> Result<(TreeEntry, &[u8]), DecodeError> {
    let cut_off = || error("its last entry is cut off");
    let space = bytes.iter().take(8).position(|&byte| byte == b' ');
    let space =
        space.ok_or_else(|| error(format!("no mode in `{}`", shown(&bytes[..bytes.len().min(8)]))))?;
    let mode = Mode::parse(&bytes[..space])?;
    let rest = &bytes[space + 1..];
    let nul = rest.iter().position(|&byte| byte == 0).ok_or_else(cut_off)?;
    let (id, after) = rest[nul + 1..].split_first_chunk::<{ ObjectId::LEN }>().ok_or_else(cut_off)?;
    Ok((TreeEntry { name: rest[..nul].to_vec(), mode, id: ObjectId::from_bytes(*id) }, after))
}

fn check_name(name: &[u8]) -> Result<(), DecodeError> {
    match name {
        b"" => Err(error("an entry has an empty name")),
        b"." | b".." => Err(error(format!("an entry is named `{}`", shown(name)))),
        _ if name.eq_ignore_ascii_case(b".git") => Err(error(format!("an entry is named `{}`", shown(name)))),
        _ if name.iter().any(|byte| matches!(byte, b'/' | 0)) => {
            Err(error(format!("the name `{}` holds a slash or a NUL byte", shown(name))))
        }
        _ => Ok(()),
    }
}

/// Git's `base_name_compare`: bytewise, a folder as if its name ended in `/`. A file and a folder of one name
/// differ here, which is why duplicates need a second look.
fn order_names(a: &[u8], a_mode: Mode, b: &[u8], b_mode: Mode) -> Ordering {
    let common = a.len().min(b.len());
    let next = |name: &[u8], mode| match name.get(common) {
        Some(&byte) => Some(byte),
        None if mode == Mode::Directory => Some(b'/'),
        None => None,
    };
    let tails = || next(a, a_mode).cmp(&next(b, b_mode)).then(a.len().cmp(&b.len()));
    a[..common].cmp(&b[..common]).then_with(tails)
}

fn twice(name: &[u8]) -> DecodeError {
    error(format!("`{}` is there twice", shown(name)))
}

fn error(detail: impl Into<std::borrow::Cow<'static, str>>) -> DecodeError {
    DecodeError::new(Kind::Tree, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, mode: Mode) -> TreeEntry {
        TreeEntry { name: name.into(), mode, id: ObjectId::from_bytes([7; 20]) }
    }

    fn raw(entries: &[(&str, &str)]) -> Vec<u8> {
        entries
            .iter()
            .flat_map(|(mode, name)| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &[7; 20]].concat())
            .collect()
    }

    #[test]
    fn a_folder_sorts_as_if_it_ended_in_a_slash() {
        let names =
            [("a", Mode::Directory), ("a.b", Mode::File), ("a0", Mode::File), ("a-b", Mode::Executable)];
        let tree = Tree::from_entries(names.map(|(name, mode)| entry(name, mode)).into()).unwrap();
        let sorted: Vec<_> = tree.entries().iter().map(|entry| &entry.name[..]).collect();
        assert_eq!(sorted, [&b"a-b"[..], b"a.b", b"a", b"a0"]);
        assert_eq!(Tree::decode(&tree.encode()), Ok(tree.clone()));
        for entry in tree.entries() {
            assert_eq!(tree.find(&entry.name), Some(entry));
        }
        assert_eq!(tree.find(b"a/"), None);
        assert!(Tree::empty().is_empty() && Tree::empty().find(b"a").is_none());
    }

    #[test]
    fn dangerous_and_duplicate_names_are_refused_at_both_doors() {
        for name in ["", ".", "..", "a/b", "a\0b", ".git", ".GiT"] {
            assert!(Tree::from_entries(vec![entry(name, Mode::File)]).is_err(), "{name:?}");
            assert!(Tree::decode(&raw(&[("100644", name)])).is_err(), "{name:?}");
        }
        let pairs = [
            vec![("a", Mode::File), ("a", Mode::File)],
            vec![("a", Mode::Directory), ("a.x", Mode::File), ("a", Mode::Symlink)],
        ];
        for pair in pairs {
            let entries = pair.into_iter().map(|(name, mode)| entry(name, mode)).collect();
            assert!(Tree::from_entries(entries).unwrap_err().to_string().contains("twice"));
        }
        let split = raw(&[("100644", "a"), ("100644", "a.x"), ("40000", "a")]);
        assert!(Tree::decode(&split).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn foreign_bytes_are_refused_by_name() {
        let cases = [
            (raw(&[("160000", "sub")]), "submodule"),
            (raw(&[("040000", "d")]), "leading zero"),
            (raw(&[("100664", "f")]), "none of"),
            (raw(&[("100644", "b"), ("100644", "a")]), "out of order"),
            (raw(&[("100644", "a")])[..20].to_vec(), "cut off"),
            ([raw(&[("100644", "a")]), b"1".to_vec()].concat(), "no mode"),
            (b"100644".to_vec(), "no mode"),
            (b"100644 a".to_vec(), "cut off"),
        ];
        for (bytes, expected) in cases {
            let error = Tree::decode(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn any_bytes_decode_to_themselves_or_not_at_all(
            names in prop::collection::vec("[ab./]{0,3}", 0..5),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut bytes = raw(&names.iter().map(|name| ("100644", &name[..])).collect::<Vec<_>>());
            for (index, byte) in flips {
                if !bytes.is_empty() {
                    let at = index.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            if let Ok(tree) = Tree::decode(&bytes) {
                prop_assert_eq!(tree.encode(), bytes);
            }
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(tree) = Tree::decode(&bytes) {
                prop_assert_eq!(tree.encode(), bytes);
            }
        }
    }
}

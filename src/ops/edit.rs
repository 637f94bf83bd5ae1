//! Editing a tree: folders are loaded when something in them changes, and only those are written again.
//!
//! Whatever is added must be tellable apart from its neighbours on every platform: two names of one folder may
//! not differ only by case or by Unicode form, at any depth. Works on Git trees in memory; does no I/O of its
//! own and knows nothing of commits or branches.

use std::collections::{BTreeMap, HashMap};

use super::error::OpsError;
use super::walked::unreadable;
use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::Kind;
use crate::store::object::{Mode, Tree, TreeEntry};
use crate::store::path::{MAX_DEPTH, PathError, RepoPath, collision_key};
use crate::store::sorted::Sorted;
use crate::store::transaction::Transaction;

/// A tree being edited.
#[derive(Debug)]
pub struct TreeEditor {
    root: Folder,
}

/// Something in a folder: as stored, or a folder that was opened for editing.
#[derive(Debug, Clone)]
enum Node {
    Stored(Mode, ObjectId),
    Open(Box<Folder>),
}

#[derive(Debug, Clone, Default)]
struct Folder {
    entries: BTreeMap<Vec<u8>, Node>,
    /// How many entries there are of each collision key, by its hash; built when the first new name comes.
    keys: Option<HashMap<u64, u32>>,
}

/// Part of a tree, to be put somewhere else.
#[derive(Debug, Clone)]
pub struct Subtree(Node);

impl Subtree {
    /// A file or folder that is stored.
    pub fn stored(mode: Mode, id: ObjectId) -> Self {
        Self(Node::Stored(mode, id))
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.0, Node::Open(_) | Node::Stored(Mode::Directory, _))
    }
}

/// The folder a path is in; the root is empty.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The outermost folder above or at `last` that is neither above nor at `next`.
fn left<'l>(last: &'l str, next: &str) -> Option<&'l str> {
    let ends = last.match_indices('/').map(|(at, _)| at).chain((!last.is_empty()).then_some(last.len()));
    let is_above =
        |folder: &str| next.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ends.map(|end| &last[..end]).find(|folder| !is_above(folder))
}

/// A hash of what a name is to systems that cannot tell some names apart.
fn hash_of_key(name: &[u8]) -> u64 {
    let hash = blake3::hash(collision_key(&String::from_utf8_lossy(name)).as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("BLAKE3 is 32 bytes"))
}

impl Folder {
    fn load(catalog: &Catalog, id: ObjectId) -> Result<Self, StoreError> {
        let entries = catalog
            .tree(id)?
            .entries()
            .iter()
            .map(|e| (e.name.clone(), Node::Stored(e.mode, e.id)))
            .collect();
        Ok(Self { entries, keys: None })
    }

    /// Checks that a name that is new here can be told apart from the others everywhere.
    fn claim(&mut self, name: &str, path: &RepoPath) -> Result<(), OpsError> {
        let keys = self.keys.get_or_insert_with(|| {
            let mut keys = HashMap::new();
            self.entries.keys().for_each(|name| *keys.entry(hash_of_key(name)).or_default() += 1);
            keys
        });
        let count = keys.entry(hash_of_key(name.as_bytes())).or_default();
        *count += 1;
        if *count == 1 {
            return Ok(());
        }
        // Two keys may have one hash: the names decide.
        let key = collision_key(name);
        let is_other = |other: &&Vec<u8>| collision_key(&String::from_utf8_lossy(other)) == key;
        match self.entries.keys().find(is_other) {
            Some(other) => Err(OpsError::PathConflict {
                path: path.to_string(),
                detail: format!(
                    "`{}` is in the same folder, and some systems cannot tell the two names apart; rename one",
                    String::from_utf8_lossy(other)
                ),
            }),
            None => Ok(()),
        }
    }

    /// Takes an entry away; answers whether it was there.
    fn remove(&mut self, name: &str) -> bool {
        let found = self.entries.remove(name.as_bytes()).is_some();
        if let Some(count) =
            self.keys.as_mut().filter(|_| found).and_then(|keys| keys.get_mut(&hash_of_key(name.as_bytes())))
        {
            *count = count.saturating_sub(1);
        }
        found
    }

    fn open(&mut self, catalog: &Catalog, name: &str) -> Result<Option<&mut Self>, StoreError> {
        let Some(node) = self.entries.get_mut(name.as_bytes()) else { return Ok(None) };
        if let Node::Stored(Mode::Directory, id) = *node {
            *node = Node::Open(Box::new(Self::load(catalog, id)?));
        }
        Ok(match node {
            Node::Open(folder) => Some(folder),
            Node::Stored(..) => None,
        })
    }

    fn store(&self, transaction: &mut Transaction<'_>) -> Result<ObjectId, StoreError> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for (name, node) in &self.entries {
            let (mode, id) = match node {
                Node::Stored(mode, id) => (*mode, *id),
                Node::Open(folder) => (Mode::Directory, folder.store(transaction)?),
            };
            entries.push(TreeEntry { name: name.clone(), mode, id });
        }
        let tree = Tree::from_entries(entries).expect("names were checked when they were added");
        transaction.add_object(Kind::Tree, &tree.encode())
    }
}

impl TreeEditor {
    /// Starts from the tree `id`.
    pub fn new(catalog: &Catalog, id: ObjectId) -> Result<Self, StoreError> {
        Ok(Self { root: Folder::load(catalog, id)? })
    }

    /// Puts files (and symlinks) at their paths, replacing files that are there. Folders that were left on the way and
    /// that `is_done` says of that nothing else will be done to them go to the transaction at once.
    ///
    /// # Errors
    /// [`OpsError::PathConflict`] when a folder is there, a file is where a folder is needed, or a name cannot
    /// be told apart from a neighbour.
    pub fn put_files(
        &mut self,
        catalog: &Catalog,
        files: &Sorted<RepoPath, (Mode, ObjectId)>,
        transaction: &mut Transaction<'_>,
        is_done: &dyn Fn(&str) -> bool,
    ) -> Result<(), OpsError> {
        let mut last = String::new();
        for file in files.in_order().map_err(unreadable)? {
            let (path, file) = file.map_err(unreadable)?;
            let folder = folder_of(path.as_str());
            if folder != last {
                if let Some(left) = left(&last, folder).filter(|left| is_done(left)) {
                    self.seal(left, transaction)?;
                }
                folder.clone_into(&mut last);
            }
            let (mode, id) = *file;
            self.put(catalog, &path, Node::Stored(mode, id))?;
        }
        Ok(())
    }

    /// Stores a folder that was opened, and holds it no longer.
    fn seal(&mut self, path: &str, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut at = &mut self.root;
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        for name in above.split('/').filter(|name| !name.is_empty()) {
            let Some(Node::Open(folder)) = at.entries.get_mut(name.as_bytes()) else { return Ok(()) };
            at = folder;
        }
        if let Some(node) = at.entries.get_mut(name.as_bytes())
            && let Node::Open(folder) = node
        {
            *node = Node::Stored(Mode::Directory, folder.store(transaction)?);
        }
        Ok(())
    }

    /// Puts what [`TreeEditor::get`] answered at `path`.
    pub fn put_subtree(
        &mut self,
        catalog: &Catalog,
        path: &RepoPath,
        subtree: Subtree,
    ) -> Result<(), OpsError> {
        self.put(catalog, path, subtree.0)
    }

    fn put(&mut self, catalog: &Catalog, path: &RepoPath, node: Node) -> Result<(), OpsError> {
        let mut at = &mut self.root;
        let mut names = path.components().peekable();
        while let Some(name) = names.next() {
            if !at.entries.contains_key(name.as_bytes()) {
                at.claim(name, path)?;
            }
            if names.peek().is_none() {
                return at.place(name, path, node);
            }
            at.entries.entry(name.as_bytes().to_vec()).or_insert_with(|| Node::Open(Box::default()));
            at = at.open(catalog, name)?.ok_or_else(|| OpsError::PathConflict {
                path: path.to_string(),
                detail: format!(
                    "`{name}` is a file, and a folder is needed there; delete it in the same commit"
                ),
            })?;
        }
        Ok(())
    }

    /// What is at `path`: a file, a symlink or a whole folder.
    pub fn get(&mut self, catalog: &Catalog, path: &RepoPath) -> Result<Option<Subtree>, StoreError> {
        let Some((at, name)) = self.parent_of(catalog, path)? else { return Ok(None) };
        Ok(at.entries.get(name.as_bytes()).cloned().map(Subtree))
    }

    /// Removes what is at `path`, and folders that are empty then. `false` when nothing is there.
    pub fn delete(&mut self, catalog: &Catalog, path: &RepoPath) -> Result<bool, StoreError> {
        let Some((at, name)) = self.parent_of(catalog, path)? else { return Ok(false) };
        let found = at.remove(name);
        let left_empty = at.entries.is_empty();
        if left_empty && let Some(parent) = path.parent() {
            self.delete(catalog, &parent)?;
        }
        Ok(found)
    }

    /// Paths of the files below `folder` (`None`: all) that `takes` answers `true` for, asked with the path in that
    /// folder.
    pub fn files(
        &mut self,
        catalog: &Catalog,
        folder: Option<&RepoPath>,
        takes: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<RepoPath>, OpsError> {
        let top = match folder {
            None => Node::Open(Box::new(self.root.clone())),
            Some(path) => match self.get(catalog, path)? {
                Some(found) => found.0,
                None => return Ok(Vec::new()),
            },
        };
        let prefix = folder.map_or_else(String::new, |folder| format!("{folder}/"));
        let mut found = Vec::new();
        let mut pending = vec![(String::new(), top, 0)];
        while let Some((path, node, depth)) = pending.pop() {
            let folder = match node {
                Node::Stored(Mode::Directory, _) | Node::Open(_) if depth > MAX_DEPTH => {
                    return Err(PathError::TooDeep { start: path.chars().take(40).collect() }.into());
                }
                Node::Stored(Mode::Directory, id) => Folder::load(catalog, id)?,
                Node::Open(folder) => *folder,
                Node::Stored(..) => {
                    if takes(&path) {
                        found.push(RepoPath::new(&format!("{prefix}{path}"))?);
                    }
                    continue;
                }
            };
            let inside = if path.is_empty() { path } else { path + "/" };
            pending.extend(folder.entries.into_iter().map(|(name, node)| {
                (format!("{inside}{}", String::from_utf8_lossy(&name)), node, depth + 1)
            }));
        }
        Ok(found)
    }

    fn parent_of<'a, 'p>(
        &'a mut self,
        catalog: &Catalog,
        path: &'p RepoPath,
    ) -> Result<Option<(&'a mut Folder, &'p str)>, StoreError> {
        let mut at = &mut self.root;
        let mut names = path.components().peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return Ok(Some((at, name)));
            }
            match at.open(catalog, name)? {
                Some(folder) => at = folder,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Adds every changed tree to the transaction; answers the root's id.
    pub fn store(&self, transaction: &mut Transaction<'_>) -> Result<ObjectId, StoreError> {
        self.root.store(transaction)
    }
}

impl Folder {
    fn place(&mut self, name: &str, path: &RepoPath, node: Node) -> Result<(), OpsError> {
        let is_folder = |node: &Node| matches!(node, Node::Open(_) | Node::Stored(Mode::Directory, _));
        if let Some(old) = self.entries.get(name.as_bytes())
            && is_folder(old) != is_folder(&node)
        {
            let (old, new) = if is_folder(old) { ("folder", "file") } else { ("file", "folder") };
            return Err(OpsError::PathConflict {
                path: path.to_string(),
                detail: format!(
                    "a {old} is there and a {new} would replace it; delete it in the same commit"
                ),
            });
        }
        self.entries.insert(name.as_bytes().to_vec(), node);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::Repository;
    use crate::ops::{
        Actor, AddSource, CommitOperation, CommitOptions, InitOptions, RepoPath, Signature, Timestamp,
    };
    use crate::store::media::memory::MemoryMedia;

    /// `+name` adds a file, `-name` removes it, in one commit; answers what stands in the way.
    fn commit(repository: &Repository, step: u8, words: &[&str]) -> Result<(), String> {
        let operation = |word: &&str| {
            let path_in_repo = RepoPath::new(&word[1..]).unwrap();
            if word.starts_with('-') {
                return CommitOperation::Delete { path_in_repo };
            }
            let source = AddSource::Bytes(vec![step]);
            CommitOperation::Add { path_in_repo: Some(path_in_repo), source }
        };
        let operations: Vec<_> = words.iter().map(operation).collect();
        let signature = Signature::new("A", "a@x", Timestamp { seconds: 1, offset_minutes: 0 }).unwrap();
        let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
        let actor = Actor { signature, nonce: [step; 16] };
        let done = repository.create_commit(&operations, &options, &actor, &mut |_| ());
        done.map(drop).map_err(|error| error.code().to_owned())
    }

    #[test]
    fn names_that_some_systems_cannot_tell_apart_are_refused_while_both_are_there() {
        let signature = Signature::new("A", "a@x", Timestamp { seconds: 1, offset_minutes: 0 }).unwrap();
        let actor = Actor { signature, nonce: [0; 16] };
        let (repository, _) =
            Repository::init_on(Arc::new(MemoryMedia::new()), &InitOptions::default(), &actor).unwrap();
        let steps: [(&[&str], bool); 9] = [
            (&["+a", "+b/c", "+B2"], true),
            (&["+A"], false),
            (&["+x", "+X"], false),
            (&["-a", "+A", "+c"], true),
            (&["+a"], false),
            (&["+n", "-n", "+N", "-N", "+n"], true),
            (&["+k", "-k", "+K", "+k"], false),
            (&["+B/c"], false),
            (&["-b/c", "+B/c"], true),
        ];
        for (step, (words, fine)) in (1..).zip(steps) {
            let done = commit(&repository, step, words);
            assert_eq!(done.is_ok(), fine, "{words:?}: {done:?}");
            assert!(fine || done == Err("path-conflict".to_owned()), "{words:?}: {done:?}");
        }
    }
}

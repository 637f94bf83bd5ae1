//! Views answering the port.

use std::fs::File;
use std::sync::Arc;

use hubvault_platform::port::{
    Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit, VolumeInfo,
};

use super::super::content::{BLOCK_SIZE, NAME_MAX};
use super::{
    Content, Folder, Item, Listing, NOTE, Node, Other, Place, Position, TreeEntry, Views, Within, kind_of,
};

impl Views {
    /// Passes the entries of a folder of a revision from `first` on; `next` is where to go on behind the n-th.
    fn visit_tree(
        &self,
        (parent, folder): (u64, &Other),
        within: &Within,
        first: usize,
        next: &dyn Fn(usize) -> Option<u64>,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) {
        for (index, entry) in within.listed.tree.entries().iter().enumerate().skip(first) {
            let Some(next) = next(index) else { break };
            let key = folder.path.child(&entry.name).inside(within.revision.id, entry);
            let number = self.table.number(key);
            let shown = DirEntry {
                name: &entry.name,
                node: NodeId(number),
                kind: kind_of(entry.mode),
                next,
                attributes: &|| within.describe(number, index, entry),
            };
            match visit(shown) {
                Visit::Listed => {}
                Visit::LookedUp => drop(self.look_up(parent, key, within.node(folder, entry))),
                Visit::Full => break,
            }
        }
    }

    fn visit_items(
        &self,
        (parent, folder): (u64, &Other),
        items: &[(String, Item)],
        at: Position,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) {
        for (index, (name, item)) in items.iter().enumerate().skip(at.read as usize) {
            let Some(next) = at.offset_behind(index) else { break };
            let (key, node) = self.item(folder, name.as_bytes(), item);
            let number = self.table.number(key);
            let kind = match item {
                Item::Folder(..) | Item::Revision(..) => NodeKind::Directory,
                Item::Note => NodeKind::File,
                Item::Link(_) => NodeKind::Symlink,
            };
            let attributes = || self.describe(number, &node);
            let shown =
                DirEntry { name: name.as_bytes(), node: NodeId(number), kind, next, attributes: &attributes };
            match visit(shown) {
                Visit::Listed => {}
                Visit::LookedUp => drop(self.look_up(parent, key, node)),
                Visit::Full => break,
            }
        }
    }

    /// Asks a commit about what it has at a node; what we make up has no attributes.
    fn tags<T: Default>(
        &self,
        node: NodeId,
        ask: impl FnOnce(&Content, &TreeEntry) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let node = self.node(node)?;
        let other = match &node {
            Node::Leaf(leaf) => return ask(&*self.content_of(&node)?, &leaf.entry()),
            Node::Other(other) => other,
        };
        match &other.place {
            Place::Revision(_) | Place::Folder(Folder::Branch(_)) => {
                let content = self.content_of(&node)?;
                ask(&content, content.root())
            }
            Place::Inside(inside) => ask(&*self.content_of(&node)?, &inside.entry),
            Place::Folder(_) | Place::Note | Place::Link(_) => Ok(T::default()),
        }
    }

    /// Lists a folder that moves.
    fn read_moving(
        &self,
        number: u64,
        folder: &Other,
        made: &Folder,
        offset: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) -> Result<(), PortError> {
        let (at, listing) = self.listing(number, made, offset)?;
        match &*listing {
            Listing::Items(items) => self.visit_items((number, folder), items, at, visit),
            Listing::Tree(revision, listed) => {
                let content = self.revisions.content(revision).ok();
                let path = self.revisions.below().as_bytes().to_vec();
                let within =
                    Within { revision: Arc::clone(revision), content, path, listed: Arc::clone(listed) };
                let next = |index| at.offset_behind(index);
                self.visit_tree((number, folder), &within, at.read as usize, &next, visit);
            }
        }
        if at.read as usize >= listing.len() {
            drop(listing);
            let now = self.refs().map_or(at.moment, |refs| Position::start(refs.number).moment);
            self.listings.done(number, at.moment, now);
        }
        Ok(())
    }
}

impl ReadOnlyTree for Views {
    fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Attributes, PortError> {
        let (key, node) = self.child(&*self.folder(parent)?, name)?;
        let attributes = self.describe(0, &node)?;
        let number = self.look_up(parent.0, key, node);
        Ok(Attributes { node: NodeId(number), ..attributes })
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, PortError> {
        self.describe(node.0, &self.node(node)?)
    }

    fn forget(&self, node: NodeId, lookups: u64) {
        self.table.forget(node.0, lookups);
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, PortError> {
        self.table.get(node.0).map(|(parent, _)| NodeId(parent)).ok_or(PortError::NotFound)
    }

    fn is_settled(&self, node: NodeId) -> bool {
        self.node(node).is_ok_and(|node| node.is_settled())
    }

    fn is_moving(&self, folder: NodeId) -> bool {
        self.folder(folder).is_ok_and(|folder| matches!(folder.place, Place::Folder(_)))
    }

    fn moves(&self) -> bool {
        self.is_moving(NodeId::ROOT)
    }

    fn read_dir(
        &self,
        node: NodeId,
        offset: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) -> Result<(), PortError> {
        let folder = self.folder(node)?;
        if let Place::Folder(made) = &folder.place {
            return self.read_moving(node.0, &folder, made, offset, visit);
        }
        let within = self.inside(&folder)?;
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        let next = |index| u64::try_from(index).ok()?.checked_add(1);
        self.visit_tree((node.0, &folder), &within, first, &next, visit);
        Ok(())
    }

    fn open(&self, node: NodeId) -> Result<FileHandle, PortError> {
        let other = match self.node(node)? {
            Node::Leaf(leaf) => {
                let content = self.revisions.content(&leaf.revision)?;
                return Ok(self.files.add(content.open(&leaf.entry())?, node.0, Some(content)));
            }
            Node::Other(other) => other,
        };
        match &other.place {
            Place::Note => Ok(self.files.add_text(NOTE)),
            Place::Link(_) => Err(PortError::InvalidInput),
            Place::Folder(_) | Place::Revision(_) | Place::Inside(_) => Err(PortError::IsADirectory),
        }
    }

    fn read(&self, handle: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.files.read(handle, offset, buffer, |node| self.name_of(node))
    }

    fn close(&self, handle: FileHandle) {
        self.files.close(handle);
    }

    fn backing(&self, handle: FileHandle) -> Option<Arc<File>> {
        self.files.backing(handle)
    }

    fn has_backings(&self) -> bool {
        // A vault may be given its first large file while it is shown.
        self.moves() || self.revisions.versions().may_hold_whole_files()
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, PortError> {
        match self.node(node)? {
            Node::Leaf(leaf) => self.revisions.content(&leaf.revision)?.read_link(&leaf.entry()),
            Node::Other(other) => match &other.place {
                Place::Link(target) => Ok(target.clone()),
                _ => Err(PortError::InvalidInput),
            },
        }
    }

    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        self.tags(node, |content, entry| content.xattr(entry, name))
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, PortError> {
        self.tags(node, Content::list_xattrs)
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let cached = ("cache_bytes", self.revisions.versions().cached_bytes().to_string());
        let commit = self.shown_commit().map(|id| ("commit", id.to_string()));
        let follows = self.followed.is_some().then(|| ("follow", "1".to_owned()));
        self.files.figures().into_iter().chain([cached]).chain(commit).chain(follows).collect()
    }

    fn volume(&self) -> VolumeInfo {
        let unknown = VolumeInfo {
            total_bytes: 0,
            free_bytes: 0,
            files: 0,
            name_max: NAME_MAX,
            block_size: BLOCK_SIZE,
        };
        let content = self.node(NodeId::ROOT).and_then(|root| self.content_of(&root));
        content.map_or(unknown, |content| content.volume())
    }
}

//! Views answering the port.

use std::fs::File;
use std::sync::Arc;

use hubvault_platform::port::{
    Attributes, DirEntry, FileHandle, NodeId, NodeKind, PortError, ReadOnlyTree, Visit, VolumeInfo,
};

use super::super::content::{BLOCK_SIZE, NAME_MAX};
use super::{
    Content, Folder, Item, Listing, NOTE, Node, Place, Position, Revision, Tree, TreeEntry, Views, kind_of,
};

/// A folder of a revision and where it is: what `read_dir` goes through.
struct Folded<'a> {
    number: u64,
    folder: &'a Node,
    revision: &'a Arc<Revision>,
    path: &'a [u8],
    tree: &'a Tree,
}

impl Views {
    /// Passes the entries of a folder of a revision from `first` on; `next` is where to go on behind the n-th.
    fn visit_tree(
        &self,
        at: &Folded<'_>,
        first: usize,
        next: &dyn Fn(usize) -> Option<u64>,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) {
        for (index, entry) in at.tree.entries().iter().enumerate().skip(first) {
            let Some(next) = next(index) else { break };
            let identity = at.folder.path.child(&entry.name).inside(at.revision.id, entry);
            let number = self.table.number(identity);
            let node = || self.entry((at.number, at.folder), (at.revision, at.path, at.tree), entry);
            let shown = DirEntry {
                name: &entry.name,
                node: NodeId(number),
                kind: kind_of(entry.mode),
                next,
                attributes: &|| self.describe(number, &node()?),
            };
            match visit(shown) {
                Visit::Listed => {}
                Visit::LookedUp => {
                    // What cannot be had is not known, and answers so when it is asked for.
                    if let Ok(node) = node() {
                        self.look_up(identity, node);
                    }
                }
                Visit::Full => break,
            }
        }
    }

    fn visit_items(
        &self,
        (number, folder): (u64, &Node),
        items: &[(String, Item)],
        at: Position,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) {
        for (index, (name, item)) in items.iter().enumerate().skip(at.read as usize) {
            let Some(next) = at.offset_behind(index) else { break };
            let (identity, node) = self.item((number, folder), name.as_bytes(), item);
            let number = self.table.number(identity);
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
                Visit::LookedUp => drop(self.look_up(identity, node)),
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
        match &node.place {
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
        folder: &Node,
        made: &Folder,
        offset: u64,
        visit: &mut dyn FnMut(DirEntry<'_>) -> Visit,
    ) -> Result<(), PortError> {
        let (at, listing) = self.listing(number, made, offset)?;
        match &*listing {
            Listing::Items(items) => self.visit_items((number, folder), items, at, visit),
            Listing::Tree(revision, tree) => {
                let path = self.revisions.below().as_bytes();
                let folded = Folded { number, folder, revision, path, tree };
                self.visit_tree(&folded, at.read as usize, &|index| at.offset_behind(index), visit);
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
        let folder = self.node(parent)?;
        let (identity, node) = self.child(parent.0, &folder, name)?;
        let attributes = self.describe(0, &node)?;
        let number = self.look_up(identity, node);
        Ok(Attributes { node: NodeId(number), ..attributes })
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, PortError> {
        self.describe(node.0, &*self.node(node)?)
    }

    fn forget(&self, node: NodeId, lookups: u64) {
        self.table.forget(node.0, lookups);
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, PortError> {
        Ok(NodeId(self.node(node)?.parent))
    }

    fn is_settled(&self, node: NodeId) -> bool {
        self.node(node).is_ok_and(|node| node.settled)
    }

    fn is_moving(&self, folder: NodeId) -> bool {
        self.node(folder).is_ok_and(|node| matches!(node.place, Place::Folder(_)))
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
        let folder = self.node(node)?;
        if let Place::Folder(made) = &folder.place {
            return self.read_moving(node.0, &folder, made, offset, visit);
        }
        let (revision, path, tree) = self.inside(&folder)?;
        let folded =
            Folded { number: node.0, folder: &folder, revision: &revision, path: &path, tree: &tree };
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        self.visit_tree(&folded, first, &|index| u64::try_from(index).ok()?.checked_add(1), visit);
        Ok(())
    }

    fn open(&self, node: NodeId) -> Result<FileHandle, PortError> {
        match &self.node(node)?.place {
            Place::Inside(inside) => {
                let content = self.revisions.content(&inside.revision)?;
                Ok(self.files.add(content.open(&inside.entry)?, Some(content)))
            }
            Place::Note => Ok(self.files.add_text(NOTE)),
            Place::Link(_) => Err(PortError::InvalidInput),
            Place::Folder(_) | Place::Revision(_) => Err(PortError::IsADirectory),
        }
    }

    fn read(&self, handle: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.files.read(handle, offset, buffer)
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
        match &self.node(node)?.place {
            Place::Link(target) => Ok(target.clone()),
            Place::Inside(inside) => self.revisions.content(&inside.revision)?.read_link(&inside.entry),
            Place::Folder(_) | Place::Revision(_) | Place::Note => Err(PortError::InvalidInput),
        }
    }

    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Option<Vec<u8>>, PortError> {
        self.tags(node, |content, entry| content.xattr(entry, name))
    }

    fn list_xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, PortError> {
        self.tags(node, Content::list_xattrs)
    }

    fn figures(&self) -> Vec<(&'static str, u64)> {
        let cached = ("cache_bytes", self.revisions.versions().cached_bytes() as u64);
        self.files.figures().into_iter().chain([cached]).collect()
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

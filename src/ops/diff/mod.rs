//! `diff`: what changed between two revisions, file by file.
//!
//! [`Comparison`] lists the changes (renames found) and looks into one file at a time: lines of text, tensors of
//! safetensors, sizes of everything else. Memory is bounded by [`MAX_TEXT`] and the number of changed paths, never by the
//! size of a file. Nothing here knows a screen; [`patch`] writes the text that `git diff` writes.

mod changes;
pub mod models;
mod myers;
pub mod patch;
pub mod quote;
mod slide;
pub mod tensors;
pub mod text;

use serde::Serialize;

pub use tensors::{TensorChange, TensorDiff};
pub use text::TextDiff;

pub use crate::snapshot::rename::{ChangeKind, FileAt, FileChange};

use super::Repository;
use super::error::OpsError;
use crate::snapshot::compare::shared_bytes;
use crate::snapshot::resolve::split_path;
use crate::snapshot::tree_diff::Leaf;
use crate::snapshot::{FileReader, Mode, ObjectId, Sha256, Snapshot, SnapshotError, TreeEntry};
use crate::store::path::RepoPath;

/// Files of more bytes than this are not compared line by line.
pub const MAX_TEXT: u64 = 8 << 20;
/// Nor are files of more lines: each takes some thirty bytes while it is compared, however short it is.
pub const MAX_LINES: usize = 1 << 20;

/// What to compare and how closely.
#[derive(Debug, Clone)]
pub struct DiffOptions {
    /// Only these files and what is in these folders; empty: everything.
    pub paths: Vec<RepoPath>,
    /// Whether to look for files that were moved.
    pub renames: bool,
    /// How many hundredths of a moved file must be as they were.
    pub similarity: u8,
    /// Whether to read changed tensors and say by how much they changed.
    pub tensor_stats: bool,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { paths: Vec::new(), renames: true, similarity: 50, tensor_stats: false }
    }
}

/// Two revisions side by side.
#[derive(Debug)]
pub struct Comparison {
    /// Nothing at all: what a first commit is compared with.
    old: Option<Snapshot>,
    new: Snapshot,
    options: DiffOptions,
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileVersion {
    /// Path from the root.
    pub path: String,
    /// What it is.
    #[serde(skip)]
    pub mode: Mode,
    /// Git id of the blob; for large files of the LFS pointer.
    pub oid: ObjectId,
    /// Length of the content in bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Whether it is an LFS pointer in Git.
    pub lfs: bool,
}

/// What is known of how a file's content changed.
#[derive(Debug, Clone)]
pub enum Content {
    /// It did not: only its name or mode.
    Same,
    /// Lines of text.
    Text(TextDiff),
    /// Tensors of a safetensors file.
    Tensors(TensorDiff),
    /// Neither: binary, large, or too long to be compared line by line.
    Opaque {
        /// How many bytes of the new version are stored chunks of the old one; `None` when that was not looked at.
        shared: Option<u64>,
    },
}

/// One file that differs.
#[derive(Debug, Clone)]
pub struct FileDiff {
    /// What happened to it.
    pub kind: ChangeKind,
    /// What was there.
    pub old: Option<FileVersion>,
    /// What is there.
    pub new: Option<FileVersion>,
    /// How the content changed.
    pub content: Content,
    /// For a file that became a symlink, or the other way round: its end and its beginning, as a patch shows it.
    pub halves: Option<Box<[FileDiff; 2]>>,
}

impl Repository {
    /// Compares two revisions; `old` is `None` for "nothing at all".
    pub fn compare(
        &self,
        old: Option<&str>,
        new: &str,
        options: DiffOptions,
    ) -> Result<Comparison, OpsError> {
        let old = old.map(|revision| self.snapshot(Some(revision))).transpose()?;
        Ok(Comparison { old, new: self.snapshot(Some(new))?, options })
    }

    /// Compares two files of any two revisions, each named `REV:PATH` (`:PATH` in the default branch). `None` for files that
    /// are the same.
    ///
    /// # Errors
    /// [`SnapshotError::IsADirectory`] for a folder; when a revision or a path is not there.
    pub fn compare_files(
        &self,
        old: &str,
        new: &str,
        options: DiffOptions,
    ) -> Result<(Comparison, Option<FileChange>), OpsError> {
        let side = |target: &str| -> Result<(Snapshot, FileAt), OpsError> {
            let (revision, path) = split_path(target);
            let snapshot = self.snapshot(Some(revision).filter(|revision| !revision.is_empty()))?;
            let path = path.unwrap_or_default().trim_matches('/');
            let entry = snapshot.entry(path)?;
            if entry.mode == Mode::Directory {
                let revision = snapshot.revision().to_owned();
                return Err(SnapshotError::IsADirectory { path: path.to_owned(), revision }.into());
            }
            let leaf = Leaf { mode: entry.mode, id: entry.id };
            Ok((snapshot, FileAt { path: path.as_bytes().to_vec(), leaf }))
        };
        let ((old, old_file), (new, new_file)) = (side(old)?, side(new)?);
        let change = FileChange::between(old_file, new_file);
        Ok((Comparison { old: Some(old), new, options }, change))
    }

    /// Compares a commit with its first parent, or with nothing at all when it has none.
    pub fn compare_to_parent(&self, id: ObjectId, options: DiffOptions) -> Result<Comparison, OpsError> {
        let new = self.snapshot(Some(&id.to_string()))?;
        let old = new.commit().parents.first().map(|parent| self.snapshot(Some(&parent.to_string())));
        Ok(Comparison { old: old.transpose()?, new, options })
    }
}

impl Comparison {
    /// The revision that is compared with, and the one that is compared.
    pub fn revisions(&self) -> (Option<&Snapshot>, &Snapshot) {
        (self.old.as_ref(), &self.new)
    }

    /// Looks into one of the [`changes`](Self::changes).
    pub fn file(&self, change: &FileChange) -> Result<FileDiff, OpsError> {
        let side = |snapshot: Option<&Snapshot>, side: &Option<FileAt>| -> Result<_, OpsError> {
            let (Some(snapshot), Some(side)) = (snapshot, side) else { return Ok(None) };
            let entry = TreeEntry { name: Vec::new(), mode: side.leaf.mode, id: side.leaf.id };
            let info = snapshot.info(&entry)?;
            let version = FileVersion {
                path: side.path(),
                mode: side.leaf.mode,
                oid: side.leaf.id,
                size: info.size,
                sha256: info.sha256,
                lfs: info.pointer_size.is_some(),
            };
            let reader = snapshot.open_file(&entry, &version.path)?;
            Ok(Some((version, reader)))
        };
        let old = side(self.old.as_ref(), &change.old)?;
        let new = side(Some(&self.new), &change.new)?;
        let content = self.content(old.as_ref(), new.as_ref())?;
        let halves = if change.kind == ChangeKind::TypeChanged {
            let end = FileChange { kind: ChangeKind::Deleted, old: change.old.clone(), new: None };
            let beginning = FileChange { kind: ChangeKind::Added, old: None, new: change.new.clone() };
            Some(Box::new([self.file(&end)?, self.file(&beginning)?]))
        } else {
            None
        };
        let (old, new) = (old.map(|(version, _)| version), new.map(|(version, _)| version));
        Ok(FileDiff { kind: change.kind, old, new, content, halves })
    }

    fn content(
        &self,
        old: Option<&(FileVersion, FileReader)>,
        new: Option<&(FileVersion, FileReader)>,
    ) -> Result<Content, OpsError> {
        if let (Some((old, _)), Some((new, _))) = (old, new)
            && old.sha256 == new.sha256
            && old.oid == new.oid
        {
            return Ok(Content::Same);
        }
        if let (Some((a, old)), Some((b, new))) = (old, new)
            && tensors::is_safetensors(&a.path)
            && tensors::is_safetensors(&b.path)
            && let Some(diff) = tensors::compare(old, new, self.options.tensor_stats)?
        {
            return Ok(Content::Tensors(diff));
        }
        let readable = |side: Option<&(FileVersion, FileReader)>| {
            side.is_none_or(|(version, _)| !version.lfs && version.size <= MAX_TEXT)
        };
        if readable(old) && readable(new) {
            let (old, new) = (text_of(old)?, text_of(new)?);
            if let (Some(old), Some(new)) = (old, new) {
                return Ok(Content::Text(TextDiff::new(old, new)));
            }
        }
        let shared = match (old, new) {
            (Some((_, old)), Some((_, new))) => shared_bytes(old, new)?,
            _ => None,
        };
        Ok(Content::Opaque { shared })
    }
}

/// The whole content, unless it is binary or has too many lines; nothing is text without a line.
fn text_of(side: Option<&(FileVersion, FileReader)>) -> Result<Option<Vec<u8>>, OpsError> {
    let Some((_, reader)) = side else { return Ok(Some(Vec::new())) };
    let probe = &mut [0; 8000];
    let n = reader.read_at(0, probe)?;
    if text::is_binary(&probe[..n]) {
        return Ok(None);
    }
    let mut content = vec![0; usize::try_from(reader.size()).unwrap_or(0)];
    reader.read_at(0, &mut content)?;
    let lines = content.split(|&byte| byte == b'\n').count();
    Ok((lines <= MAX_LINES).then_some(content))
}

impl FileDiff {
    /// The path it has, or had.
    pub fn path(&self) -> &str {
        self.new.as_ref().or(self.old.as_ref()).map_or("", |version| &version.path)
    }

    /// The path it had, when that is another one.
    pub fn old_path(&self) -> Option<&str> {
        let old = &self.old.as_ref()?.path;
        (old != self.path()).then_some(old)
    }

    /// Lines added and removed; `None` for what has no lines.
    pub fn line_counts(&self) -> Option<(usize, usize)> {
        match &self.content {
            Content::Same => Some((0, 0)),
            Content::Text(text) => Some((text.added(), text.removed())),
            Content::Tensors(_) | Content::Opaque { .. } => None,
        }
    }
}

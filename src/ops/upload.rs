//! `upload_file`, `upload_folder`, `upload_large_folder`, `delete_file`, `delete_folder`: commits with one purpose.
//!
//! Each is one commit or none, made by [`Repository::create_commit`]. A message that is not given is the one the first
//! hubvault gave. This file knows which operations a verb stands for; not how they are applied.

use std::path::{Path, PathBuf};

use super::commit::{AddSource, CommitOperation, CommitOptions, CommitOutcome};
use super::error::OpsError;
use super::patterns::{PathFilter, Pattern};
use super::source::FolderSource;
use super::{Actor, Progress, Repository};
use crate::store::path::RepoPath;

/// What of a folder to upload, and where to.
#[derive(Debug, Clone, Default)]
pub struct FolderUpload {
    /// The local folder.
    pub folder: PathBuf,
    /// Where its content goes; `None` is the root.
    pub path_in_repo: Option<RepoPath>,
    /// Which files, by their path in the folder.
    pub filter: PathFilter,
    /// Files to remove from `path_in_repo` in the same commit, by their path there; those that are uploaded stay, and
    /// so do `.gitattributes` files.
    pub delete: Vec<Pattern>,
    /// Leave out what `.hvignore` and `.gitignore` files in the folder say.
    pub respect_ignore: bool,
}

/// What an upload or a deletion gave.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Uploaded {
    /// The commit.
    #[serde(flatten)]
    pub commit: CommitOutcome,
    /// Names the commit: `file:///path/of/vault#commit=<id>`. `None` for a vault that is not in a folder.
    pub commit_url: Option<String>,
    /// Names what was uploaded: `#blob=<branch>:<path>` or `#tree=<branch>:<path>`; of a deletion, the commit.
    pub url: Option<String>,
}

impl Repository {
    /// Uploads one file: a local one, bytes, or what a reader holds.
    ///
    /// # Errors
    /// As [`Repository::create_commit`]; [`OpsError::Invalid`] for a folder.
    pub fn upload_file(
        &self,
        source: AddSource,
        path_in_repo: &RepoPath,
        options: &CommitOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Uploaded, OpsError> {
        let folder = match &source {
            AddSource::Local(local) => local.is_dir().then_some(local),
            AddSource::Folder(folder) => Some(&folder.path),
            AddSource::Bytes(_) | AddSource::Reader(_) => None,
        };
        if let Some(folder) = folder {
            return Err(OpsError::Invalid(format!("`{}` is a folder, not a file", folder.display())));
        }
        let operations = [CommitOperation::Add { path_in_repo: Some(path_in_repo.clone()), source }];
        let message = format!("Upload {path_in_repo} with hubvault");
        let commit = self.commit_with(&operations, options, &message, actor, progress)?;
        let target = format!("blob={}:{path_in_repo}", commit.branch);
        Ok(self.uploaded(commit, Some(target)))
    }

    /// Uploads the files of a folder in one commit.
    ///
    /// # Errors
    /// As [`Repository::create_commit`]; [`OpsError::NothingMatched`] when no file is to be uploaded and nothing to be
    /// deleted.
    pub fn upload_folder(
        &self,
        upload: &FolderUpload,
        options: &CommitOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Uploaded, OpsError> {
        self.upload_folder_as("Upload folder using hubvault", upload, options, actor, progress)
    }

    /// The same as [`Repository::upload_folder`]: there is no folder too large for one commit.
    pub fn upload_large_folder(
        &self,
        upload: &FolderUpload,
        options: &CommitOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Uploaded, OpsError> {
        self.upload_folder_as("Upload large folder using hubvault", upload, options, actor, progress)
    }

    fn upload_folder_as(
        &self,
        message: &str,
        upload: &FolderUpload,
        options: &CommitOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Uploaded, OpsError> {
        let path_in_repo = upload.path_in_repo.clone();
        let mut operations = Vec::new();
        // What is deleted and uploaded again is as if it had only been uploaded.
        if !upload.delete.is_empty() {
            let (folder, patterns) = (path_in_repo.clone(), upload.delete.clone());
            operations.push(CommitOperation::DeleteMatching { folder, patterns });
        }
        let source = AddSource::Folder(FolderSource {
            path: upload.folder.clone(),
            filter: upload.filter.clone(),
            respect_ignore: upload.respect_ignore,
            may_be_empty: !upload.delete.is_empty() || options.allow_empty,
        });
        operations.push(CommitOperation::Add { path_in_repo, source });
        let commit = self.commit_with(&operations, options, message, actor, progress)?;
        let folder = upload.path_in_repo.as_ref().map_or("", RepoPath::as_str);
        let target = format!("tree={}:{folder}", commit.branch);
        Ok(self.uploaded(commit, Some(target)))
    }

    /// Removes one file.
    ///
    /// # Errors
    /// As [`Repository::create_commit`]; a folder is not found as a file.
    pub fn delete_file(
        &self,
        path_in_repo: &RepoPath,
        options: &CommitOptions,
        actor: &Actor,
    ) -> Result<Uploaded, OpsError> {
        self.delete_as(&format!("Delete {path_in_repo} with hubvault"), path_in_repo, false, options, actor)
    }

    /// Removes a folder with all that is in it.
    ///
    /// # Errors
    /// As [`Repository::create_commit`]; a file is not found as a folder.
    pub fn delete_folder(
        &self,
        path_in_repo: &RepoPath,
        options: &CommitOptions,
        actor: &Actor,
    ) -> Result<Uploaded, OpsError> {
        let message = format!("Delete folder {path_in_repo} with hubvault");
        self.delete_as(&message, path_in_repo, true, options, actor)
    }

    /// Removes every file whose path matches one of the patterns, but no `.gitattributes`.
    ///
    /// # Errors
    /// As [`Repository::create_commit`]; that nothing matches commits nothing and is none.
    pub fn delete_files(
        &self,
        delete_patterns: Vec<Pattern>,
        options: &CommitOptions,
        actor: &Actor,
    ) -> Result<Uploaded, OpsError> {
        let operations = [CommitOperation::DeleteMatching { folder: None, patterns: delete_patterns }];
        let commit =
            self.commit_with(&operations, options, "Delete files with hubvault", actor, &mut |_| ())?;
        Ok(self.uploaded(commit, None))
    }

    fn delete_as(
        &self,
        message: &str,
        path_in_repo: &RepoPath,
        folder: bool,
        options: &CommitOptions,
        actor: &Actor,
    ) -> Result<Uploaded, OpsError> {
        let operations = [CommitOperation::DeleteOnly { path_in_repo: path_in_repo.clone(), folder }];
        let commit = self.commit_with(&operations, options, message, actor, &mut |_| ())?;
        Ok(self.uploaded(commit, None))
    }

    /// Commits with a message of the verb's, unless there is one.
    fn commit_with(
        &self,
        operations: &[CommitOperation],
        options: &CommitOptions,
        message: &str,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<CommitOutcome, OpsError> {
        let mut options = options.clone();
        if options.message.is_empty() {
            message.clone_into(&mut options.message);
        }
        self.create_commit(operations, &options, actor, progress)
    }

    fn uploaded(&self, commit: CommitOutcome, target: Option<String>) -> Uploaded {
        let root = self.root().map(file_url);
        let named = |fragment: &str| root.as_ref().map(|root| format!("{root}#{fragment}"));
        let commit_url = named(&format!("commit={}", commit.oid));
        let url = target.map_or_else(|| commit_url.clone(), |target| named(&target));
        Uploaded { commit, commit_url, url }
    }
}

/// A folder as a URL (RFC 8089): bytes that mean something in one are escaped.
fn file_url(folder: &Path) -> String {
    let text = folder.to_string_lossy().replace('\\', "/");
    let text = text.strip_prefix("//?/").unwrap_or(&text);
    let mut url = String::from(if text.starts_with('/') { "file://" } else { "file:///" });
    let hex = |digit: u8| char::from(b"0123456789ABCDEF"[usize::from(digit & 15)]);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.extend(['%', hex(byte >> 4), hex(byte)]);
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_urls() {
        assert_eq!(file_url(Path::new("/a b/ü#?%")), "file:///a%20b/%C3%BC%23%3F%25");
        assert_eq!(file_url(Path::new("C:\\vault")), "file:///C:/vault");
    }
}

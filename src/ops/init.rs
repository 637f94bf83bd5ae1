//! `init`: makes a vault with one branch and an initial commit over the empty tree.

use std::path::Path;
use std::sync::Arc;

use super::error::OpsError;
use super::{Actor, Repository};
use crate::store::StoreError;
use crate::store::id::PackId;
use crate::store::log::record_path;
use crate::store::media::Media;
use crate::store::media::disk::DiskMedia;
use crate::store::object::Kind;
use crate::store::object::Tree;
use crate::store::object::{Commit, message};
use crate::store::pack::Compression;
use crate::store::publish::{Change, FOLDERS, create_vault};
use crate::store::refname::RefName;
use crate::store::vault::{DEFAULT_LARGE_FILE_THRESHOLD, Settings, Vault};

/// How a new vault is to be.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Short name of the default branch.
    pub branch: String,
    /// Files of at least this many bytes are LFS pointers in Git's eyes.
    pub large_file_threshold: u64,
    /// How hard content is compressed when nothing else is said; [`Repository::set_compression`] changes it.
    pub compression: Compression,
}

impl Default for InitOptions {
    fn default() -> Self {
        let compression = Compression::default();
        let large_file_threshold = DEFAULT_LARGE_FILE_THRESHOLD;
        Self { branch: "main".to_owned(), large_file_threshold, compression }
    }
}

/// What [`Repository::init`] found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialized {
    /// A vault, made just now.
    New,
    /// A vault that was there already; nothing was changed.
    Existing,
    /// A vault that had lost its marker: it has one again, with the threshold of the options, and all it had.
    MarkerRestored,
}

impl Repository {
    /// Makes a vault in the folder `root`; with `exist_ok` a vault that is there is opened as it is.
    ///
    /// # Errors
    /// [`OpsError::RepositoryExists`] unless `exist_ok`, and those of [`Repository::init`].
    pub fn create_repo(
        root: &Path,
        exist_ok: bool,
        options: &InitOptions,
        actor: &Actor,
    ) -> Result<Self, OpsError> {
        match Self::init(root, options, actor)? {
            (_, Initialized::Existing | Initialized::MarkerRestored) if !exist_ok => {
                Err(OpsError::RepositoryExists(root.display().to_string()))
            }
            (repository, _) => Ok(repository),
        }
    }

    /// Makes a vault in the folder `root`, or opens the one that is there; then `options` are not looked at, but for the
    /// threshold where a lost marker is made anew ([`Initialized::MarkerRestored`]).
    ///
    /// # Errors
    /// [`OpsError::Invalid`] when the folder holds other things or the threshold is 0; nothing is created then.
    pub fn init(root: &Path, options: &InitOptions, actor: &Actor) -> Result<(Self, Initialized), OpsError> {
        let media: Arc<dyn Media> = Arc::new(DiskMedia::open(root));
        let (repository, done) = Self::init_on(media, options, actor)?;
        Ok((Self { root: root.canonicalize().ok(), ..repository }, done))
    }

    /// The same on any medium.
    pub fn init_on(
        media: Arc<dyn Media>,
        options: &InitOptions,
        actor: &Actor,
    ) -> Result<(Self, Initialized), OpsError> {
        let marked = match Self::open_on(Arc::clone(&media)) {
            Ok(found) if found.vault.view().state.default_branch.is_some() => {
                found.vault.confirm(&found.vault.view())?;
                return Ok((found, Initialized::Existing));
            }
            Ok(_) => true,
            Err(OpsError::Store(StoreError::NotAVault)) => false,
            Err(error) => return Err(error),
        };
        let branch = RefName::branch(&options.branch)?;
        if options.large_file_threshold == 0 {
            return Err(OpsError::Invalid("the large-file threshold must be at least 1 byte".to_owned()));
        }
        let had_records = has_records(&*media);
        if !marked && !had_records {
            check_empty(&*media)?;
        }
        let settings = Settings {
            vault_id: PackId::from_bytes(actor.nonce),
            created: actor.signature.time().seconds,
            large_file_threshold: options.large_file_threshold,
        };
        create_vault(&*media, &settings)?;
        first_commit(&Vault::open(Arc::clone(&media))?, branch, options.compression, actor)?;
        let done = if had_records && !marked { Initialized::MarkerRestored } else { Initialized::New };
        Ok((Self::open_on(media)?, done))
    }
}

/// Whether a folder without a marker has the log of a vault.
fn has_records(media: &dyn Media) -> bool {
    media.len(&record_path(1)).is_ok_and(|len| len.is_some())
}

/// A vault may be made in a new or an empty folder, or where making one was interrupted: then there are folders with
/// nothing in them but a marker that was not put in place. Whatever else is there is somebody's.
fn check_empty(media: &dyn Media) -> Result<(), OpsError> {
    let Ok(names) = media.list("") else { return Ok(()) };
    for name in names {
        let ours = FOLDERS.contains(&name.as_str());
        let inside = if ours { media.list(&name).map_err(StoreError::reading(&name))? } else { Vec::new() };
        let marker = |inside: &String| name == "tmp" && inside.ends_with("-marker");
        let found = match inside.iter().find(|inside| !marker(inside)) {
            None if ours => continue,
            None => name,
            Some(inside) => format!("{name}/{inside}"),
        };
        return Err(OpsError::Invalid(format!(
            "the folder is not empty (it holds `{found}`); a vault needs a folder of its own"
        )));
    }
    Ok(())
}

fn first_commit(
    vault: &Vault,
    branch: RefName,
    compression: Compression,
    actor: &Actor,
) -> Result<(), OpsError> {
    let mut transaction = vault.begin(actor.context("init"))?;
    if transaction.lock()?.state.default_branch.is_some() {
        return Ok(transaction.confirm()?);
    }
    let tree = transaction.add_object(Kind::Tree, &Tree::empty().encode())?;
    let commit = Commit {
        tree,
        parents: Vec::new(),
        author: actor.signature.clone(),
        committer: actor.signature.clone(),
        extra_headers: Vec::new(),
        message: message("Initial commit", None),
    };
    let id = transaction.add_object(Kind::Commit, &commit.encode())?;
    let compression = (compression != Compression::default()).then_some(compression);
    let change = Change::moving(branch.clone(), None, Some(id), "commit (initial): Initial commit");
    transaction.publish(Change { default_branch: Some(branch), compression, ..change })?;
    Ok(())
}

//! `init`: makes a vault with one branch and an initial commit over the empty tree.

use std::path::Path;
use std::sync::Arc;

use super::error::OpsError;
use super::{Actor, Repository};
use crate::store::StoreError;
use crate::store::id::PackId;
use crate::store::media::Media;
use crate::store::media::disk::DiskMedia;
use crate::store::object::Kind;
use crate::store::object::Tree;
use crate::store::object::{Commit, message};
use crate::store::pack::Compression;
use crate::store::publish::{Change, FOLDERS, create_vault, move_ref};
use crate::store::refname::RefName;
use crate::store::vault::{DEFAULT_LARGE_FILE_THRESHOLD, MARKER, Settings, Vault};

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
            (_, false) if !exist_ok => Err(OpsError::RepositoryExists(root.display().to_string())),
            (repository, _) => Ok(repository),
        }
    }

    /// Makes a vault in the folder `root`, or opens the one that is there (`false`: it was there already, and
    /// `options` were not looked at).
    ///
    /// # Errors
    /// [`OpsError::Invalid`] when the folder holds other things or the threshold is 0; nothing is created then.
    pub fn init(root: &Path, options: &InitOptions, actor: &Actor) -> Result<(Self, bool), OpsError> {
        let media: Arc<dyn Media> = Arc::new(DiskMedia::open(root));
        let (repository, created) = Self::init_on(media, options, actor)?;
        Ok((Self { root: root.canonicalize().ok(), ..repository }, created))
    }

    /// The same on any medium.
    pub fn init_on(
        media: Arc<dyn Media>,
        options: &InitOptions,
        actor: &Actor,
    ) -> Result<(Self, bool), OpsError> {
        match Self::open_on(Arc::clone(&media)) {
            Ok(found) if found.vault.view().state.default_branch.is_some() => {
                found.vault.confirm(&found.vault.view())?;
                return Ok((found, false));
            }
            Ok(_) | Err(OpsError::Store(StoreError::NotAVault)) => {}
            Err(error) => return Err(error),
        }
        let branch = RefName::branch(&options.branch)?;
        if options.large_file_threshold == 0 {
            return Err(OpsError::Invalid("the large-file threshold must be at least 1 byte".to_owned()));
        }
        check_empty(&*media)?;
        let settings = Settings {
            vault_id: PackId::from_bytes(actor.nonce),
            created: actor.signature.time().seconds,
            large_file_threshold: options.large_file_threshold,
        };
        create_vault(&*media, &settings)?;
        first_commit(&Vault::open(Arc::clone(&media))?, branch, options.compression, actor)?;
        Ok((Self::open_on(media)?, true))
    }
}

/// A vault may be made in a new or an empty folder, or where making one was interrupted.
fn check_empty(media: &dyn Media) -> Result<(), OpsError> {
    let Ok(names) = media.list("") else { return Ok(()) };
    match names.iter().find(|name| *name != MARKER && !FOLDERS.contains(&name.as_str())) {
        Some(name) => Err(OpsError::Invalid(format!(
            "the folder is not empty (it holds `{name}`); a vault needs a folder of its own"
        ))),
        None => Ok(()),
    }
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
    let refs = vec![move_ref(branch.clone(), None, Some(id), "commit (initial): Initial commit")];
    let compression = (compression != Compression::default()).then_some(compression);
    transaction.publish(Change { refs, default_branch: Some(branch), compression })?;
    Ok(())
}

//! What `hv mount` shows: which tree answers to the words that were given.
//!
//! Knows the trees there are; not how one is mounted, or in which process.

use std::path::Path;
use std::sync::Arc;

use hubvault_platform::ReadOnlyTree;
use serde_json::{Value, json};

use super::mount::MountArgs;
use crate::Repository;
use crate::cli::failure::Failure;
use crate::cli::identity;
use crate::mount::{FileTimes, SnapshotTree, Views};
use crate::ops::HeldLease;
use crate::ops::versions::LiveVault;

/// What is shown.
pub(super) struct Shown {
    pub(super) tree: Arc<dyn ReadOnlyTree>,
    /// What mount tables show.
    pub(super) source: String,
    /// What there is to tell, without where.
    pub(super) about: Value,
    /// Keeps the commit, where the tree does not.
    pub(super) lease: Option<HeldLease>,
}

/// Refuses words that do not go together, before anything is opened.
pub(super) fn check(args: &MountArgs, revision: Option<&str>) -> Result<(), Failure> {
    if args.follow.is_some() && revision.is_some() {
        return Err(Failure::usage("--follow says which branch is shown: leave the revision out"));
    }
    if args.path.is_some() && args.follow.is_none() && revision.is_none() {
        return Err(Failure::usage(
            "--path is a folder of one version: say which, as MOUNTPOINT@REVISION or with --follow BRANCH",
        ));
    }
    Ok(())
}

/// Chooses the tree.
pub(super) fn choose(
    args: &MountArgs,
    mountpoint: &Path,
    revision: Option<&str>,
    repository: Repository,
) -> Result<Shown, Failure> {
    let vault = repository.root().map(|root| root.display().to_string()).unwrap_or_default();
    let purpose = format!("mount {}", std::path::absolute(mountpoint)?.display());
    let path = args.path.as_deref().unwrap_or("").trim_matches('/');
    let times = if args.mtime == "last-change" { FileTimes::LastChange } else { FileTimes::Commit };
    let (actor, pid) = (identity::reader()?, std::process::id());
    let below = if path.is_empty() { String::new() } else { format!(":{path}") };
    let about = |revision: Value, commit: Value, follow: bool| json!({ "vault": vault, "revision": revision, "commit": commit, "path": path, "follow": follow });
    if let Some(branch) = &args.follow {
        let live = Arc::new(LiveVault::new(repository, &actor, &purpose, pid));
        let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
        let tree = Arc::new(Views::follow(live, branch, path, times)?);
        let (source, about) = (format!("{vault}@{branch}{below}"), about(json!(branch), Value::Null, true));
        return Ok(Shown { tree, source, about, lease: None });
    }
    let Some(revision) = revision else {
        let live = Arc::new(LiveVault::new(repository, &actor, &purpose, pid));
        let about = about(Value::Null, Value::Null, false);
        return Ok(Shown {
            tree: Arc::new(Views::vault(live, times)),
            source: vault.clone(),
            about,
            lease: None,
        });
    };
    let (snapshot, lease) = repository.leased_snapshot(Some(revision), &actor, &purpose, pid)?;
    let about = about(json!(revision), json!(snapshot.id()), false);
    let source = format!("{vault}@{revision}{below}");
    let tree: Arc<dyn ReadOnlyTree> = match times {
        FileTimes::Commit => Arc::new(SnapshotTree::below(snapshot, path)?),
        FileTimes::LastChange => {
            // A nonce of its own: the lease above has the first one.
            let live = Arc::new(LiveVault::new(repository, &identity::reader()?, &purpose, pid));
            Arc::new(Views::pinned(live, snapshot.id(), revision, path, times)?)
        }
    };
    Ok(Shown { tree, source, about, lease })
}

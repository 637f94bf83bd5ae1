//! `hv download`

use std::path::PathBuf;

use clap::Args;

use super::{open, say, tell};
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::paths::{Use, repo_path};
use crate::cli::progress::watched;
use crate::cli::{identity, output};
use crate::ops::download::{DownloadOptions, Downloaded};
use crate::ops::patterns::PathFilter;
use crate::ops::{OpsError, RepoPath};
use crate::snapshot::SnapshotError;

/// Copy files out of the vault, and print where they are
///
/// One file gives its path; a folder, several PATHs, or none (all files) give the folder that holds them. Without
/// `--local-dir` the copies are kept in the vault's cache and shared by everybody who asks for the same content. A copy
/// is yours to edit: what was changed is noticed, and written again by the next download.
#[derive(Debug, Args)]
pub(in crate::cli) struct DownloadArgs {
    /// Files and folders to download [default: everything]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    choice: Choice,
}

/// Which files of which revision, and where to.
#[derive(Debug, Args)]
pub(in crate::cli) struct Choice {
    /// Revision to read [default: the default branch]
    #[arg(short, long, value_name = "REV")]
    revision: Option<String>,
    /// Folder to write to; it must not be inside the vault
    #[arg(long, value_name = "DIR")]
    local_dir: Option<PathBuf>,
    /// Only files that match (`*` also matches `/`, `DIR/` is all below DIR)
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// No files that match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl Choice {
    fn filter(&self) -> PathFilter {
        PathFilter::new(&self.include, &self.exclude)
    }

    /// The options; `named` is a revision that was named without -r.
    fn options(&self, named: Option<&str>) -> DownloadOptions {
        let revision = named.map(str::to_owned).or_else(|| self.revision.clone());
        DownloadOptions { revision, local_dir: self.local_dir.clone(), pid: std::process::id() }
    }

    /// Downloads every file that is chosen, of `only` when that is not empty; of the revision `named`, or that of -r.
    pub(super) fn snapshot(
        &self,
        cli: &Cli,
        repository: &Repository,
        named: Option<&str>,
        only: &[RepoPath],
    ) -> Result<(), Failure> {
        let filter = self.filter();
        let actor = identity::reader()?;
        let done = watched(cli.json, repository, |progress| {
            repository.snapshot_download(&filter, only, &self.options(named), &actor, progress)
        })?;
        show(cli, &done)
    }
}

pub(super) fn run(cli: &Cli, args: &DownloadArgs) -> Result<(), Failure> {
    let only = args.paths.iter().map(|path| repo_path(path, Use::Download));
    let only = only.collect::<Result<Vec<_>, _>>()?;
    let repository = open(cli)?;
    if let [path] = only.as_slice()
        && args.choice.filter().takes_all()
    {
        let options = args.choice.options(None);
        let actor = identity::reader()?;
        let done = watched(cli.json, &repository, |progress| {
            repository.hf_hub_download(path.as_str(), &options, &actor, progress)
        });
        match done {
            // A folder is a snapshot of that folder.
            Err(OpsError::Snapshot(SnapshotError::IsADirectory { .. })) => {}
            done => return show(cli, &done?),
        }
    }
    args.choice.snapshot(cli, &repository, None, &only)
}

/// Says where the copies are.
pub(super) fn show(cli: &Cli, done: &Downloaded) -> Result<(), Failure> {
    if cli.json {
        return output::json(done);
    }
    done.warnings.iter().try_for_each(|warning| tell(&format!("warning: {warning}")))?;
    say(&done.path.display().to_string())
}

//! `hv upload`

use std::path::PathBuf;

use clap::Args;

use super::commit::{How, Reading, show};
use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::paths::{Use, repo_path};
use crate::cli::progress::watched;
use crate::cli::{identity, output};
use crate::ops::patterns::{PathFilter, patterns};
use crate::ops::upload::FolderUpload;
use crate::ops::{AddSource, RepoPath};

/// Commit a file, or the content of a folder
///
/// A folder's content goes to `PATH_IN_REPO`, or to the root; a file goes in under its own name. Patterns are
/// matched with paths inside the folder; `*` also matches `/`, and `DIR/` means all below DIR.
#[derive(Debug, Args)]
pub(in crate::cli) struct UploadArgs {
    /// File or folder to upload
    local: PathBuf,
    /// Where it goes [default: the root for a folder, its name for a file]
    path_in_repo: Option<String>,
    /// Only files that match
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// No files that match
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Remove files that match from `PATH_IN_REPO`, unless they are uploaded again
    #[arg(long, value_name = "PATTERN")]
    delete: Vec<String>,
    /// Leave out what `.hvignore` and `.gitignore` files in the folder say
    #[arg(long)]
    respect_ignore: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(cli: &Cli, args: &UploadArgs) -> Result<(), Failure> {
    let chosen = !(args.include.is_empty() && args.exclude.is_empty() && args.delete.is_empty());
    let is_folder = args.local.is_dir();
    if !is_folder && (chosen || args.respect_ignore) {
        return Err(Failure::usage(format!(
            "`{}` is not a folder: there is nothing to choose from",
            args.local.display()
        )));
    }
    let path_in_repo = path_in_repo(args, is_folder)?;
    let options = args.reading.apply(args.how.options("")?);
    let actor = identity::actor()?;
    let repository = open(cli)?;
    let done = watched(cli.json, &repository, |progress| match path_in_repo {
        Some(path) if !is_folder => {
            let source = AddSource::Local(args.local.clone());
            repository.upload_file(source, &path, &options, &actor, progress)
        }
        path_in_repo => {
            let upload = FolderUpload {
                folder: args.local.clone(),
                path_in_repo,
                filter: PathFilter::new(&args.include, &args.exclude),
                delete: patterns(&args.delete),
                respect_ignore: args.respect_ignore,
            };
            repository.upload_folder(&upload, &options, &actor, progress)
        }
    })?;
    if !cli.json {
        return show(cli, &done.commit, args.how.author_flag());
    }
    output::json(&done)?;
    if done.commit.committed { identity::warn_of_nobody(true, args.how.author_flag()) } else { Ok(()) }
}

fn path_in_repo(args: &UploadArgs, is_folder: bool) -> Result<Option<RepoPath>, Failure> {
    match args.path_in_repo.as_deref() {
        None | Some("." | "./" | "/") if is_folder => Ok(None),
        None | Some("." | "./" | "/") => repo_path(own_name(args)?, Use::Upload).map(Some),
        // As `cp` does it: what ends in a slash is a folder to put the file into.
        Some(path) if !is_folder && path.ends_with('/') => {
            repo_path(&format!("{path}{}", own_name(args)?), Use::Upload).map(Some)
        }
        Some(path) => repo_path(path, Use::Upload).map(Some),
    }
}

fn own_name(args: &UploadArgs) -> Result<&str, Failure> {
    let name = args.local.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| {
        Failure::usage(format!(
            "`{}` has no usable name of its own; say where it goes: hv upload FILE PATH_IN_REPO",
            args.local.display()
        ))
    })
}

//! `hv rm`

use clap::Args;

use super::commit::{How, repo_path, show};
use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity;
use crate::ops::{CommitOperation, RepoPath};

/// Remove files and folders from a branch, in one commit
///
/// Earlier revisions keep them.
#[derive(Debug, Args)]
pub(in crate::cli) struct RmArgs {
    /// What to remove; a folder goes with all that is in it
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Message; its first line is the title [default: says what was done]
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    #[command(flatten)]
    how: How,
}

/// No path has `*` or `?` in it: who writes them means a pattern.
fn path_to_remove(text: &str) -> Result<RepoPath, Failure> {
    if text.contains(['*', '?']) {
        return Err(Failure::usage(format!(
            "`{text}` is a pattern, and `hv rm` takes files and folders: name them, or the folder they are in \
             (`hv ls REV:DIR` lists it); `hv upload FOLDER --delete PATTERN` removes what matches while it uploads"
        )));
    }
    repo_path(text)
}

pub(super) fn run(cli: &Cli, args: &RmArgs) -> Result<(), Failure> {
    let operations: Result<Vec<_>, Failure> = args
        .paths
        .iter()
        .map(|path| Ok(CommitOperation::Delete { path_in_repo: path_to_remove(path)? }))
        .collect();
    let message = args.message.clone().unwrap_or_else(|| match args.paths.as_slice() {
        [path] => format!("Delete {path} with hubvault"),
        paths => format!("Delete {} files and folders with hubvault", paths.len()),
    });
    let options = args.how.options(message)?;
    let outcome = open(cli)?.create_commit(&operations?, &options, &identity::actor()?, &mut |_| ())?;
    show(cli, &outcome)
}

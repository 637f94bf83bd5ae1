//! `hv init`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::say;
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{identity, output};
use crate::ops::{Compression, InitOptions, Initialized};

/// Make a vault
///
/// Makes a vault with one branch and an initial commit. On a folder that is a vault already it changes
/// nothing, but that one which has lost its marker gets it back.
#[derive(Debug, Args)]
pub(in crate::cli) struct InitArgs {
    /// The folder to make the vault in; new or empty [default: the vault of -C, else the current folder]
    dir: Option<PathBuf>,
    /// Name of the default branch
    #[arg(short = 'b', long, value_name = "BRANCH", default_value = "main")]
    initial_branch: String,
    /// Files of this size and more are LFS pointers in Git's eyes, as on the Hub
    #[arg(long, value_name = "SIZE", default_value = "10MiB", value_parser = crate::cli::parse::size)]
    large_file_threshold: u64,
    /// How commits compress new content when they don't say: none, what shrinks much (auto), or weights too (max);
    /// `hv settings` changes it
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = crate::cli::parse::compression)]
    compression: Compression,
}

pub(super) fn run(cli: &Cli, args: &InitArgs) -> Result<(), Failure> {
    let dir = args.dir.as_ref().unwrap_or(&cli.vault);
    let options = InitOptions {
        branch: args.initial_branch.clone(),
        large_file_threshold: args.large_file_threshold,
        compression: args.compression,
    };
    let (repository, done) =
        Repository::init(dir, &options, &identity::actor()?).map_err(|error| Failure::from(error).at(dir))?;
    let root = repository.root().unwrap_or(dir).display().to_string();
    if cli.json {
        let status = repository.status()?;
        return output::json(&json!({
            "vault": root,
            "created": done == Initialized::New,
            "marker_restored": done == Initialized::MarkerRestored,
            "default_branch": status.default_branch,
            "head": status.head,
        }));
    }
    say(&match done {
        Initialized::New => format!("Initialized empty vault in {root}"),
        Initialized::Existing => format!("Found a vault in {root}; nothing was changed"),
        Initialized::MarkerRestored => format!(
            "Found a vault without its marker `HUBVAULT` in {root}; made that anew, with files of {} and more as LFS \
             pointers. If it was made with another --large-file-threshold, delete `HUBVAULT` and run this again with it",
            output::bytes(args.large_file_threshold)
        ),
    })
}

//! `hv init`

use serde_json::json;

use super::say;
use crate::Repository;
use crate::cli::args::{Cli, InitArgs};
use crate::cli::failure::Failure;
use crate::cli::{identity, output};
use crate::ops::InitOptions;

pub(super) fn run(cli: &Cli, args: &InitArgs) -> Result<(), Failure> {
    let dir = args.dir.as_ref().unwrap_or(&cli.vault);
    let options =
        InitOptions { branch: args.initial_branch.clone(), large_file_threshold: args.large_file_threshold };
    let (repository, created) =
        Repository::init(dir, &options, &identity::actor()?).map_err(|error| Failure::from(error).at(dir))?;
    let root = repository.root().unwrap_or(dir).display().to_string();
    if cli.json {
        let status = repository.status()?;
        return output::json(
            &json!({ "vault": root, "created": created, "default_branch": status.default_branch, "head": status.head }),
        );
    }
    say(&if created {
        format!("Initialized empty vault in {root}")
    } else {
        format!("Found a vault in {root}; nothing was changed")
    })
}

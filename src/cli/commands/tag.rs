//! `hv tag`

use clap::Args;

use super::branch::deleted;
use super::reflog::short;
use super::{open, say, warn};
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity;
use crate::cli::output;

/// Says that a name is a branch's and a tag's. Git allows it too, and warns at each use; here a revision of that name is
/// refused.
pub(super) fn warn_of_two(cli: &Cli, repository: &Repository, name: &str) -> Result<(), Failure> {
    let is_both = repository.list_tags()?.iter().any(|tag| tag.name == name)
        && repository.list_branches()?.iter().any(|branch| branch.name == name);
    if !is_both {
        return Ok(());
    }
    let detail = format!(
        "`{name}` is a branch and a tag now, and ambiguous as a revision: write `refs/heads/{name}` or `refs/tags/{name}`"
    );
    warn(cli, None, &detail)
}

/// List, make or delete tags
#[derive(Debug, Args)]
pub(in crate::cli) struct TagArgs {
    /// Name of the tag to make or delete
    name: Option<String>,
    /// What it names [default: the default branch]
    revision: Option<String>,
    /// Make an annotated tag, as -m alone does
    #[arg(short, long, requires = "message")]
    annotate: bool,
    /// Make an annotated tag with this message
    #[arg(short, long, value_name = "MSG", requires = "name")]
    message: Option<String>,
    /// List tags (what happens without a name anyway)
    #[arg(short, long, conflicts_with = "name")]
    list: bool,
    /// Delete the tag
    #[arg(short, long, requires = "name", conflicts_with_all = ["revision", "message"])]
    delete: bool,
}

pub(super) fn run(cli: &Cli, args: &TagArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let Some(name) = &args.name else {
        let tags = repository.list_tags()?;
        return if cli.json { output::json(&tags) } else { tags.iter().try_for_each(|tag| say(&tag.name)) };
    };
    if args.delete {
        let gone = repository.delete_tag(name, &identity::actor()?)?;
        return deleted(cli, &gone, &format!("Deleted tag '{name}' (was {}).", short(gone.old)));
    }
    let message = args.message.as_deref();
    repository.create_tag(name, message, args.revision.as_deref(), false, &identity::actor()?)?;
    warn_of_two(cli, &repository, name)?;
    let made = repository.list_tags()?.into_iter().find(|tag| tag.name == *name);
    if cli.json { output::json(&made) } else { Ok(()) }
}

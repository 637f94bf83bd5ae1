//! `hv tag`

use clap::Args;

use super::branch::deleted;
use super::reflog::short;
use super::{hint, open, say};
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity;
use crate::cli::message::paragraphs;
use crate::cli::{notices, output};
use crate::ops::models::GitRefInfo;
use crate::ops::patterns::Pattern;

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
    notices::warning(cli.json, None, &detail)
}

/// The refs whose names match a pattern and that have a commit in their history, as far as these are given.
pub(super) fn chosen(
    repository: &Repository,
    refs: Vec<GitRefInfo>,
    pattern: Option<&str>,
    contains: Option<&str>,
) -> Result<Vec<GitRefInfo>, Failure> {
    let pattern = pattern.map(Pattern::new);
    let refs = refs.into_iter().filter(|found| pattern.as_ref().is_none_or(|p| p.matches(&found.name)));
    let refs = refs.collect();
    Ok(match contains {
        Some(revision) => repository.refs_with(refs, revision)?,
        None => refs,
    })
}

/// List, make, move or delete tags
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub(in crate::cli) struct TagArgs {
    /// Name of the tag to make or delete; with -l, a pattern (`*` also matches `/`)
    name: Option<String>,
    /// What it names [default: the default branch]
    revision: Option<String>,
    /// Make an annotated tag, as -m alone does
    #[arg(short, long, requires = "message")]
    annotate: bool,
    /// Make an annotated tag with this message; each further -m is a paragraph
    #[arg(short, long, value_name = "MSG", requires = "name")]
    message: Vec<String>,
    /// Make the tag, or move it if it is there
    #[arg(short, long, requires = "name", conflicts_with = "delete")]
    force: bool,
    /// List tags (what happens without a name anyway), all or those that match
    #[arg(short, long, conflicts_with_all = ["revision", "message", "force", "delete"])]
    list: bool,
    /// List only tags that have this commit in their history
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD", conflicts_with_all = ["revision", "message", "force", "delete"])]
    contains: Option<String>,
    /// Delete the tag
    #[arg(short, long, requires = "name", conflicts_with_all = ["revision", "message"])]
    delete: bool,
}

pub(super) fn run(cli: &Cli, args: &TagArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let is_listing = args.list || args.contains.is_some();
    let Some(name) = args.name.as_ref().filter(|_| !is_listing) else {
        let pattern = args.name.as_deref();
        let tags = chosen(&repository, repository.list_tags()?, pattern, args.contains.as_deref())?;
        return if cli.json { output::json(&tags) } else { tags.iter().try_for_each(|tag| say(&tag.name)) };
    };
    if args.delete {
        let gone = repository.delete_tag(name, &identity::actor()?)?;
        return deleted(cli, &gone, &format!("Deleted tag '{name}' (was {}).", short(gone.old)));
    }
    let message = (!args.message.is_empty()).then(|| paragraphs(&args.message));
    let (message, revision) = (message.as_deref(), args.revision.as_deref());
    if args.force {
        let moved = repository.force_tag(name, message, revision, &identity::actor()?)?;
        warn_of_two(cli, &repository, name)?;
        if cli.json {
            return output::json(&moved);
        }
        if moved.old.is_some() && moved.old != moved.new {
            say(&format!("Updated tag '{name}' (was {})", short(moved.old)))?;
        }
        return hint(moved.transaction.filter(|_| moved.old.is_some()));
    }
    repository.create_tag(name, message, revision, false, &identity::actor()?)?;
    warn_of_two(cli, &repository, name)?;
    let made = repository.list_tags()?.into_iter().find(|tag| tag.name == *name);
    if cli.json { output::json(&made) } else { Ok(()) }
}

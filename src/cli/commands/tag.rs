//! `hv tag`

use super::{open, say};
use crate::cli::args::{Cli, TagArgs};
use crate::cli::failure::Failure;
use crate::cli::{identity, output};

pub(super) fn run(cli: &Cli, args: &TagArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let Some(name) = &args.name else {
        let tags = repository.list_tags()?;
        return if cli.json { output::json(&tags) } else { tags.iter().try_for_each(|tag| say(&tag.name)) };
    };
    let message = args.message.as_deref();
    repository.create_tag(name, message, args.revision.as_deref(), false, &identity::actor()?)?;
    let made = repository.list_tags()?.into_iter().find(|tag| tag.name == *name);
    if cli.json { output::json(&made) } else { Ok(()) }
}

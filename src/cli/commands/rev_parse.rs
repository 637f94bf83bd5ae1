//! `hv rev-parse`

use super::{open, say};
use crate::cli::args::{Cli, RevParseArgs};
use crate::cli::failure::Failure;
use crate::cli::output;

pub(super) fn run(cli: &Cli, args: &RevParseArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let ids =
        args.revision.iter().map(|revision| repository.rev_parse(revision)).collect::<Result<Vec<_>, _>>()?;
    if cli.json { output::json(&ids) } else { ids.iter().try_for_each(|id| say(&id.to_string())) }
}

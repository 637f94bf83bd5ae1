//! `hv settings`

use clap::Args;
use serde_json::json;

use super::{hint, open, say};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{identity, output, parse};
use crate::ops::Compression;

/// Show what the vault is set to, or change it
///
/// A change holds for what is committed from then on, by everybody; `hv optimize` stores what is there again. It can be
/// undone.
#[derive(Debug, Args)]
pub(in crate::cli) struct SettingsArgs {
    /// How commits compress new content when they don't say: none, what shrinks much (auto), or weights too (max)
    #[arg(long, value_name = "HOW", value_parser = parse::compression)]
    compression: Option<Compression>,
}

pub(super) fn run(cli: &Cli, args: &SettingsArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let transaction = match args.compression {
        Some(compression) => repository.set_compression(compression, &identity::actor()?)?,
        None => None,
    };
    let settings = repository.settings();
    if cli.json {
        return output::json(&json!({
            "compression": settings.compression,
            "large_file_threshold": settings.large_file_threshold,
            "transaction": transaction,
        }));
    }
    say(&format!("compression           {}", parse::compression_word(settings.compression)))?;
    say(&format!("large-file threshold  {}", output::bytes(settings.large_file_threshold)))?;
    hint(transaction)
}

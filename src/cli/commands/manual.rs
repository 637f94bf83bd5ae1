//! `hv completions` and `hv man`: made from the grammar.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::say;
use crate::cli::failure::Failure;
use crate::cli::reference;

/// Print shell completions
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The folder
    dir: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    for name in ["hv", "hubvault"] {
        clap_complete::generate(args.shell, &mut reference::command(), name, &mut script);
    }
    Ok(std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?)
}

pub(super) fn pages(args: &ManArgs) -> Result<(), Failure> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error| Failure::new("io", format!("cannot write `{path}`: {error}"))
    };
    fs::create_dir_all(&args.dir).map_err(at(&args.dir))?;
    let top = reference::command();
    let commands = top.get_subcommands().map(|sub| (format!("hv-{}", sub.get_name()), sub.clone()));
    for (name, command) in [("hv".to_owned(), top.clone())].into_iter().chain(commands) {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.display_name(&name).name(leak(&name))).render(&mut page)?;
        let path = args.dir.join(format!("{name}.1"));
        fs::write(&path, page).map_err(at(&path))?;
        say(&path.display().to_string())?;
    }
    Ok(())
}

/// clap keeps command names for the whole run of the program; there are as many as commands.
fn leak(name: &str) -> &'static str {
    String::leak(name.to_owned())
}

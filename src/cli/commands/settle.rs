//! How conflicts are settled on the command line, and how they are shown: the same for `merge`, `revert` and
//! `cherry-pick`.

use clap::{Args, ValueEnum};

use super::{say, tell};
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::paths::{Use, repo_path};
use crate::cli::{notices, output, parse};
use crate::ops::RepoPath;
use crate::ops::merge::{Favor, Landing, MergeConflict, Resolution};

/// Settling conflicts
#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    /// Settle the conflict at PATH with what the branch has
    #[arg(long, value_name = "PATH")]
    ours: Vec<String>,
    /// Settle it with what comes in
    #[arg(long, value_name = "PATH")]
    theirs: Vec<String>,
    /// Settle it with a local file
    #[arg(long, value_name = "PATH=LOCAL")]
    resolve: Vec<String>,
    /// Settle it by deleting the file
    #[arg(long, value_name = "PATH")]
    delete: Vec<String>,
    /// Settle all other conflicts with this side
    #[arg(short = 'X', long = "favor", value_name = "SIDE")]
    favor: Option<Side>,
    /// Only say what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Side {
    /// What the branch has
    Ours,
    /// What comes in
    Theirs,
}

impl SettleArgs {
    /// What they and the options beside them say.
    pub(super) fn landing(
        &self,
        target: Option<&str>,
        parent: Option<&str>,
        message: Option<String>,
    ) -> Result<Landing, Failure> {
        Ok(Landing {
            target_revision: target.map(str::to_owned),
            parent_commit: parent.map(str::to_owned),
            commit_message: message,
            resolutions: self.resolutions()?,
            favor: self.favor.map(|side| match side {
                Side::Ours => Favor::Ours,
                Side::Theirs => Favor::Theirs,
            }),
            dry_run: self.dry_run,
        })
    }

    /// What was said already, as it was said.
    fn words(&self) -> Vec<String> {
        let said = [
            ("--ours", &self.ours),
            ("--theirs", &self.theirs),
            ("--resolve", &self.resolve),
            ("--delete", &self.delete),
        ];
        let mut words = Vec::new();
        for (option, values) in said {
            words.extend(values.iter().flat_map(|value| [option.to_owned(), value.clone()]));
        }
        if let Some(side) = self.favor {
            let side = if matches!(side, Side::Ours) { "ours" } else { "theirs" };
            words.extend(["-X".to_owned(), side.to_owned()]);
        }
        words
    }

    /// What is to be at which path.
    pub(super) fn resolutions(&self) -> Result<Vec<(RepoPath, Resolution)>, Failure> {
        let path = |text: &str| repo_path(text, Use::Settle);
        let mut found = Vec::new();
        let plain = [
            (&self.ours, Resolution::Ours),
            (&self.theirs, Resolution::Theirs),
            (&self.delete, Resolution::Delete),
        ];
        for (paths, resolution) in plain {
            for text in paths {
                found.push((path(text)?, resolution.clone()));
            }
        }
        for text in &self.resolve {
            let (at, local) = parse::pair("--resolve", text).map_err(Failure::usage)?;
            found.push((path(at)?, Resolution::Local(local.into())));
        }
        Ok(found)
    }
}

/// Shows what does not fit and how to finish; `words` is the command line without what `settle` says of it.
pub(super) fn show_conflicts(
    cli: &Cli,
    conflicts: &[MergeConflict],
    words: &[String],
    settle: &SettleArgs,
) -> Result<Failure, Failure> {
    let verb = words.first().map_or("merge", String::as_str);
    for conflict in conflicts {
        let path = output::path(&conflict.path);
        say(&format!("CONFLICT ({}): {path}: {}", conflict.conflict_type.as_str(), conflict.message))?;
    }
    say(&format!("Automatic {verb} failed; no commit was created."))?;
    let mut example = vec!["hv".to_owned()];
    if cli.vault.as_os_str() != "." {
        example.extend(["-C".to_owned(), shell(&cli.vault.to_string_lossy())]);
    }
    example.extend(words.iter().chain(&settle.words()).map(|word| shell(word)));
    let mut paths: Vec<&str> = conflicts.iter().map(|conflict| &*conflict.path).collect();
    paths.dedup();
    for (at, path) in paths.iter().enumerate() {
        match at % 3 {
            0 => example.extend(["--ours".to_owned(), shell(path)]),
            1 => example.extend(["--theirs".to_owned(), shell(path)]),
            _ => example.extend(["--resolve".to_owned(), shell(&format!("{path}=LOCAL_FILE"))]),
        }
    }
    tell(&format!(
        "To finish, run it again and say for each path what is to be there, for example:\n  {}\n\
         --ours is what the branch has, --theirs what comes in; --resolve PATH=LOCAL_FILE takes a local file, --delete PATH \
         nothing;\n-X ours or -X theirs settles all that is left.",
        example.join(" "),
    ))?;
    Ok(Failure::reported("conflict"))
}

/// Says that renames may have been missed, if so.
pub(super) fn warn_of_limit(limited: bool) -> Result<(), Failure> {
    if !limited {
        return Ok(());
    }
    notices::warning(
        false,
        None,
        "too many files came and went to compare them all; only renames of equal files and of files that kept their name \
         were followed",
    )
}

/// A word as a shell takes it.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:@+,~^".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('~') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell("a/b.txt"), "a/b.txt");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's"), "'it'\\''s'");
        assert_eq!(shell("~x"), "'~x'");
        assert_eq!(shell("$(x)"), "'$(x)'");
    }
}

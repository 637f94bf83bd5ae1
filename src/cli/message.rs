//! The message of a commit as Git takes it: several `-m`, each a paragraph, or a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;

/// What a commit says of itself.
#[derive(Debug, Args)]
pub(super) struct Message {
    /// Message; its first line is the title, and each further -m is a paragraph
    #[arg(
        id = "message",
        short = 'm',
        long = "message",
        visible_alias = "commit-message",
        value_name = "MSG"
    )]
    texts: Vec<String>,
    /// Take the message from a file; `-` is standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "message")]
    file: Option<PathBuf>,
    /// The rest of the message
    #[arg(long, visible_alias = "commit-description", value_name = "TEXT")]
    pub(super) description: Option<String>,
}

impl Message {
    /// The message, if there is one.
    pub(super) fn text(&self) -> Result<Option<String>, Failure> {
        match &self.file {
            Some(file) => read(file).map(Some),
            None => Ok((!self.texts.is_empty()).then(|| paragraphs(&self.texts))),
        }
    }

    /// The words of the command line that say the same.
    pub(super) fn words(&self) -> Vec<String> {
        let messages = self.texts.iter().flat_map(|text| ["-m", text]);
        let file = self.file.iter().flat_map(|file| ["-F".into(), file.to_string_lossy()]);
        let description = self.description.iter().flat_map(|text| ["--description", text]);
        let words = messages.chain(description).map(str::to_owned);
        words.chain(file.map(std::borrow::Cow::into_owned)).collect()
    }
}

/// Each text as a paragraph.
pub(super) fn paragraphs(texts: &[String]) -> String {
    let trimmed: Vec<&str> = texts.iter().map(|text| text.trim_end_matches('\n')).collect();
    if let [_] = texts { texts.concat() } else { trimmed.join("\n\n") }
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| {
        Failure::new("local-file", format!("cannot read the message from `{}`: {error}", file.display()))
    })?;
    Ok(text.trim_start_matches(['\n', '\r']).trim_end().to_owned())
}

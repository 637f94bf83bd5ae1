//! Who commits, and when: from flags, then `HUBVAULT_AUTHOR`, then as Git is configured, then a stated default.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::ZonedDateTime;

use super::failure::Failure;
use super::{notices, parse};
use crate::ops::{Actor, Signature, Timestamp, parse_identity};

/// Who commits when nobody says who.
const NOBODY: (&str, &str) = ("hubvault", "hubvault@localhost");

#[expect(clippy::disallowed_methods, reason = "cli is where the environment is read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Who acts now.
pub(super) fn actor() -> Result<Actor, Failure> {
    let (name, email) = identity("COMMITTER")?;
    let signature = Signature::new(&name, &email, time("COMMITTER", None)?).map_err(Failure::usage)?;
    Ok(Actor { signature, nonce: nonce() })
}

/// Somebody who only reads: a time and a nonce, and nobody's name.
pub(super) fn reader() -> Result<Actor, Failure> {
    let now = parse::timestamp(&ZonedDateTime::now());
    let signature = Signature::new(NOBODY.0, NOBODY.1, now).map_err(Failure::usage)?;
    Ok(Actor { signature, nonce: nonce() })
}

/// The author, when flags or the environment name one besides who commits.
pub(super) fn author(author: Option<&str>, date: Option<&str>) -> Result<Signature, Failure> {
    let (name, email) = match author {
        Some(text) => parse_identity(text).map_err(Failure::usage)?,
        None => identity("AUTHOR")?,
    };
    Signature::new(&name, &email, time("AUTHOR", date)?).map_err(Failure::usage)
}

/// Whether a command has `--author`, and was told an author by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthorFlag {
    /// It has no such option.
    Absent,
    /// It has, and it was left out.
    Unused,
    /// It says who the author is.
    Used,
}

/// Says how to be named, after a commit of somebody of whom nothing said the name or the e-mail address.
pub(super) fn warn_of_nobody(as_json: bool, flag: AuthorFlag) -> Result<(), Failure> {
    let (name, email) = configured("AUTHOR")?;
    let (missing, ways) = match (&name, &email) {
        _ if flag == AuthorFlag::Used => return Ok(()),
        (Some(_), Some(_)) => return Ok(()),
        (None, None) => ("nobody is set as author", "user.name NAME` and `user.email` say who you are"),
        (None, Some(_)) => ("no name is set for the author", "user.name NAME` says yours"),
        (Some(_), None) => ("no e-mail address is set for the author", "user.email EMAIL` says yours"),
    };
    let or_flag = if flag == AuthorFlag::Unused { ", or --author for one commit" } else { "" };
    let (name, email) = or_nobody((name, email));
    let detail = format!(
        "{missing}, so this was made by {name} <{email}>; `git config --global {ways}, or \
         HUBVAULT_AUTHOR='NAME <EMAIL>'{or_flag}"
    );
    notices::warning(as_json, None, &detail)
}

/// The date that was given, else the one of Git's environment, else now.
fn time(role: &str, date: Option<&str>) -> Result<Timestamp, Failure> {
    let now = ZonedDateTime::now();
    let name = format!("GIT_{role}_DATE");
    match (date, variable(&name)) {
        (Some(text), _) => parse::date(text, now.time_zone()).map_err(Failure::usage),
        (None, Some(text)) => {
            parse::date(&text, now.time_zone()).map_err(|error| Failure::usage(format!("{name}: {error}")))
        }
        (None, None) => Ok(parse::timestamp(&now)),
    }
}

/// Name and e-mail address.
fn identity(role: &str) -> Result<(String, String), Failure> {
    configured(role).map(or_nobody)
}

fn or_nobody((name, email): (Option<String>, Option<String>)) -> (String, String) {
    (name.unwrap_or_else(|| NOBODY.0.to_owned()), email.unwrap_or_else(|| NOBODY.1.to_owned()))
}

/// Name and e-mail address, as far as anything says them.
fn configured(role: &str) -> Result<(Option<String>, Option<String>), Failure> {
    if let Some(text) = variable("HUBVAULT_AUTHOR") {
        return match parse_identity(&text) {
            Ok((name, email)) => Ok((Some(name), Some(email))),
            Err(error) => Err(Failure::usage(format!("HUBVAULT_AUTHOR: {error}"))),
        };
    }
    let name = variable(&format!("GIT_{role}_NAME"));
    let email = variable(&format!("GIT_{role}_EMAIL"));
    if name.is_some() && email.is_some() {
        return Ok((name, email));
    }
    let (git_name, git_email) = GIT_CONFIG.get_or_init(git_config);
    let email = email.or_else(|| git_email.clone()).or_else(|| variable("EMAIL"));
    Ok((name.or_else(|| git_name.clone()), email))
}

/// Asking Git takes as long as a small commit, and author and committer both want to know.
static GIT_CONFIG: OnceLock<(Option<String>, Option<String>)> = OnceLock::new();

/// The `git` that was started early; its answer is a few bytes, so it never waits for us.
static STARTED: Mutex<Option<Child>> = Mutex::new(None);

/// Starts asking Git who commits, if it will have to be asked: it answers while the vault is being opened.
pub(super) fn ask_early() {
    let known = |what: &str| {
        ["AUTHOR", "COMMITTER"].iter().all(|role| variable(&format!("GIT_{role}_{what}")).is_some())
    };
    if variable("HUBVAULT_AUTHOR").is_none() && !(known("NAME") && known("EMAIL")) {
        *STARTED.lock().unwrap_or_else(PoisonError::into_inner) = start_git().ok();
    }
}

fn start_git() -> io::Result<Child> {
    let arguments = ["config", "--null", "--get-regexp", r"^user\.(name|email)$"].map(OsStr::new);
    let mut git = Command::new("git");
    git.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// `user.name` and `user.email` as Git itself finds them; nothing when there is no Git.
fn git_config() -> (Option<String>, Option<String>) {
    let started = STARTED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let output = started.map_or_else(start_git, Ok).and_then(Child::wait_with_output);
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let value = |key: &str| {
        // The last one wins, as in Git.
        let mut values = text.split('\0').filter_map(|entry| entry.strip_prefix(key)?.strip_prefix('\n'));
        values.next_back().map(str::to_owned).filter(|value| !value.trim().is_empty())
    };
    (value("user.name"), value("user.email"))
}

/// Sixteen bytes that will not repeat: the system's randomness as the standard library seeds its hashers with,
/// the clock and the process.
fn nonce() -> [u8; 16] {
    let half = |salt: u64| {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(salt);
        hasher.write_u32(std::process::id());
        hasher.write_i128(ZonedDateTime::now().timestamp().as_nanosecond());
        hasher.finish()
    };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&half(1).to_le_bytes());
    nonce[8..].copy_from_slice(&half(2).to_le_bytes());
    nonce
}

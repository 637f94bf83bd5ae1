//! Whether one name between two slashes is a name on every platform.
//!
//! Exists apart from the path so that each platform's rule stands next to its source and its test. It must not
//! know what folder the name is in: two names that clash are the business of [`super::collision_key`].

use super::{MAX_COMPONENT, PathError, start};

/// Refuses a component (not empty, no slash) that some platform cannot hold or takes for something else.
pub(super) fn check(component: &str) -> Result<(), PathError> {
    // A string has at most as many UTF-16 units as UTF-8 bytes, so one bound covers NTFS, APFS and ext4.
    if component.len() > MAX_COMPONENT {
        return Err(PathError::ComponentTooLong(start(component)));
    }
    if is_dot_git(component) {
        return Err(PathError::DotGit(component.to_owned()));
    }
    if let Some(character) = component.chars().find(|&character| !is_portable(character)) {
        return Err(PathError::Character { component: component.to_owned(), character });
    }
    if component.ends_with(['.', ' ']) {
        return Err(PathError::TrailingDotOrSpace(component.to_owned()));
    }
    if is_device(component) {
        return Err(PathError::Device(component.to_owned()));
    }
    Ok(())
}

/// Windows' "Naming Files, Paths, and Namespaces": reserved characters and control codes.
fn is_portable(character: char) -> bool {
    !matches!(character, '\0'..='\x1f' | '\x7f' | '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*')
}

/// The same document's device names; the console pair is only in `CreateFile`'s. What follows the first dot
/// does not matter to Windows, nor do spaces before it.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let mut number = port.unwrap_or_default().chars();
    matches!((number.next(), number.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

/// `.git` as NTFS or HFS+ would read the name: any case; with spaces, dots or a stream after it; by its
/// short name; with code points HFS+ ignores.
fn is_dot_git(component: &str) -> bool {
    let visible: String = component.chars().filter(|&c| !is_ignored_by_hfs(c)).collect();
    let visible = visible.to_ascii_lowercase();
    let mut tails = [".git", "git~1"].into_iter().filter_map(|name| visible.strip_prefix(name));
    tails.any(|tail| {
        let tail = tail.trim_start_matches(['.', ' ']);
        tail.is_empty() || tail.starts_with(':')
    })
}

/// The list in Git's `utf8.c:next_hfs_char`.
fn is_ignored_by_hfs(character: char) -> bool {
    matches!(character, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_of_git_s_folder_is_refused() {
        let aliases = [
            ".git",
            ".GIT",
            ".giT ",
            ".git.",
            ".git . .",
            ".git::$INDEX_ALLOCATION",
            ".git . :x",
            "git~1",
            "GIT~1",
            "git~1 .",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".git\u{206f}",
            "g\u{202a}it~1",
        ];
        for alias in aliases {
            assert_eq!(check(alias), Err(PathError::DotGit(alias.into())), "{alias:?}");
        }
        for other in [".gitignore", ".git-x", "git", "git~10", "x.git", ".git x"] {
            assert_eq!(check(other), Ok(()), "{other}");
        }
    }

    #[test]
    fn devices_are_refused_by_stem_and_in_any_case() {
        let devices = [
            "CON",
            "con",
            "Prn.txt",
            "aux.tar.gz",
            "NUL .x",
            " nul",
            "com0",
            "COM9.bin",
            "LPT1",
            "com¹",
            "LPT².x",
            "Com³",
            "conin$",
            "CONOUT$.log",
        ];
        for device in devices {
            assert_eq!(check(device), Err(PathError::Device(device.into())), "{device}");
        }
        for other in ["CONSOLE", "COM", "COM12", "LPTX", "null", "x.con", "com⁴", "CONIN"] {
            assert_eq!(check(other), Ok(()), "{other}");
        }
    }

    #[test]
    fn characters_and_endings_windows_cannot_store_are_refused() {
        for character in "<>:\"|?*\0\u{1}\n\u{1f}\u{7f}".chars() {
            let component = format!("a{character}b");
            assert_eq!(check(&component), Err(PathError::Character { component, character }));
        }
        for name in ["a.", "a ", "...", " ", "a. ."] {
            assert_eq!(check(name), Err(PathError::TrailingDotOrSpace(name.into())), "{name:?}");
        }
    }

    #[test]
    fn length_counts_bytes() {
        assert_eq!(check(&"a".repeat(255)), Ok(()));
        assert!(matches!(check(&"a".repeat(256)), Err(PathError::ComponentTooLong(_))));
        assert!(matches!(check(&"é".repeat(128)), Err(PathError::ComponentTooLong(_))));
    }
}

//! Keeps `docs/compatibility.md` true: nothing of the seed, the Hub's library or everyday Git is left out, and what
//! is said to be ours exists. Reads text only.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../docs/compatibility.md");

/// `HubVaultApi` of the seed.
const SEED: &str = "create_repo repo_info create_commit merge get_paths_info list_repo_tree list_repo_files \
    list_repo_commits list_repo_refs create_branch delete_branch create_tag delete_tag list_repo_reflog open_file \
    read_bytes read_range hf_hub_download snapshot_download upload_file upload_folder upload_large_folder \
    delete_file delete_folder reset_ref quick_verify full_verify get_storage_overview gc squash_history";

/// Commands of the seed.
const SEED_COMMANDS: &str =
    "init status commit branch tag log ls-tree merge reset download snapshot verify serve";

/// Classes of errors of the seed.
const SEED_ERRORS: &str = "RepositoryNotFoundError RepositoryAlreadyExistsError RevisionNotFoundError \
    EntryNotFoundError ConflictError IntegrityError VerificationError UnsupportedPathError \
    HubVaultValidationError HubVaultError";

/// `HfApi`, without what needs a server, users or other repositories.
const HUB: &str = "create_repo delete_repo repo_info repo_exists revision_exists file_exists list_repo_files \
    list_repo_tree get_paths_info list_repo_refs list_repo_commits create_commit preupload_lfs_files upload_file \
    upload_folder upload_large_folder delete_file delete_files delete_folder create_branch delete_branch create_tag \
    delete_tag super_squash_history hf_hub_download snapshot_download parse_safetensors_file_metadata \
    verify_repo_checksums";

/// Everyday Git: what `git help` lists, and what is typed beside it.
const GIT: &str = "init add commit status log show diff ls-tree ls-files cat-file rev-parse branch switch checkout \
    restore worktree tag merge merge-base rebase cherry-pick revert reset reflog rm mv stash clone push pull fetch \
    gc fsck count-objects archive lfs bisect blame grep";

/// The text of one section of the document.
fn section(title: &str) -> &'static str {
    let after = DOCUMENT.split(&format!("\n## {title}\n")).nth(1).unwrap();
    after.split("\n## ").next().unwrap()
}

/// First cells of the rows of a section's tables.
fn rows(title: &str) -> BTreeSet<String> {
    let cells = section(title).lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.map(str::to_owned).collect()
}

fn assert_rows(title: &str, prefix: &str, wanted: &str) {
    let found = rows(title);
    for name in wanted.split_whitespace() {
        assert!(found.contains(&format!("{prefix}{name}")), "`{prefix}{name}` is missing under `{title}`");
    }
}

#[test]
fn nothing_is_left_out() {
    assert_rows("The seed's library", "", SEED);
    assert_rows("The seed's library", "", SEED_ERRORS);
    assert_rows("The seed's command line", "", SEED_COMMANDS);
    assert_rows("huggingface_hub", "", HUB);
    assert_rows("Git", "git ", GIT);
}

/// What the program answers to Git's words is what the table says, and no word of Git's that we have not is unanswered.
#[test]
fn the_program_answers_to_words_of_git_what_is_said_here() {
    let words = hubvault::cli::git_words();
    let ours = ours();
    for (names, answer) in &words {
        let row = section("Git").lines().find(|line| line.starts_with(&format!("| {names} |")));
        let row = row.unwrap_or_else(|| panic!("{names} has no row"));
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells[2].trim_end_matches(" |"), *answer, "{names}");
        let instead: BTreeSet<_> = commands(cells[1]);
        assert_eq!(instead, commands(answer), "{names}: the second column names what the third does");
        assert!(instead.is_subset(&ours), "{instead:?}");
    }
    for row in rows("Git") {
        let command = row.strip_prefix("git ").unwrap();
        let is_answered = words.iter().any(|(names, _)| names.starts_with(&format!("`{row}`")));
        assert_eq!(is_answered, !ours.contains(command), "`{row}`");
    }
}

/// Names of commands that are in backticks.
fn commands(text: &str) -> BTreeSet<String> {
    let code = text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("hv "));
    code.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
}

/// Commands there are.
fn ours() -> BTreeSet<String> {
    let reference = hubvault::cli::reference();
    let heads = reference.lines().filter_map(|line| line.strip_prefix("## `hv ")?.strip_suffix('`'));
    heads.map(|command| command.split(' ').next().unwrap().to_owned()).collect()
}

/// Words in backticks that start with `prefix`, up to the end of a name.
fn named(prefix: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let after = DOCUMENT.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix(prefix));
    after.map(|rest| rest.chars().take_while(|&c| is_name(c)).collect()).collect()
}

#[test]
fn methods_that_are_named_exist() {
    let mut source = String::new();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops")];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { pending.push(path) } else { source += &fs::read_to_string(path).unwrap() }
        }
    }
    let methods = named("Repository::");
    assert!(methods.len() > 30, "{methods:?}");
    for name in methods.iter().chain(&named("OpsError::")) {
        let is_there =
            [format!("pub fn {name}("), format!("pub fn {name}<")].iter().any(|head| source.contains(head));
        assert!(is_there, "`{name}` is no public method");
    }
}

#[test]
fn commands_that_are_named_exist_and_none_is_forgotten() {
    let ours = ours();
    let mut named = named("hv ");
    named.remove("");
    assert_eq!(named, ours, "left: commands in docs/compatibility.md; right: commands there are");
}

/// A class that no error has, or an error of no class of the seed.
#[test]
fn classes_are_the_seeds() {
    let source = include_str!("../../src/ops/error.rs");
    let body = source.split("fn python_class").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let known = format!("{SEED_ERRORS} ValueError");
    let used: BTreeSet<&str> = body.split('"').filter(|word| word.ends_with("Error")).collect();
    for class in &used {
        assert!(known.split_whitespace().any(|name| name == *class), "{class}");
    }
    let unused: Vec<_> = known.split_whitespace().filter(|class| !used.contains(class)).collect();
    assert_eq!(unused, ["HubVaultValidationError"], "classes that no error has");
}

//! Links planted in the folder of a vault: refused with a clear error, never followed out of it.
//!
//! Every file and every folder of a real vault on disk is replaced in turn by a symbolic link to a copy of it
//! outside, so that following it would go unnoticed, and by a folder, a pipe and a socket. Only for Unix.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hubvault::Repository;
use hubvault::ops::InitOptions;

use super::{actor, add, commit, noise};

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.clone());
        if path.is_dir() {
            walk(&path, found);
        }
    }
}

/// Everything a vault says when it is asked for all it holds; `None` when nothing is wrong.
fn complaint(root: &Path) -> Option<String> {
    let repository = match Repository::open(root) {
        Ok(repository) => repository,
        Err(error) => return Some(error.to_string()),
    };
    let mut told: String = repository.warnings().iter().map(|warning| warning.file.clone()).collect();
    match repository.verify(true, &mut |_| ()) {
        Ok(report) => told.extend(report.findings.iter().map(|finding| format!("{}\n", finding.problem))),
        Err(error) => told += &error.to_string(),
    }
    let snapshot = repository.snapshot(None).unwrap();
    for path in ["a.txt", "whole.bin"] {
        if let Ok(file) = snapshot.open_path(path) {
            let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
            if let Err(error) = file.read_at(0, &mut bytes) {
                told += &error.to_string();
            }
        }
    }
    if let Err(error) = repository.create_branch("new", None, true, &actor()) {
        told += &error.to_string();
    }
    (!told.is_empty()).then_some(told)
}

#[test]
fn links_folders_and_pipes_in_place_of_vault_files_are_refused() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path().join("vault");
    let (repository, _) = Repository::init(&root, &InitOptions::default(), &actor()).unwrap();
    commit(&repository, None, &[add("a.txt", "a"), add("whole.bin", noise(5, 600_000))]);
    assert_eq!(complaint(&root), None);
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let mut tried = 0;
    for path in paths {
        let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let unused = ["cache", "leases", "tmp"].contains(&relative.as_str());
        if unused || relative.starts_with("locks") && path.is_file() {
            continue;
        }
        let moved = outside.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        symlink(&moved, &path).unwrap();
        let told = complaint(&root).unwrap_or_else(|| panic!("{relative}: the link was followed"));
        assert!(told.contains(&relative), "{relative}: {told}");
        fs::remove_file(&path).unwrap();
        tried += 1;
        if moved.is_file() {
            fs::create_dir(&path).unwrap();
            assert!(complaint(&root).unwrap().contains(&relative));
            fs::remove_dir(&path).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            assert!(complaint(&root).unwrap().contains(&relative));
            fs::remove_file(&path).unwrap();
            tried += 2;
        }
        fs::rename(&moved, &path).unwrap();
        assert_eq!(complaint(&root), None, "{relative} is back");
    }
    assert!(tried >= 15, "{tried}");
}

#[test]
fn the_folder_itself_may_be_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("vault");
    drop(Repository::init(&root, &InitOptions::default(), &actor()).unwrap());
    symlink(&root, folder.path().join("link")).unwrap();
    let repository = Repository::open(&folder.path().join("link")).unwrap();
    commit(&repository, None, &[add("a", "a")]);
}

#[test]
fn a_link_among_the_leases_leads_nowhere() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path().join("vault");
    let (repository, _) = Repository::init(&root, &InitOptions::default(), &actor()).unwrap();
    for name in ["tmp", "locks", "leases"] {
        fs::remove_dir_all(root.join(name)).unwrap();
        symlink(outside.path(), root.join(name)).unwrap();
    }
    let snapshot = repository.snapshot(None).unwrap();
    assert!(repository.lease(&snapshot, &actor(), "test", 1).is_none());
    assert!(repository.create_branch("b", None, false, &actor()).is_err());
    assert!(repository.status().is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

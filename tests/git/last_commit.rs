//! Last commits of paths on random histories with merges, file against folder, changed modes and clocks that go
//! backwards: each is what `git log -1 -- PATH` says. Then the same with what earlier listings left in the cache, and
//! with a cache that is damaged or lies.
//!
//! Prevents an answer that is plausible and not Git's, above all at merges. Knows the public library.

use std::collections::BTreeMap;
use std::io::Write as _;

use hubvault::ops::models::RepoEntry;
use hubvault::snapshot::Mode;
use hubvault::store::frame;
use hubvault::store::media::Media;
use proptest::prelude::*;

use super::Git;
use super::workshop::{Files, Workshop};

const PATHS: [&str; 9] = ["a", "a/x", "b", "d/e", "d/f/g", "d/f/h", "d-/x", "m/n/o/p", "z"];

/// A commit: how far back its parents are, from which of them each path is taken, and what is then changed.
#[derive(Debug, Clone)]
struct Plan {
    parents: Vec<usize>,
    from: Vec<usize>,
    edits: Vec<(usize, Option<u8>)>,
    skew: i64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let parents = prop_oneof![
        1 => Just(Vec::new()),
        12 => prop::collection::vec(0_usize..3, 1..=1),
        8 => prop::collection::vec(0_usize..6, 2..=2),
        1 => prop::collection::vec(0_usize..8, 3..=3),
    ];
    let edit = (0..PATHS.len(), prop_oneof![3 => (0_u8..3).prop_map(Some), 1 => Just(None)]);
    let from = prop::collection::vec(any::<usize>(), PATHS.len());
    (parents, from, prop::collection::vec(edit, 0..3), -100_i64..100)
        .prop_map(|(parents, from, edits, skew)| Plan { parents, from, edits, skew })
}

fn histories(plans: &[Plan]) -> Vec<(Files, Vec<usize>, i64)> {
    let mut made: Vec<(Files, Vec<usize>, i64)> = Vec::new();
    for (number, plan) in plans.iter().enumerate() {
        let mut parents: Vec<usize> =
            plan.parents.iter().filter_map(|back| (number + 1).checked_sub(back + 2)).collect();
        let mut seen = std::collections::BTreeSet::new();
        parents.retain(|parent| seen.insert(*parent));
        let mut files = Files::new();
        for (path, from) in PATHS.iter().zip(&plan.from) {
            if let Some(parent) = parents.get(from % parents.len().max(1))
                && let Some(file) = made[*parent].0.get(*path)
            {
                files.insert((*path).to_owned(), file.clone());
            }
        }
        for (path, content) in &plan.edits {
            match content {
                Some(content) => {
                    let mode = if content % 2 == 0 { Mode::File } else { Mode::Executable };
                    drop(files.insert(PATHS[*path].to_owned(), (mode, vec![b'0' + content / 2])));
                }
                None => drop(files.remove(PATHS[*path])),
            }
        }
        if files.contains_key("a") {
            files.remove("a/x");
        }
        made.push((files, parents, 1_700_000_000 + i64::try_from(number).unwrap() * 60 + plan.skew));
    }
    made
}

fn last_commits(shop: &Workshop, revision: &str) -> BTreeMap<String, String> {
    let entries = shop.repository.list_repo_tree_expanded(None, true, Some(revision)).unwrap();
    let by_path = |entry: &RepoEntry| (entry.path().to_owned(), entry.last_commit().unwrap().oid.to_string());
    let all: BTreeMap<_, _> = entries.iter().map(by_path).collect();
    // Folder by folder, and by path, it is the same.
    let mut folders = vec![None];
    while let Some(folder) = folders.pop() {
        for entry in
            shop.repository.list_repo_tree_expanded(folder.as_deref(), false, Some(revision)).unwrap()
        {
            assert_eq!(all[entry.path()], by_path(&entry).1, "{folder:?}");
            if matches!(entry, RepoEntry::Folder(_)) {
                folders.push(Some(entry.path().to_owned()));
            }
        }
    }
    for entry in shop.repository.get_paths_info_expanded(all.keys(), Some(revision)).unwrap() {
        assert_eq!(all[entry.path()], by_path(&entry).1);
    }
    all
}

fn tables(media: &dyn Media) -> Vec<String> {
    let mut found = Vec::new();
    for listing in media.list("cache/history").unwrap_or_default() {
        let place = format!("cache/history/{listing}");
        found.extend(media.list(&place).unwrap().into_iter().map(|name| format!("{place}/{name}")));
    }
    found
}

fn rewrite(media: &dyn Media, path: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let file = media.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    media.remove(path).unwrap();
    media.create("tmp/other").unwrap().write_all(&change(bytes)).unwrap();
    media.publish("tmp/other", path).unwrap();
}

/// The table with every answer replaced by another commit of the history.
fn lie(bytes: &[u8], commits: &[String]) -> Vec<u8> {
    let (mut table, _) = frame::decode::<serde_json::Value>("history", bytes).unwrap();
    for (at, commit) in table["commits"].as_array_mut().unwrap().iter_mut().enumerate() {
        *commit = commits[at % commits.len()].clone().into();
    }
    frame::encode("history", &table).0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_is_what_git_log_says(plans in prop::collection::vec(plan(), 24..40)) {
        let mut shop = Workshop::new();
        let made = shop.commits(&histories(&plans));
        let git = Git::new();
        shop.export(&git);
        let media = shop.repository.vault().media();
        let newest = format!("c{}", made.len() - 1);
        let wanted: BTreeMap<String, String> = {
            let listed = git.text(&["ls-tree", "-r", "-t", "--name-only", "-z", &newest], b"");
            let paths = listed.split('\0').filter(|path| !path.is_empty());
            let last = |path: &str| git.text(&["--literal-pathspecs", "log", "-1", "--format=%H", &newest, "--", path], b"");
            paths.map(|path| (path.to_owned(), last(path))).collect()
        };
        prop_assert_eq!(&last_commits(&shop, &newest), &wanted);
        // Again, from what was kept; and with only what older listings kept.
        prop_assert_eq!(&last_commits(&shop, &newest), &wanted);
        for path in tables(media) {
            media.remove(&path).unwrap();
        }
        for older in [made.len() / 2, made.len() - 4] {
            last_commits(&shop, &format!("c{older}"));
        }
        prop_assert_eq!(&last_commits(&shop, &newest), &wanted);
        for path in tables(media) {
            rewrite(media, &path, |mut bytes| { let at = bytes.len() / 2; bytes[at] ^= 1; bytes });
        }
        prop_assert_eq!(&last_commits(&shop, &newest), &wanted);
    }
}

#[test]
fn what_a_long_walk_found_is_kept_and_used() {
    let mut shop = Workshop::new();
    let file = |text: &str| (Mode::File, text.as_bytes().to_vec());
    let plans: Vec<_> = (0..60)
        .map(|n: usize| {
            let mut files = Files::from([("old".to_owned(), file("1")), ("d/deep".to_owned(), file("1"))]);
            files.insert("d/new".to_owned(), file(&n.to_string()));
            (files, n.checked_sub(1).into_iter().collect(), 1_700_000_000 + i64::try_from(n).unwrap())
        })
        .collect();
    let made = shop.commits(&plans);
    let media = shop.repository.vault().media();
    let list = |revision: &str| {
        let listed = shop.repository.list_repo_tree_expanded(None, false, Some(revision)).unwrap();
        listed.iter().map(|e| (e.path().to_owned(), e.last_commit().unwrap().oid)).collect::<Vec<_>>()
    };
    assert_eq!(list("c40"), [("d".to_owned(), made[40]), ("old".to_owned(), made[0])]);
    assert_eq!(tables(media).len(), 1);
    // Short of what is kept, nothing is read: with the first commits lost, the answer is the same.
    assert_eq!(list("c45"), [("d".to_owned(), made[45]), ("old".to_owned(), made[0])]);
    assert_eq!(tables(media).len(), 1, "a short walk is not kept");
    for n in 0..40 {
        list(&format!("c{n}"));
    }
    list("c59");
    // One that is whole and wrong is not believed where the trees say otherwise.
    let others: Vec<String> = made.iter().rev().map(ToString::to_string).collect();
    let lies = tables(media);
    for path in &lies {
        rewrite(media, path, |bytes| lie(&bytes, &others));
    }
    assert_eq!(list("c59"), [("d".to_owned(), made[59]), ("old".to_owned(), made[0])]);
    assert_eq!(list("c41"), [("d".to_owned(), made[41]), ("old".to_owned(), made[0])]);
    assert!(tables(media).len() <= 17, "{}", tables(media).len());
    assert!(media.list("tmp").unwrap().is_empty());
}

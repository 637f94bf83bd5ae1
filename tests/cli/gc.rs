//! `hv gc`, `hv squash` and `hv du`: what they say, in words and in JSON.

use std::fs;

use super::Desk;
use crate::samples::noise;

#[test]
fn collecting_says_what_goes_and_what_stays() {
    let desk = Desk::new();
    desk.commit_file("f", noise(1, 600_000));
    desk.commit_file("f", noise(2, 600_000));
    let first = desk.on(["rev-parse", "main~1"]).text();
    let squashed = desk.on(["squash", "--json"]).json();
    assert_eq!(squashed["rewritten_commit_count"], 1);
    // Still there: it can be undone.
    assert_eq!(squashed["gc_report"]["held"][0]["by"], "undo");
    assert!(squashed["gc_report"]["held"][0]["size"].as_u64().unwrap() > 600_000, "{squashed}");
    assert!(desk.on(["gc"]).ok().out.contains("stays for undo until"));
    assert_eq!(desk.on(["rev-parse", &first]).text(), first);

    let would = desk.on(["gc", "--dry-run", "--prune=now"]).ok().out;
    assert!(would.contains(&format!("f@{}", &first[..7])) && would.contains("would free"), "{would}");
    let said = desk.on(["gc", "-n", "--prune=now", "--json"]).json();
    let did = desk.on(["gc", "--prune=now", "--json"]).json();
    assert_eq!(said["reclaimed_size"], did["reclaimed_size"]);
    assert!(did["reclaimed_chunk_size"] == 600_000 && did["dry_run"] == false, "{did}");
    desk.on(["rev-parse", &first]).fails(3, &[]);
    assert!(desk.content(":f") == noise(2, 600_000));
    desk.on(["verify", "--full"]).ok();
    desk.on(["gc", "--prune=soon"]).fails(2, &["soon"]);
    let nothing = desk.on(["gc", "--prune=now", "--json"]).json();
    assert_eq!((&nothing["reclaimed_size"], &nothing["removed_file_count"]), (&0.into(), &0.into()));
}

#[test]
fn the_cache_goes_when_asked_for() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("vault/cache/a/b")).unwrap();
    fs::write(desk.path("vault/cache/a/b/c"), vec![0; 1000]).unwrap();
    assert_eq!(desk.on(["gc", "--json"]).json()["reclaimed_cache_size"], 0);
    let report = desk.on(["gc", "--prune-cache", "--json"]).json();
    assert_eq!((&report["reclaimed_cache_size"], &report["reclaimed_size"]), (&1000.into(), &1000.into()));
    assert!(!desk.path("vault/cache/a").exists() && desk.path("vault/cache").exists());
}

#[test]
fn squashing_tells_who_keeps_old_history() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    desk.commit_file("f", "2");
    desk.on(["tag", "v1"]).ok();
    let said = desk.on(["squash", "main", "--no-gc", "-m", "All so far"]).ok().out;
    assert!(
        said.contains("1 commit made again, 2 dropped") && said.contains("stays for refs/tags/v1"),
        "{said}"
    );
    assert!(desk.on(["log", "--oneline"]).text().ends_with("All so far"));
    desk.on(["squash", "main", "--root", "v1"]).fails(4, &["first parents"]);
    desk.on(["squash", "v1"]).fails(3, &["v1"]);
    desk.on(["squash", "refs/tags/v1"]).fails(2, &["not a branch"]);
}

#[test]
fn space_is_accounted_for() {
    let desk = Desk::new();
    desk.commit_file("d/a", noise(3, 700_000));
    desk.commit_file("b", noise(4, 600_000));
    desk.on(["branch", "old", "main~1"]).ok();
    let whole = desk.on(["du", "--json"]).json();
    let sections = whole["sections"].as_array().unwrap();
    let sum: u64 = sections.iter().map(|section| section["total_size"].as_u64().unwrap()).sum();
    assert_eq!(whole["total_size"].as_u64().unwrap(), sum);
    assert_eq!((&whole["logical_size"], &whole["unique_size"]), (&1_300_000.into(), &1_300_000.into()));
    assert!(desk.on(["du"]).ok().out.contains("all together"));
    let all = desk.on(["du", "--all", "--json"]).json();
    let main = &all[0];
    assert_eq!((&main["revision"], &main["logical_size"]), (&"refs/heads/main".into(), &1_300_000.into()));
    assert_eq!((&main["unique_size"], &main["shared_size"]), (&600_000.into(), &700_000.into()));
    assert_eq!(all[1]["unique_size"], 0);
    let one = desk.on(["du", "main", "--json"]).json();
    assert_eq!((&one["revision"]["unique_size"], &one["paths"][1]["path"]), (&600_000.into(), &"d".into()));
    let below = desk.on(["du", "-r", "main", "--path", "d", "--json"]).json();
    assert_eq!(
        (&below["paths"][0]["path"], &below["paths"][0]["logical_size"]),
        (&"d/a".into(), &700_000.into())
    );
    assert!(desk.on(["du", "main"]).ok().out.contains("d/"));
    desk.on(["du", "main", "--path", "none"]).fails(3, &["none"]);
}

/// A vault from a stranger may have a link where its cache belongs.
#[cfg(unix)]
#[test]
fn pruning_a_cache_that_is_a_link_touches_nothing_outside() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let mine = desk.write("elsewhere/mine", "mine");
    fs::remove_dir_all(desk.path("vault/cache")).unwrap();
    std::os::unix::fs::symlink(desk.path("elsewhere"), desk.path("vault/cache")).unwrap();
    desk.on(["gc", "--prune=now", "--prune-cache"]).fails(1, &["cannot empty `cache` in the vault"]);
    assert!(mine.exists(), "what the link leads to was emptied");
    // Below it, a link goes and what it leads to stays.
    fs::remove_file(desk.path("vault/cache")).unwrap();
    fs::create_dir(desk.path("vault/cache")).unwrap();
    std::os::unix::fs::symlink(desk.path("elsewhere"), desk.path("vault/cache/files")).unwrap();
    desk.on(["gc", "--prune=now", "--prune-cache"]).ok();
    assert!(mine.exists() && !desk.path("vault/cache/files").is_symlink());
}

#[test]
fn a_squash_whose_collection_fails_is_reported_all_the_same() {
    let desk = Desk::new();
    desk.commit_file("f", noise(1, 600_000));
    let old = desk.commit_file("g", "2");
    let packs = desk.path("vault/packs");
    let pack =
        super::entries(&packs).into_iter().find(|name| name.ends_with(".pack")).expect("a pack of its own");
    fs::write(packs.join(&pack), "short").unwrap();
    let squashed = desk.on(["squash"]);
    let new = desk.head();
    assert!(new != old && squashed.code == Some(5), "{squashed:?}");
    assert!(squashed.out.contains(&format!("is {}: 1 commit made again", &new[..7])), "{squashed:?}");
    assert!(squashed.err.contains("squashed all the same, by transaction "), "{squashed:?}");
    desk.on(["undo"]).ok();
    let squashed = desk.on(["squash", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&squashed.out).unwrap();
    assert!(squashed.code == Some(5) && report["gc_report"].is_null(), "{squashed:?}");
    let named = format!("by transaction {}", report["transaction"]);
    assert!(squashed.err.contains(&named) && squashed.err.contains("\"damaged\""), "{squashed:?}");
}

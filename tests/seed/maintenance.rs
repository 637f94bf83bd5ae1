//! Statements 52 to 58 and 61: verifying, the accounts of space, garbage collection and squashing.

use std::fs;

use hubvault::Repository;
use hubvault::ops::gc::GcOptions;
use hubvault::ops::overview::StorageOverview;
use hubvault::ops::squash::{SquashOptions, SquashReport};
use hubvault::ops::{CommitOperation, OpsError};

use super::{Bench, add, everything, message, noise, path};

fn total(bench: &Bench) -> u64 {
    everything(&bench.path("vault")).values().map(|bytes| bytes.len() as u64).sum()
}

fn overview(bench: &Bench) -> StorageOverview {
    bench.repository.get_storage_overview(&bench.actor()).unwrap()
}

fn squash(bench: &Bench, branch: &str, root: Option<&str>) -> Result<SquashReport, OpsError> {
    let options = SquashOptions {
        root_revision: root.map(str::to_owned),
        gc: Some(GcOptions { prune_cache: true, ..GcOptions::now() }),
        ..SquashOptions::default()
    };
    bench.repository.squash_history(branch, &options, &bench.actor(), &mut |_| ())
}

/// A file of the vault whose name ends like this.
fn vault_file(bench: &Bench, ending: &str) -> std::path::PathBuf {
    let files = everything(&bench.path("vault"));
    files.into_keys().find(|file| file.to_string_lossy().ends_with(ending)).unwrap()
}

fn damage(file: &std::path::Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

#[test]
fn s52_a_healthy_repository_verifies() {
    let bench = Bench::new();
    bench.commit(&[add("f", "1"), add("large", noise(1, 700_000))]);
    bench.repository.create_branch("dev", None, false, &bench.actor()).unwrap();
    bench.repository.create_tag("v1", Some("one"), None, false, &bench.actor()).unwrap();
    for report in [bench.repository.quick_verify().unwrap(), bench.repository.full_verify().unwrap()] {
        assert!(report.ok && report.findings.is_empty() && report.warnings.is_empty(), "{report:?}");
        assert_eq!(report.checked_refs, ["refs/heads/dev", "refs/heads/main", "refs/tags/v1"]);
        assert_eq!(report.commits, 2, "each commit is looked at once");
    }
}

#[test]
fn s53_damage_is_an_error_that_names_ref_and_path() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, bool, Change); 3] = [
        (".pack", true, |bytes| bytes[1000] ^= 1),
        (".pack", false, |bytes| bytes.truncate(1000)),
        (".pack", false, Vec::clear),
    ];
    for (ending, full, change) in changes {
        let bench = Bench::new();
        bench.commit(&[add("folder/large", noise(2, 700_000))]);
        bench.commit(&[add("later", "so that nothing is passed over")]);
        damage(&vault_file(&bench, ending), change);
        let repository = Repository::open(&bench.path("vault")).unwrap();
        let report = repository.verify(full, &mut |_| ()).unwrap();
        let finding = report.findings.iter().find(|finding| !finding.affects.is_empty()).unwrap();
        assert!(!report.ok && finding.affects[0].starts_with("folder/large@"), "{report:?}");
        assert_eq!(finding.refs, ["refs/heads/main"]);
    }
    // A missing object, and with it what came before: the ref is named. (On Windows a file that is open, as it is
    // here, goes only when it is closed.)
    #[cfg(unix)]
    {
        let bench = Bench::new();
        bench.commit(&[add("f", "1")]);
        let first = vault_file(&bench, ".idx");
        bench.commit(&[add("g", "2")]);
        fs::remove_file(first).unwrap();
        let report = Repository::open(&bench.path("vault")).unwrap().quick_verify().unwrap();
        assert!(!report.ok && format!("{report:?}").contains("refs/heads/main"), "{report:?}");
    }
    // A version nobody knows.
    let bench = Bench::new();
    damage(&bench.path("vault/HUBVAULT"), |bytes| {
        let text =
            String::from_utf8(bytes.clone()).unwrap().replacen("hubvault-vault 1", "hubvault-vault 9", 1);
        *bytes = text.into_bytes();
    });
    assert!(Repository::open(&bench.path("vault")).is_err());
}

#[test]
fn s54_what_is_left_over_is_only_a_warning() {
    let bench = Bench::new();
    bench.commit(&[add("f", "1")]);
    fs::write(bench.path("vault/tmp/left"), "half").unwrap();
    fs::write(bench.path(&format!("vault/packs/{}.pack", "ab".repeat(16))), vec![1; 5000]).unwrap();
    fs::create_dir_all(bench.path("vault/cache/views")).unwrap();
    fs::write(bench.path("vault/cache/views/broken"), "anything").unwrap();
    fs::write(bench.path(&format!("vault/leases/{}.lease", "cd".repeat(16))), "no lease").unwrap();
    let report = bench.repository.full_verify().unwrap();
    assert!(report.ok && report.warnings.is_empty(), "{report:?}");
    assert_eq!(report.leftovers.len(), 3, "{report:?}");
    let report = bench.repository.gc(&GcOptions::now(), &bench.actor(), &mut |_| ()).unwrap();
    assert_eq!(report.removed_file_count, 3, "{report:?}");
    assert!(bench.repository.full_verify().unwrap().leftovers.is_empty());
}

#[test]
fn s55_gc_refuses_damage_and_a_dry_run_changes_nothing() {
    let bench = Bench::new();
    bench.commit(&[add("a", noise(3, 700_000)), add("b", "b")]);
    bench.commit(&[add("a", noise(4, 700_000))]);
    bench.repository.create_branch("old", Some("main~1"), false, &bench.actor()).unwrap();
    let before = everything(&bench.path("vault"));
    let dry = GcOptions { dry_run: true, ..GcOptions::now() };
    bench.repository.gc(&dry, &bench.actor(), &mut |_| ()).unwrap();
    assert!(everything(&bench.path("vault")) == before, "a dry run changed something");
    let report = bench.repository.gc(&GcOptions::now(), &bench.actor(), &mut |_| ()).unwrap();
    assert_eq!(report.checked_refs, ["refs/heads/main", "refs/heads/old"]);
    for (revision, content) in [("main", noise(4, 700_000)), ("old", noise(3, 700_000))] {
        let snapshot = bench.repository.snapshot(Some(revision)).unwrap();
        let mut found = vec![0; 700_000];
        snapshot.open_path("a").unwrap().read_at(0, &mut found).unwrap();
        assert!(found == content, "{revision}");
    }
    assert!(bench.repository.full_verify().unwrap().ok);
    bench.commit(&[add("c", "so that the damage is not in the newest")]);
    damage(&vault_file(&bench, ".pack"), |bytes| bytes.truncate(5));
    let before = everything(&bench.path("vault"));
    let repository = Repository::open(&bench.path("vault")).unwrap();
    let error = repository.gc(&GcOptions::now(), &bench.actor(), &mut |_| ()).unwrap_err();
    assert_eq!(error.code(), "damaged", "{error}");
    assert!(everything(&bench.path("vault")) == before, "{error}");
}

#[test]
fn s56_the_same_large_file_again_adds_no_content() {
    let bench = Bench::new();
    let packs = || overview(&bench).sections[0].total_size;
    let large = noise(5, 900_000);
    bench.commit(&[add("a", large.clone()), add("b", large.clone())]);
    assert_eq!(packs(), 900_000);
    bench.commit(&[add("c", large)]);
    assert_eq!(packs(), 900_000);
}

#[test]
fn s57_the_accounts_add_up() {
    let bench = Bench::new();
    bench.commit(&[add("f", noise(6, 800_000))]);
    bench.commit(&[add("f", noise(7, 800_000))]);
    fs::write(bench.path("vault/cache/view"), vec![1; 1234]).unwrap();
    let before = overview(&bench);
    assert_eq!(before.total_size, total(&bench));
    assert!(before.historical_retained_size >= 800_000 && before.reachable_size >= 800_000, "{before:?}");
    assert!(before.reachable_size + before.historical_retained_size <= before.total_size, "{before:?}");
    assert_eq!((before.reclaimable_cache_size, before.logical_size), (1234, 1_600_000));
    let report = squash(&bench, "main", None).unwrap();
    let gc = report.gc_report.unwrap();
    let after = overview(&bench);
    assert_eq!((after.historical_retained_size, after.reclaimable_cache_size), (0, 0), "{after:?}");
    assert_eq!(after.total_size, total(&bench));
    // What the squash itself wrote is in neither.
    let shrunk = before.total_size - after.total_size;
    let written = u64::try_from(gc.reclaimed_size).unwrap() - shrunk;
    assert!(shrunk > 800_000 && written < 3000, "{shrunk} {written} {gc:?}");
    assert!(bench.repository.full_verify().unwrap().ok);
}

#[test]
fn s58_squash_keeps_the_tip_and_says_what_it_did() {
    let bench = Bench::new();
    for n in 0..5 {
        bench.commit(&[add("f", n.to_string()), add(&format!("g{n}"), "g")]);
    }
    bench.repository.create_branch("other", Some("main~1"), false, &bench.actor()).unwrap();
    let (head, root) = (bench.head(), bench.repository.rev_parse("main~2").unwrap());
    let files = bench.repository.list_repo_files(None).unwrap();
    let tree = bench.repository.rev_parse("main^{tree}").unwrap();
    let report = squash(&bench, "main", Some("main~2")).unwrap();
    assert_eq!(report.ref_name, "refs/heads/main");
    assert_eq!((report.old_head.to_string(), report.root_commit_before), (head, root));
    assert_eq!((report.rewritten_commit_count, report.dropped_ancestor_count), (3, 3));
    assert_eq!(report.blocking_refs, ["refs/heads/other"]);
    assert_eq!(bench.repository.rev_parse("main").unwrap(), report.new_head);
    assert_eq!(bench.repository.rev_parse("main^{tree}").unwrap(), tree);
    assert_eq!(bench.repository.list_repo_files(None).unwrap(), files);
    assert_eq!(bench.repository.history(Some("main")).unwrap().count(), 3);
    assert_eq!(bench.repository.history(Some("other")).unwrap().count(), 5);
    let error = squash(&bench, "main", Some("other")).unwrap_err();
    assert_eq!(error.code(), "conflict", "{error}");
    bench.repository.create_tag("v1", None, None, false, &bench.actor()).unwrap();
    let error = squash(&bench, "refs/tags/v1", None).unwrap_err();
    assert_eq!(error.code(), "invalid-ref-name", "{error}");
    // With the full name of the branch, and once more: it is like that already.
    let again = squash(&bench, "refs/heads/main", Some("main~2")).unwrap();
    assert_eq!((again.transaction, again.old_head), (None, again.new_head));
}

#[test]
fn s61_an_interrupted_collection_leaves_all_data_readable() {
    // At every step: `crash::collect`. Here what a killed one leaves, as a user meets it: files nobody names.
    let bench = Bench::new();
    bench.commit(&[add("f", noise(8, 700_000))]);
    let old = everything(&bench.path("vault"));
    let delete = CommitOperation::Delete { path_in_repo: path("f") };
    bench.try_commit(&[delete, add("g", "g")], &message("next")).unwrap();
    squash(&bench, "main", None).unwrap();
    for (file, bytes) in old.iter().filter(|(file, _)| file.starts_with(bench.path("vault/packs"))) {
        if !file.exists() {
            fs::write(file, bytes).unwrap();
        }
    }
    let repository = Repository::open(&bench.path("vault")).unwrap();
    let report = repository.full_verify().unwrap();
    assert!(report.ok && report.leftovers.len() >= 2, "{report:?}");
    let freed = repository.gc(&GcOptions::now(), &bench.actor(), &mut |_| ()).unwrap();
    assert!(freed.reclaimed_size > 700_000, "{freed:?}");
    assert!(repository.full_verify().unwrap().leftovers.is_empty());
    assert_eq!(repository.list_repo_files(None).unwrap(), ["g"]);
}

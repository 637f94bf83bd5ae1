//! The accident: a way of writing that no crash was ever tried on.
//!
//! One workload for each way the store lays out and publishes what it is given, small enough to be cut at every
//! step. What each is there for is checked on its trace, so that a change of some limit cannot empty it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use hubvault::Repository;
use hubvault::ops::merge::MergeOptions;
use hubvault::ops::replay::ReplayOptions;
use hubvault::ops::squash::SquashOptions;
use hubvault::ops::{AddSource, CommitOperation, CommitOptions, InitOptions, OpsError, RepoPath, Timestamp};
use hubvault::store::media::Media;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::publish::Change;
use hubvault::store::transaction::Context;

use super::{FIRST, Workload, actor, add, commit, noise, open};

/// Files from here on are LFS pointers; low, so that both kinds are small here.
const POINTERS: u64 = 600 << 10;

fn make(media: &MemoryMedia, n: u64) -> Result<(), OpsError> {
    let options = InitOptions { large_file_threshold: POINTERS, ..InitOptions::default() };
    Repository::init_on(Arc::new(media.clone()) as Arc<dyn Media>, &options, &actor(n)).map(drop)
}

/// A vault after `init` and some commits.
fn vault(commits: &[Vec<CommitOperation>]) -> MemoryMedia {
    let media = MemoryMedia::new();
    make(&media, 0).unwrap();
    let repository = open(&media).unwrap();
    for (n, operations) in (1..).zip(commits) {
        commit(&repository, &format!("commit {n}"), operations, n).unwrap();
    }
    media
}

/// A vault whose next transaction is number `next`: the log is filled with transactions that change nothing.
pub(super) fn vault_before(next: u64) -> MemoryMedia {
    let media = vault(&[vec![add("a", b"a".to_vec())]]);
    let repository = open(&media).unwrap();
    let first = repository.vault().view().state.next;
    without_files(&repository, first..next);
    media
}

/// Transactions with these numbers, which bring no file.
pub(super) fn without_files(repository: &Repository, numbers: Range<u64>) {
    for n in numbers {
        let mut nonce = [1; 16];
        nonce[..8].copy_from_slice(&n.to_le_bytes());
        let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 0 };
        let context = Context { time, actor: "A <a>".into(), command: "test".into(), nonce };
        repository.vault().begin(context).unwrap().publish(Change::default()).unwrap();
    }
}

/// A vault whose next transaction is number 998, made once.
pub(super) fn vault_998() -> MemoryMedia {
    static MADE: OnceLock<MemoryMedia> = OnceLock::new();
    MADE.get_or_init(|| vault_before(998).settled()).settled()
}

pub(super) fn init() -> Workload {
    Workload::new("init", &MemoryMedia::new(), make)
}

pub(super) fn first_commit() -> Workload {
    Workload::new("first commit", &vault(&[]), |media, n| {
        commit(&open(media)?, "first", &[add("a", b"a".to_vec())], n)
    })
}

pub(super) fn many_small() -> Workload {
    Workload::new("many small files", &vault(&[vec![add("small/0", noise(0, 40 << 10))]]), |media, n| {
        let files: Vec<_> = (0..12).map(|i| add(&format!("small/{i}"), noise(i, 100 << 10))).collect();
        commit(&open(media)?, "small", &files, n)
    })
}

pub(super) fn whole_file() -> Workload {
    Workload::new("whole-file packs", &vault(&[]), |media, n| {
        let operations =
            [add("plain", noise(1, 530 << 10)), add("pointer", noise(2, 700 << 10)), add("c", vec![7])];
        commit(&open(media)?, "large", &operations, n)
    })
}

/// A folder of which the rows of nearly every file go to `tmp/` by themselves, as with far more files.
pub(super) fn spilling() -> Workload {
    Workload::new("spilling", &vault(&[vec![add("a/1", noise(0, 300))]]), |media, n| {
        let folder = tempfile::tempdir().unwrap();
        for (n, name) in (50..).zip(["a/1", "a/2", "b/1", "b/2", "c"]) {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), noise(n, 300)).unwrap();
        }
        let source = AddSource::Local(folder.path().to_owned());
        let repository = open(media)?;
        repository.vault().hold_at_most(100);
        commit(&repository, "many", &[CommitOperation::Add { path_in_repo: None, source }], n)
    })
}

pub(super) fn edited_large() -> Workload {
    Workload::new("edit of a large file", &vault(&[vec![add("m", noise(3, 3 << 20))]]), |media, n| {
        let mut edited = noise(4, 1300 << 10);
        edited.extend_from_slice(&noise(3, 3 << 20)[edited.len()..]);
        commit(&open(media)?, "edit", &[add("m", edited)], n)
    })
}

pub(super) fn delete_and_copy() -> Workload {
    let before = vault(&[vec![add("a/x", b"x".to_vec()), add("a/y", noise(5, 20 << 10)), add("b", vec![1])]]);
    Workload::new("delete and copy", &before, |media, n| {
        let path = |text| RepoPath::new(text).unwrap();
        let operations = [
            CommitOperation::Copy { source: path("a"), src_revision: None, path_in_repo: path("c/deep") },
            CommitOperation::Delete { path_in_repo: path("a/x") },
            CommitOperation::Delete { path_in_repo: path("b") },
        ];
        commit(&open(media)?, "move", &operations, n)
    })
}

pub(super) fn branch() -> Workload {
    Workload::new("branch", &vault(&[vec![add("a", vec![1])]]), |media, n| {
        open(media)?.create_branch("topic", None, true, &actor(n)).map(drop)
    })
}

pub(super) fn tag() -> Workload {
    Workload::new("annotated tag", &vault(&[vec![add("a", vec![1])]]), |media, n| {
        open(media)?.create_tag("v1", Some("one"), None, true, &actor(n)).map(drop)
    })
}

pub(super) fn merge_of_indexes() -> Workload {
    let small = |n: u64| vec![add(&format!("f{n}"), noise(n, 200))];
    let before = vault(&(0..6).map(small).collect::<Vec<_>>());
    let indexes = open(&before).unwrap().vault().view().state.indexes.len();
    let workload = Workload::new("merge of indexes", &before, |media, n| {
        commit(&open(media)?, "eighth", &[add("last", noise(99, 200))], n)
    });
    let (after, done) = workload.run(|_| ());
    done.unwrap();
    assert_eq!((indexes, open(&after).unwrap().vault().view().state.indexes.len()), (7, 1));
    workload
}

pub(super) fn crossing_a_checkpoint() -> Workload {
    Workload::new("crossing a checkpoint", &vault_before(64), |media, n| {
        commit(&open(media)?, "64th", &[add("b", b"b".to_vec())], n)
    })
}

pub(super) fn new_log_bucket() -> Workload {
    let before = vault_998();
    let repository = open(&before).unwrap();
    for n in 998..1000 {
        commit(&repository, "tiny", &[add("n", n.to_string().into_bytes())], n).unwrap();
    }
    Workload::new("new log bucket", &before, |media, n| {
        commit(&open(media)?, "1000th", &[add("b", b"b".to_vec())], n)
    })
}

/// The next transaction after this one starts a new folder of the log.
pub(super) fn last_of_log_bucket() -> Workload {
    let before = vault_998();
    commit(&open(&before).unwrap(), "tiny", &[add("n", b"998".to_vec())], 998).unwrap();
    Workload::new("last of a log bucket", &before, |media, n| {
        commit(&open(media)?, "999th", &[add("b", b"b".to_vec())], n)
    })
}

/// Two branches, `main` and `topic`, each with a commit that the other lacks.
fn forked() -> MemoryMedia {
    let media = vault(&[vec![add("a", vec![1]), add("b/c", noise(6, 20 << 10))]]);
    let repository = open(&media).unwrap();
    repository.create_branch("topic", None, true, &actor(10)).unwrap();
    for (n, branch) in (11..).zip(["main", "topic"]) {
        let options = CommitOptions {
            message: branch.to_owned(),
            revision: Some(branch.to_owned()),
            ..CommitOptions::default()
        };
        let files = [add(&format!("b/{branch}"), noise(n, 30 << 10))];
        repository.create_commit(&files, &options, &actor(n), &mut |_| ()).unwrap();
    }
    media
}

pub(super) fn merge() -> Workload {
    Workload::new("merge", &forked(), |media, n| {
        open(media)?.merge("topic", &MergeOptions::default(), &actor(n)).map(drop)
    })
}

pub(super) fn cherry_pick() -> Workload {
    Workload::new("cherry-pick", &forked(), |media, n| {
        open(media)?.cherry_pick("topic", &ReplayOptions::default(), &actor(n)).map(drop)
    })
}

pub(super) fn squash() -> Workload {
    Workload::new("squash", &forked(), |media, n| {
        open(media)?.squash_history("main", &SquashOptions::default(), &actor(n), &mut |_| ()).map(drop)
    })
}

pub(super) fn reset() -> Workload {
    Workload::new("reset", &forked(), |media, n| open(media)?.reset_ref("main", "topic", &actor(n)).map(drop))
}

/// Takes back a merge: two commits leave the branch at once. It is named by its number, so that doing it again does
/// not take back the undoing.
pub(super) fn undo() -> Workload {
    const MERGE: u64 = 6;
    let before = forked();
    let repository = open(&before).unwrap();
    repository.merge("topic", &MergeOptions::default(), &actor(20)).unwrap();
    assert_eq!(repository.vault().view().state.next, MERGE + 1);
    Workload::new("undo", &before, |media, n| open(media)?.undo(Some(MERGE), false, &actor(n)).map(drop))
}

/// All but those with a long log.
pub(super) fn ordinary() -> Vec<Workload> {
    vec![
        init(),
        first_commit(),
        many_small(),
        whole_file(),
        spilling(),
        edited_large(),
        delete_and_copy(),
        branch(),
        tag(),
        merge_of_indexes(),
        crossing_a_checkpoint(),
        merge(),
        cherry_pick(),
        squash(),
        reset(),
        undo(),
    ]
}

#[test]
fn each_workload_goes_the_way_it_is_there_for() {
    let published = |workload: &Workload, ending: &str| {
        workload.trace.iter().filter(|step| step.starts_with("publish ") && step.ends_with(ending)).count()
    };
    assert_eq!(published(&init(), "HUBVAULT"), 1);
    assert_eq!(published(&first_commit(), ".pack"), 0);
    assert_eq!(published(&many_small(), ".pack"), 1);
    assert_eq!(published(&whole_file(), ".pack"), 2);
    let runs = spilling().trace.iter().filter(|step| step.starts_with("create tmp/")).count();
    assert!(runs > 12, "{runs}");
    let edited = edited_large();
    assert_eq!(published(&edited, ".pack"), 1);
    let (media, done) = edited.run(|_| ());
    done.unwrap();
    let snapshot = open(&media).unwrap().snapshot(None).unwrap();
    let entry = snapshot.entry("m").unwrap();
    assert_eq!(snapshot.open_file(&entry, "m").unwrap().extents(), 2, "new bytes, then old ones");
    assert!(media.files().values().map(Vec::len).sum::<usize>() < 5 << 20, "shared with the old file");
    assert_eq!(published(&branch(), ".idx"), 0);
    assert_eq!(published(&tag(), ".idx"), 1);
    assert_eq!(published(&crossing_a_checkpoint(), "000000064.checkpoint"), 1);
    assert_eq!(published(&new_log_bucket(), "log/000001/000001000.record"), 1);
    // The vaults' own transactions have lower nonces.
    const { assert!(FIRST > 1000) };
}

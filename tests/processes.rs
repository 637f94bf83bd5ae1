//! Two writers and four readers in processes of their own on one vault: nothing is lost, nobody waits for a
//! reader, and every reader sees one state. And writers that are killed at any moment: the vault stays whole.
//!
//! A worker is this very test binary, started again with `HUBVAULT_WORKER` saying what to do; without it the
//! test named `worker` does nothing. `HUBVAULT_COMMITS` scales the number of commits.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hubvault::ops::gc::GcOptions;
use hubvault::ops::squash::SquashOptions;
use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, InitOptions, RepoPath, Signature, Timestamp,
};
use hubvault::{Repository, Snapshot};

/// Commits of both writers together, unless the environment says otherwise.
const COMMITS: u64 = if cfg!(windows) { 400 } else { 2400 };

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// An actor whose random number is `who` and a count, so no two are the same.
fn actor(who: u64, count: u64) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000, offset_minutes: 0 };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&who.to_be_bytes());
    nonce[8..].copy_from_slice(&count.to_be_bytes());
    Actor { signature: Signature::new("W", "w@w", time).unwrap(), nonce }
}

fn put(path: &str, content: impl Into<Vec<u8>>) -> CommitOperation {
    CommitOperation::Add {
        path_in_repo: Some(RepoPath::new(path).unwrap()),
        source: AddSource::Bytes(content.into()),
    }
}

/// One commit of a writer: two counters that must never differ, and its own file.
fn commit(repository: &Repository, who: u64, count: u64) {
    let text = format!("{who} {count}\n");
    // Now and then content of its own pack, so that packs, indexes and merges of indexes take part.
    let filler = count.to_le_bytes().repeat(if count.is_multiple_of(50) { 40_000 } else { 10 });
    let operations = [
        put("shared/one", text.clone()),
        put("shared/two", text.clone()),
        put(&format!("writer-{who}/{}", count % 7), filler),
    ];
    let options = CommitOptions { message: format!("{who} {count}"), ..CommitOptions::default() };
    let outcome = repository.create_commit(&operations, &options, &actor(who, count), &mut |_| ()).unwrap();
    assert!(outcome.committed);
}

fn read(snapshot: &Snapshot, path: &str) -> Option<Vec<u8>> {
    let file = snapshot.open_path(path).ok()?;
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    let mut at = 0;
    while at < bytes.len() {
        let n = file.read_at(at as u64, &mut bytes[at..]).unwrap();
        assert_ne!(n, 0);
        at += n;
    }
    Some(bytes)
}

/// How many commits lead to a snapshot, and whether its two counters agree; `None` before the first commit.
fn look(repository: &Repository, known: &mut u64) {
    repository.vault().refresh().unwrap();
    let snapshot = repository.snapshot(None).unwrap();
    let (one, two) = (read(&snapshot, "shared/one"), read(&snapshot, "shared/two"));
    assert_eq!(one, two, "a reader saw half a commit");
    if let Some(text) = one {
        assert_eq!(snapshot.commit().title(), String::from_utf8(text).unwrap().trim_end());
    }
    let seen = repository.vault().view().state.tip.unwrap().seq;
    assert!(seen >= *known, "a reader went back from {known} to {seen}");
    *known = seen;
}

/// Squashes and collects until told to stop.
fn collect(repository: &Repository, who: u64, done: &Path) {
    let (mut rounds, mut freed) = (0, 0);
    while !done.exists() {
        rounds += 1;
        let options = SquashOptions { gc: Some(GcOptions::now()), ..SquashOptions::default() };
        let report = repository.squash_history("main", &options, &actor(who, rounds), &mut |_| ()).unwrap();
        freed += report.gc_report.unwrap().reclaimed_size;
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("\nreader: {rounds} collections freed {freed} bytes");
    assert!(rounds > 3 && freed > 0, "{rounds} collections freed {freed} bytes");
}

/// Takes a lease and reads everything, twice and slowly.
fn leased(repository: &Repository, who: u64, count: u64) {
    let (snapshot, lease) = repository.leased_snapshot(None, &actor(who, count), "test", 1).unwrap();
    assert!(lease.is_some());
    for _ in 0..2 {
        let mut visit = |path: &[u8], entry: &hubvault::snapshot::TreeEntry| {
            if entry.mode != hubvault::snapshot::Mode::Directory {
                let path = String::from_utf8_lossy(path);
                let file = snapshot.open_file(entry, &path)?;
                let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
                assert_eq!(file.read_at(0, &mut bytes)?, bytes.len());
            }
            Ok(true)
        };
        snapshot.walk(snapshot.root().id, b"", &mut visit).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(read(&snapshot, "shared/one"), read(&snapshot, "shared/two"), "half a commit");
}

/// What a started process does: nothing unless it was started as a worker.
#[test]
fn worker() {
    let Some(task) = variable("HUBVAULT_WORKER") else { return };
    let words: Vec<&str> = task.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    let path = variable("HUBVAULT_WORKER_VAULT").unwrap();
    let repository = Repository::open(Path::new(&path)).unwrap();
    println!("\nready");
    match words[0] {
        "write" => (number(2)..number(3)).for_each(|count| commit(&repository, number(1), count)),
        "forever" => (0..u64::MAX).for_each(|count| commit(&repository, number(1), count)),
        "read" => {
            let (mut known, mut looks, mut slowest) = (0, 0_u64, Duration::ZERO);
            let mut fresh = Repository::open(Path::new(&path)).unwrap();
            while !Path::new(&path).with_extension("done").exists() {
                let start = Instant::now();
                look(&fresh, &mut known);
                // From time to time as a new process would: with nothing read before.
                if looks.is_multiple_of(16) {
                    fresh = Repository::open(Path::new(&path)).unwrap();
                }
                slowest = slowest.max(start.elapsed());
                looks += 1;
                // Two cores are not many for six processes; a reader that only reads leaves none to write.
                std::thread::sleep(Duration::from_millis(2));
            }
            println!("\nreader looked {looks} times, at most {} ms", slowest.as_millis());
            assert!(looks > 20, "a reader was kept waiting: it looked only {looks} times");
        }
        "paced" => (number(2)..number(3)).for_each(|count| {
            commit(&repository, number(1), count);
            // A collection needs a moment in which nobody commits.
            std::thread::sleep(Duration::from_millis(3));
        }),
        "collect" => collect(&repository, number(1), &Path::new(&path).with_extension("done")),
        "lease" => {
            let mut looks = 0;
            while !Path::new(&path).with_extension("done").exists() {
                leased(&repository, number(1), looks);
                looks += 1;
            }
            println!("\nreader with a lease looked {looks} times");
            assert!(looks > 5, "a reader was kept waiting: it looked only {looks} times");
        }
        other => panic!("no task is called {other}"),
    }
}

/// Starts a worker and waits until it has opened the vault.
fn start(vault: &Path, task: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::worker", "--nocapture", "--test-threads=1"]);
    command.env("HUBVAULT_WORKER", task).env("HUBVAULT_WORKER_VAULT", vault);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line.trim() != "ready" {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the worker `{task}` did not start");
    }
    // What else it says is passed on, and must be read or it would block.
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok).filter(|line| line.starts_with("reader")) {
            eprintln!("{line}");
        }
    });
    child
}

fn new_vault(path: &Path) -> Repository {
    Repository::init(path, &InitOptions::default(), &actor(99, 0)).unwrap().0
}

/// Titles of all commits, oldest first, without the initial one.
fn titles(repository: &Repository) -> Vec<String> {
    // By parents: the dates are all the same.
    let mut titles: Vec<String> =
        repository.history(None).unwrap().map(|commit| commit.unwrap().1.title()).collect();
    assert_eq!(titles.pop().as_deref(), Some("Initial commit"));
    titles.reverse();
    titles
}

fn healthy(path: &Path, full: bool) -> Repository {
    let repository = Repository::open(path).unwrap();
    assert_eq!(repository.warnings(), []);
    let report = repository.verify(full, &mut |_| ()).unwrap();
    assert!(report.ok && report.warnings.is_empty(), "{report:#?}");
    repository
}

#[test]
fn two_writers_and_four_readers_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    drop(new_vault(&vault));
    let commits = variable("HUBVAULT_COMMITS").map_or(COMMITS, |text| text.parse().unwrap());
    let each = commits / 2;
    let begin = Instant::now();
    let readers: Vec<Child> = (0..4).map(|_| start(&vault, "read")).collect();
    let writers: Vec<Child> = [1, 2].map(|who| start(&vault, &format!("write {who} 0 {each}"))).into();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success(), "a writer failed");
    }
    let took = begin.elapsed();
    std::fs::write(vault.with_extension("done"), "").unwrap();
    for mut reader in readers {
        assert!(reader.wait().unwrap().success(), "a reader failed");
    }
    eprintln!("{} commits by two writers under four readers in {:.1} s", each * 2, took.as_secs_f64());
    let titles = titles(&healthy(&vault, true));
    assert_eq!(titles.len() as u64, each * 2);
    for who in [1, 2] {
        let own = titles.iter().filter_map(|title| title.strip_prefix(&format!("{who} ")));
        assert!(own.map(|count| count.parse::<u64>().unwrap()).eq(0..each), "writer {who} lost its order");
    }
}

#[test]
fn collections_take_nothing_from_writers_and_readers() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    drop(new_vault(&vault));
    let each = variable("HUBVAULT_COMMITS").map_or(COMMITS, |text| text.parse().unwrap()) / 12;
    let others = [(20, "lease"), (21, "lease"), (22, "collect")];
    let others = others.map(|(who, task)| start(&vault, &format!("{task} {who}")));
    let writers = [1, 2].map(|who| start(&vault, &format!("paced {who} 0 {each}")));
    for mut writer in writers {
        assert!(writer.wait().unwrap().success(), "a writer failed");
    }
    std::fs::write(vault.with_extension("done"), "").unwrap();
    for mut other in others {
        assert!(other.wait().unwrap().success(), "a reader or the collection failed");
    }
    let repository = healthy(&vault, true);
    let snapshot = repository.snapshot(None).unwrap();
    for who in [1_u64, 2] {
        for count in each - 7..each {
            let filler = count.to_le_bytes().repeat(if count.is_multiple_of(50) { 40_000 } else { 10 });
            let found = read(&snapshot, &format!("writer-{who}/{}", count % 7)).unwrap();
            assert!(found == filler, "writer {who} lost its commit {count}");
        }
    }
}

#[test]
fn writers_killed_at_any_moment_leave_a_whole_vault_and_lock_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    drop(new_vault(&vault));
    let rounds = variable("HUBVAULT_COMMITS").map_or(COMMITS, |text| text.parse().unwrap()) / 80;
    let mut before: Vec<String> = Vec::new();
    for round in 0..rounds {
        // Two at once, so that one is also killed while it waits for the other's lock.
        let mut victims = [2 * round, 2 * round + 1].map(|n| start(&vault, &format!("forever {}", 1000 + n)));
        // Spread over what a few commits take, without a rhythm of its own.
        std::thread::sleep(Duration::from_micros(round * 7919 % 150_000));
        for victim in &mut victims {
            victim.kill().unwrap();
        }
        for victim in &mut victims {
            assert!(!victim.wait().unwrap().success());
        }
        let repository = healthy(&vault, round.is_multiple_of(8));
        let now = titles(&repository);
        assert_eq!(now[..before.len()], before, "history changed in round {round}");
        // Nobody is locked out.
        let start = Instant::now();
        commit(&repository, 500, round);
        assert!(start.elapsed() < Duration::from_secs(10), "a dead writer's lock held");
        before = titles(&repository);
        assert_eq!(before.len(), now.len() + 1);
    }
    assert_eq!(before.iter().collect::<HashSet<_>>().len(), before.len(), "a commit is there twice");
    let killed = before.len() as u64 - rounds;
    eprintln!("{} writers were killed; {killed} commits were theirs", 2 * rounds);
    assert!(killed > 0, "they were all killed before they had done anything");
    healthy(&vault, true);
}

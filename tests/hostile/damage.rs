//! Every byte of every file of a vault, changed, cut off, zeroed or taken away, one at a time.
//!
//! After each change the vault is opened, every file of every ref is read, and `verify --full` runs. What is
//! read must be what was committed; the change must be told of by the name of the file, unless nothing live
//! refers to the file. Knows the layout of a vault's folder, no format.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hubvault::Repository;
use hubvault::store::index::{self, PackRow};
use hubvault::store::log::{checkpoint_path, record_path};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::pack;

use super::{contents, copy, large, long, open, small};

/// A healthy vault and all that is true of it.
struct Case {
    media: MemoryMedia,
    files: BTreeMap<String, Vec<u8>>,
    contents: BTreeMap<(String, String), Vec<u8>>,
    live: BTreeSet<String>,
    newest: String,
}

/// What a damaged vault says.
#[derive(Default)]
struct Answer {
    /// Errors, findings and warnings, joined.
    told: String,
    /// Everything `verify` listed as affected.
    affects: Vec<String>,
    opened: bool,
    unreadable: Vec<(String, String)>,
}

impl Case {
    fn new(made: MemoryMedia) -> Self {
        // A copy has no past: copying it again costs its bytes and no more.
        let media = copy(&made);
        let view = open(&media).unwrap().vault().view();
        let next = view.state.next;
        let mut live: BTreeSet<String> = (1..next).map(record_path).collect();
        live.extend((1..next).map(checkpoint_path));
        live.insert("HUBVAULT".to_owned());
        for open in view.catalog.indexes() {
            live.insert(index::path_of(open.id()));
            live.extend(open.rows::<PackRow>().map(|row| pack::path_of(row.unwrap().id)));
        }
        let contents = contents(&media);
        let files = media.files().into_iter().filter(|(path, _)| !path.starts_with("locks/")).collect();
        Self { files, contents, live, newest: record_path(next - 1), media }
    }

    /// Opens a damaged copy and asks it for everything.
    fn ask(&self, media: &MemoryMedia, what: &str) -> Answer {
        let started = Instant::now();
        let mut answer = Answer::default();
        match open(media) {
            Err(error) => answer.told = error.to_string(),
            Ok(repository) => {
                answer.opened = true;
                for warning in repository.warnings() {
                    answer.told += &format!("{}: {}\n", warning.file, warning.detail);
                }
                self.read(&repository, media, what, &mut answer);
                let report = repository.verify(true, &mut |_| ()).unwrap();
                for finding in report.findings {
                    answer.told += &format!("{}\n", finding.problem);
                    answer.affects.extend(finding.affects);
                }
                report.warnings.iter().for_each(|warning| answer.told += warning);
            }
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: took {:?}", started.elapsed());
        answer
    }

    /// Reads every file of every ref; what can be read must be right.
    fn read(&self, repository: &Repository, media: &MemoryMedia, what: &str, answer: &mut Answer) {
        let rolled_back = answer.told.contains(&self.newest) || !media.files().contains_key(&self.newest);
        let names: BTreeSet<&String> = self.contents.keys().map(|(name, _)| name).collect();
        for name in names {
            let snapshot = repository.snapshot(Some(name));
            for (key, expected) in self.contents.iter().filter(|((of, _), _)| of == name) {
                let read = snapshot.as_ref().map_err(ToString::to_string).and_then(|snapshot| {
                    let file = snapshot.open_path(&key.1).map_err(|error| error.to_string())?;
                    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
                    file.read_at(0, &mut bytes).map_err(|error| error.to_string())?;
                    Ok(bytes)
                });
                match read {
                    Ok(bytes) => assert!(bytes == *expected || rolled_back, "{what}: wrong bytes of {key:?}"),
                    Err(error) => {
                        answer.told += &format!("{error}\n");
                        answer.unreadable.push(key.clone());
                    }
                }
            }
        }
    }

    /// Damages one file of a copy, and checks what the vault says about it.
    fn damage(&self, path: &str, what: &str, change: impl FnOnce(&mut Vec<u8>)) -> Option<Answer> {
        let what = format!("{path}, {what}");
        let media = copy(&self.media);
        let mut same = false;
        let original = &self.files[path];
        media
            .corrupt(path, |bytes| {
                change(bytes);
                same = bytes == original;
            })
            .unwrap();
        if same {
            return None;
        }
        let answer = self.ask(&media, &what);
        let told = answer.told.contains(path);
        assert!(told || !self.live.contains(path), "{what}: nobody says so: {}", answer.told);
        Some(answer)
    }

    fn remove(&self, path: &str) -> Answer {
        let media = copy(&self.media);
        media.remove_file(path).unwrap();
        let answer = self.ask(&media, &format!("{path} is gone"));
        // Without its newest record a vault is what it was before, and a checkpoint is only a shortcut.
        let silent = path == self.newest || path.ends_with(".checkpoint") || !self.live.contains(path);
        let named = answer.told.contains(path) || path == "HUBVAULT" && answer.told.contains("HUBVAULT");
        assert!(named || silent, "{path} is gone: {}", answer.told);
        answer
    }

    fn flips(&self, path: &str, positions: impl Iterator<Item = usize>) -> usize {
        let mut count = 0;
        for at in positions {
            for bits in [0xff, 0x01] {
                let answer = self.damage(path, &format!("byte {at} ^ {bits:#x}"), |bytes| bytes[at] ^= bits);
                // What was changed is damage: it may not pass for a write that never finished.
                let answer = answer.unwrap();
                assert!(path != self.newest || !answer.opened, "{path}, byte {at} ^ {bits:#x}: passed over");
                count += 1;
            }
        }
        count
    }

    fn cuts(&self, path: &str, lengths: impl Iterator<Item = usize>) -> usize {
        let len = self.files[path].len();
        lengths
            .map(|at| {
                self.damage(path, &format!("cut at {at}"), |bytes| bytes.truncate(at));
                self.damage(path, &format!("zero from {at}"), |bytes| bytes[at..].fill(0));
                let end = (at + 16).min(len);
                self.damage(path, &format!("zero {at}..{end}"), |bytes| bytes[at..end].fill(0));
            })
            .count()
    }

    fn grows(&self, path: &str) {
        for tail in [&b"\0"[..], b"\n", b"x", &[0; 5000]] {
            self.damage(path, "extended", |bytes| bytes.extend_from_slice(tail));
        }
    }

    /// Puts each file in the place of the next of its kind.
    fn swaps(&self) -> usize {
        let mut count = 0;
        for ending in [".record", ".checkpoint", ".idx", ".pack"] {
            let kind: Vec<_> = self.files.iter().filter(|(path, _)| path.ends_with(ending)).collect();
            for pair in kind.windows(2) {
                let media = copy(&self.media);
                for (path, bytes) in [(pair[0].0, pair[1].1), (pair[1].0, pair[0].1)] {
                    media.corrupt(path, |now| now.clone_from(bytes)).unwrap();
                }
                let what = format!("{} and {} swapped", pair[0].0, pair[1].0);
                let answer = self.ask(&media, &what);
                for (path, _) in pair {
                    let open_fails =
                        !answer.opened && pair.iter().any(|(path, _)| answer.told.contains(*path));
                    let told = answer.told.contains(*path) || open_fails;
                    assert!(told || !self.live.contains(*path), "{what}: {}", answer.told);
                }
                count += 1;
            }
        }
        count
    }
}

/// Runs `each` on the items, on two threads.
fn on_threads<T: Sync>(items: &[T], each: impl Fn(&T) -> usize + Sync) -> usize {
    let half = |odd: usize| items.iter().skip(odd).step_by(2).map(&each).sum::<usize>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(0) + other.join().unwrap()
    })
}

#[test]
fn every_byte_of_a_small_vault() {
    let case = Case::new(small());
    let paths: Vec<&String> = case.files.keys().collect();
    // Every byte of the marker, of the newest record and an older one, and of an index; of the others every 11th.
    let live = |path: &&&String| path.ends_with(".idx") && case.live.contains(**path);
    let index = *paths.iter().filter(live).min_by_key(|path| case.files[**path].len()).unwrap();
    let older = record_path(3);
    let stride = |path: &String| {
        if [index, &older, &case.newest].contains(&path) || path == "HUBVAULT" { 1 } else { 11 }
    };
    let count = on_threads(&paths, |path| {
        let (len, stride) = (case.files[*path].len(), stride(path));
        case.grows(path);
        case.remove(path);
        case.flips(path, (0..len).step_by(stride)) + case.cuts(path, (0..len).step_by(stride * 3)) * 3 + 5
    });
    println!("small vault: {} files, {} damages, {} swaps", paths.len(), count, case.swaps());
}

#[test]
fn the_log_of_a_long_vault() {
    let case = Case::new(long());
    let checkpoints = case.files.keys().filter(|path| path.ends_with(".checkpoint"));
    // The oldest record, those at both checkpoints, and the newest.
    let records = [1, 63, 64, 65, 128].map(record_path);
    let paths: Vec<&String> = checkpoints.chain(&records).chain([&case.newest]).collect();
    assert_eq!(paths.len(), 8);
    let count = on_threads(&paths, |path| {
        let len = case.files[*path].len();
        case.grows(path);
        case.remove(path);
        let flips = case.flips(path, (0..len).step_by((len / 150).max(1)));
        flips + case.cuts(path, (0..len).step_by((len / 40).max(1))) * 3 + 5
    });
    println!("long vault: {count} damages");
}

#[test]
fn packs_and_their_indexes() {
    let case = Case::new(large());
    let paths: Vec<&String> = case.files.keys().filter(|path| path.starts_with("packs/")).collect();
    assert!(paths.iter().filter(|path| path.ends_with(".pack")).count() >= 4, "{paths:?}");
    let count = on_threads(&paths, |path| {
        let len = case.files[*path].len();
        case.grows(path);
        let gone = case.remove(path);
        if path.ends_with(".pack") {
            assert!(gone.affects.iter().any(|place| place.contains('@')), "{path}: {:?}", gone.affects);
        }
        case.flips(path, (0..len).step_by((len / 30).max(1)))
            + case.cuts(path, (0..len).step_by((len / 10).max(1))) * 3
            + 5
    });
    println!("packs: {} files, {count} damages, {} swaps", paths.len(), case.swaps());
}

#[test]
fn damage_in_one_pack_hurts_only_what_needs_it() {
    let case = Case::new(large());
    let view = open(&case.media).unwrap().vault().view();
    let snapshot = open(&case.media).unwrap().snapshot(None).unwrap();
    for path in case.files.keys().filter(|path| path.ends_with(".pack")) {
        let at = case.files[path].len() / 2;
        let answer = case.damage(path, "one byte", |bytes| bytes[at] ^= 1).unwrap();
        for (name, file) in case.contents.keys() {
            let info = snapshot.info(&snapshot.entry(file).unwrap()).unwrap();
            let record = view.catalog.file(info.sha256).unwrap();
            let needs = record.extents.iter().any(|extent| pack::path_of(extent.pack) == *path);
            let unreadable = answer.unreadable.contains(&(name.clone(), file.clone()));
            let listed = answer.affects.iter().any(|place| place.starts_with(&format!("{file}@")));
            assert!(needs || !unreadable, "{file} does not need {path}");
            assert!(!unreadable || listed, "{file} is unreadable and not listed: {:?}", answer.affects);
        }
        assert!(!answer.affects.is_empty(), "{path}");
    }
}

#[test]
fn around_a_damaged_chunk_the_file_stays_readable() {
    let case = Case::new(large());
    let expected = &case.contents[&("refs/heads/main".to_owned(), "whole.bin".to_owned())];
    let (path, _) = case.files.iter().find(|(_, bytes)| *bytes == expected).unwrap();
    let media = copy(&case.media);
    media.corrupt(path, |bytes| bytes[350_000] ^= 0x10).unwrap();
    let repository = open(&media).unwrap();
    let file = repository.snapshot(None).unwrap().open_path("whole.bin").unwrap();
    let far = 350_000 - 131_072;
    let mut head = vec![0; far];
    assert_eq!(file.read_at(0, &mut head).unwrap(), far);
    assert_eq!(head, expected[..far]);
    let mut tail = vec![0; expected.len() - 350_000 - 131_072];
    assert_eq!(file.read_at(350_000 + 131_072, &mut tail).unwrap(), tail.len());
    assert!(expected.ends_with(&tail));
    let error = file.read_at(350_000, &mut [0]).unwrap_err().to_string();
    assert!(error.contains("whole.bin@HEAD") && error.contains(path.as_str()), "{error}");
    let report = repository.verify(true, &mut |_| ()).unwrap();
    assert!(report.findings[0].affects[0].starts_with("whole.bin@"), "{:?}", report.findings);
}

#[test]
fn a_kernel_is_never_handed_a_pack_of_another_length() {
    let case = Case::new(large());
    let expected = &case.contents[&("refs/heads/main".to_owned(), "whole.bin".to_owned())];
    let (path, _) = case.files.iter().find(|(_, bytes)| *bytes == expected).unwrap();
    let whole = |media: &MemoryMedia| {
        let file = open(media).unwrap().snapshot(None).unwrap().open_path("whole.bin").unwrap();
        file.whole_file().unwrap().is_some()
    };
    assert!(whole(&case.media));
    for len in [0, 4096, 699_999, 700_001] {
        let media = copy(&case.media);
        media.corrupt(path, |bytes| bytes.resize(len, 0)).unwrap();
        assert!(!whole(&media), "{len}");
    }
}

//! What reads through the port cost the disk: counted on a medium that notes every read and every announcement.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use hubvault::Repository;
use hubvault::snapshot::FileReader;
use hubvault::store::media::disk::DiskMedia;
use hubvault::store::media::{Lock, LockMode, Media, ReadAt, Sink, Wait};

use super::noise;
use crate::cli::Desk;

/// Bytes read from packs, and bytes of them that were announced.
#[derive(Debug, Default)]
struct Counts {
    read: AtomicU64,
    announced: AtomicU64,
    /// A byte of the packs that reads as another one.
    rotten: Mutex<Option<u64>>,
}

impl Counts {
    fn take(&self) -> (u64, u64) {
        (self.read.swap(0, Relaxed), self.announced.swap(0, Relaxed))
    }
}

#[derive(Debug)]
struct Counted<T>(T, Arc<Counts>);

impl ReadAt for Counted<Box<dyn ReadAt>> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.read.fetch_add(buffer.len() as u64, Relaxed);
        self.0.read_exact_at(buffer, offset)?;
        let rotten = self.1.rotten.lock().unwrap().and_then(|at| at.checked_sub(offset));
        if let Some(byte) = rotten.and_then(|at| buffer.get_mut(usize::try_from(at).unwrap())) {
            *byte ^= 1;
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn will_need(&self, offset: u64, len: u64) {
        self.1.announced.fetch_add(len, Relaxed);
        self.0.will_need(offset, len);
    }
}

impl Media for Counted<DiskMedia> {
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadAt>> {
        let file = self.0.open_file(path)?;
        Ok(if path.ends_with(".pack") { Box::new(Counted(file, Arc::clone(&self.1))) } else { file })
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        self.0.create(path)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.publish(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        Media::len(&self.0, path)
    }

    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> io::Result<Option<Box<dyn Lock>>> {
        self.0.lock(path, mode, wait)
    }
}

trait OpenFile {
    fn open_file(&self, path: &str) -> io::Result<Box<dyn ReadAt>>;
}

impl OpenFile for DiskMedia {
    fn open_file(&self, path: &str) -> io::Result<Box<dyn ReadAt>> {
        Media::open(self, path)
    }
}

const SIZE: usize = 24 << 20;
/// The longest chunk.
const CHUNK: u64 = 128 << 10;
/// The least that is checked by itself.
const BRANCH: u64 = 16 << 10;

/// A file of many chunks on a counting medium, and what it must read as.
fn counted(cache: usize) -> (Desk, FileReader, Arc<Counts>, Vec<u8>) {
    let desk = Desk::new();
    let content = noise(3, SIZE);
    desk.commit_file("big.bin", &content);
    let counts = Arc::new(Counts::default());
    let root: &Path = &desk.path("vault");
    let media = Counted(DiskMedia::open(root), Arc::clone(&counts));
    let repository = Repository::open_on(Arc::new(media)).unwrap().with_cache(cache);
    let file = repository.snapshot(None).unwrap().open_path("big.bin").unwrap();
    (desk, file, counts, content)
}

/// Places that jump far from each other.
fn places(count: usize, length: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |n| (n * 7_654_321 % (SIZE - length)) & !4095)
}

#[test]
fn a_random_reader_causes_no_read_ahead() {
    let (_desk, file, counts, content) = counted(64 << 20);
    for length in [4096, 65_536] {
        for at in places(100, length) {
            let mut buffer = vec![0; length];
            assert_eq!(file.read_at(at as u64, &mut buffer).unwrap(), length);
            assert!(buffer == content[at..at + length], "{at}");
            let (read, announced) = counts.take();
            assert_eq!(announced, 0, "{at}");
            assert!(read <= length as u64 + 2 * CHUNK, "{read} bytes for {length} at {at}");
        }
    }
}

#[test]
fn a_chunk_is_read_whole_once_and_in_parts_from_then_on() {
    let (_desk, file, counts, content) = counted(64 << 20);
    let mut first = 0;
    for round in 0..3 {
        for at in places(100, 4096) {
            let mut buffer = [0; 4096];
            file.read_at(at as u64, &mut buffer).unwrap();
            assert!(buffer == content[at..at + 4096], "{at}");
        }
        let (read, _) = counts.take();
        if round == 0 {
            first = read;
            continue;
        }
        // Two branches where one ends within, and both ends of two chunks.
        assert!(read <= 100 * 3 * BRANCH && read * 2 < first, "{read} after {first}");
    }
}

#[test]
fn what_was_right_once_is_checked_again() {
    let (_desk, file, counts, content) = counted(64 << 20);
    let mut buffer = [0; 4096];
    let at = 5_000_000;
    file.read_at(at, &mut buffer).unwrap();
    *counts.rotten.lock().unwrap() = Some(at + 100);
    file.read_at(at, &mut buffer).unwrap_err();
    *counts.rotten.lock().unwrap() = None;
    file.read_at(at, &mut buffer).unwrap();
    assert!(buffer[..] == content[5_000_000..5_004_096]);
}

#[test]
fn proofs_stay_within_the_cache() {
    let (_desk, file, counts, _) = counted(40_000);
    let mut buffer = [0; 4096];
    for at in places(300, 4096) {
        file.read_at(at as u64, &mut buffer).unwrap();
    }
    let (first, _) = counts.take();
    for at in places(300, 4096) {
        file.read_at(at as u64, &mut buffer).unwrap();
    }
    let (again, _) = counts.take();
    assert!(again * 2 > first, "some of the proofs had to go: {again} after {first}");
}

#[test]
fn a_reader_from_front_to_back_reads_each_byte_once_and_has_it_announced() {
    let (_desk, file, counts, content) = counted(64 << 20);
    let mut buffer = vec![0; 128 << 10];
    for at in (0..SIZE).step_by(buffer.len()) {
        let n = file.read_at(at as u64, &mut buffer).unwrap();
        assert!(buffer[..n] == content[at..at + n], "{at}");
    }
    let (read, announced) = counts.take();
    let size = SIZE as u64;
    assert!((size..size + 4 * CHUNK).contains(&read), "{read}");
    assert!(announced > size * 3 / 4 && announced <= size, "{announced}");
}

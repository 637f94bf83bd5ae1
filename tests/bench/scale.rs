//! Makes vaults of a size that nobody waits for, and measures what an index of that size costs.
//!
//! ```text
//! cargo run --release --example scale -- index DIR [CHUNKS [INDEXES]]   a vault that knows so many chunks; measured
//! cargo run --release --example scale -- history DIR [COMMITS]          a vault of so many commits
//! ```
//!
//! Indexes are written by the writer that ships, of rows that stand for packs that are not there: the vault can be
//! opened, listed and asked, and its content cannot be read. `tests/bench/run --only scale` measures the commands on
//! both. It is no test: it has no opinion on what it finds.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hubvault::ops::{
    Actor, AddSource, CommitOperation, CommitOptions, InitOptions, Repository, Signature, Timestamp,
};
use hubvault::store::catalog::Catalog;
use hubvault::store::id::{ChunkHash, IndexId, PackId, Sha256};
use hubvault::store::index::draft::PackDraft;
use hubvault::store::index::{self, BlockCache, Codec, Extent, IndexBuilder};
use hubvault::store::log::record::Record;
use hubvault::store::log::{bucket_path, record_path};
use hubvault::store::media::Media;
use hubvault::store::media::disk::DiskMedia;
use hubvault::store::path::RepoPath;

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Chunks of each pack that is not there: a file of a gigabyte.
const CHUNKS_OF_PACK: u64 = 16_384;
/// Length of each chunk.
const CHUNK: u32 = 64 << 10;
/// Keys of each kind that are looked up.
const LOOKUPS: u64 = 1_000_000;

fn main() -> Done {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| words.get(at).map_or(Ok(otherwise), |word| word.parse());
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["index", folder, ..] => of_chunks(Path::new(folder), number(2, 10_000_000)?, number(3, 1)?),
        ["history", folder, ..] => of_commits(Path::new(folder), number(2, 100_000)?),
        _ => Err("say what: index DIR [CHUNKS [INDEXES]], or history DIR [COMMITS]".into()),
    }
}

fn actor(n: u64) -> Done<Actor> {
    let nonce = *blake3::hash(&n.to_le_bytes()).as_bytes().first_chunk().ok_or("a hash is 32 bytes")?;
    let time = Timestamp { seconds: 1_700_000_000 + i64::try_from(n)?, offset_minutes: 0 };
    Ok(Actor { signature: Signature::new("Scale", "scale@example.org", time)?, nonce })
}

fn hash(n: u64) -> ChunkHash {
    ChunkHash::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

/// Memory of this process in MiB: now, and at most so far.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn of_chunks(folder: &Path, chunks: u64, indexes: u64) -> Done {
    Repository::init(folder, &InitOptions::default(), &actor(0)?)?;
    let media: Arc<dyn Media> = Arc::new(DiskMedia::open(folder));
    let (each, start) = (chunks.div_ceil(indexes), Instant::now());
    let mut bytes = 0;
    for first in (0..chunks).step_by(usize::try_from(each)?) {
        let (id, len) = write_index(folder, first, (first + each).min(chunks))?;
        add_record(folder, id)?;
        bytes += len;
    }
    println!(
        "{chunks} chunks in {indexes} indexes of {} MiB in all: written in {:.1?}",
        bytes >> 20,
        start.elapsed()
    );
    measure(&media, chunks)
}

fn write_index(folder: &Path, first: u64, end: u64) -> Done<(IndexId, u64)> {
    let mut builder = IndexBuilder::default();
    for start in (first..end).step_by(usize::try_from(CHUNKS_OF_PACK)?) {
        let name = blake3::hash(format!("pack {start}").as_bytes());
        let id = PackId::from_bytes(*name.as_bytes().first_chunk().ok_or("a hash is 32 bytes")?);
        let mut pack = PackDraft::new(id);
        for n in start..end.min(start + CHUNKS_OF_PACK) {
            pack.push(hash(n), CHUNK, CHUNK, Codec::Raw);
        }
        let len = pack.stored_len();
        builder.add_file(Sha256::from_bytes(*name.as_bytes()), len, vec![Extent { pack: id, start: 0, len }]);
        builder.add_pack(pack);
    }
    let tmp = folder.join("tmp/scale");
    let mut file = fs::File::create(&tmp)?;
    let (id, len) = builder.write(&mut file)?;
    fs::rename(tmp, folder.join(index::path_of(id)))?;
    Ok((id, len))
}

/// Publishes a record that brings an index.
fn add_record(folder: &Path, id: IndexId) -> Done {
    let repository = Repository::open(folder)?;
    let state = &repository.vault().view().state;
    let record = Record {
        seq: state.next,
        previous: state.tip,
        time: 1_700_000_000,
        offset: 0,
        actor: "Scale <scale@example.org>".to_owned(),
        command: "scale".to_owned(),
        refs: Vec::new(),
        default_branch: None,
        compression: None,
        packs: Vec::new(),
        index: Some(id),
        retired_indexes: Vec::new(),
        retired_packs: Vec::new(),
        collects: false,
    };
    fs::create_dir_all(folder.join(bucket_path(record.seq)))?;
    fs::write(folder.join(record_path(record.seq)), record.encode().0)?;
    Ok(())
}

/// Opens what there is, and looks chunks up that are there and that are not, in order and in none.
fn measure(media: &Arc<dyn Media>, chunks: u64) -> Done {
    let state = hubvault::store::vault::Vault::open(Arc::clone(media))?.view().state.clone();
    let count = LOOKUPS.min(chunks);
    let scattered = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % chunks;
    // Made before anything is measured.
    let missing: Vec<ChunkHash> = (0..count).map(|n| hash(chunks + n)).collect();
    let there: Vec<ChunkHash> = (0..count).map(hash).collect();
    let anywhere: Vec<ChunkHash> = (0..count / 20).map(|n| hash(scattered(n))).collect();
    let (before, _) = memory();
    let start = Instant::now();
    let catalog = Catalog::open(media, &state, &Arc::new(BlockCache::new(32 << 20)), None);
    println!("opened in {:.1?}", start.elapsed());
    let rate = |name: &str, took: Duration, count: u64| {
        let (now, most) = memory();
        #[expect(clippy::cast_precision_loss, reason = "a rate is said with three digits")]
        let rate = count as f64 / took.as_secs_f64();
        println!(
            "{name:<46} {rate:>12.0} a second; memory {} MiB more, {most} MiB at most",
            now.saturating_sub(before)
        );
    };
    let ask = |hashes: &[ChunkHash]| -> Done<u64> {
        hashes.iter().try_fold(0, |found, &hash| Ok(found + u64::from(catalog.chunk(hash)?.is_some())))
    };
    let start = Instant::now();
    let found = ask(&missing[..missing.len() / 20])?;
    rate("chunks that are not there, the first ones", start.elapsed(), count / 20);
    let start = Instant::now();
    let found = found + ask(&missing)?;
    rate("chunks that are not there", start.elapsed(), count);
    let start = Instant::now();
    let mut last = None;
    for &hash in &there {
        let next = last.as_ref().map(hubvault::store::catalog::Located::next).transpose()?.flatten();
        last = match next.filter(|next| next.chunk.hash == hash) {
            Some(next) => Some(next),
            None => catalog.chunk(hash)?,
        };
    }
    rate("chunks of known files, one after the other", start.elapsed(), count);
    let start = Instant::now();
    let scattered = ask(&anywhere)?;
    rate("chunks from anywhere, in no order", start.elapsed(), anywhere.len() as u64);
    if last.is_none() || found > 0 || scattered != anywhere.len() as u64 {
        return Err(format!("wrong answers: {found} of none, {scattered} of {}", anywhere.len()).into());
    }
    Ok(())
}

fn of_commits(folder: &Path, commits: u64) -> Done {
    Repository::init(folder, &InitOptions::default(), &actor(0)?)?;
    let repository = Repository::open(folder)?;
    let start = Instant::now();
    for n in 1..=commits {
        let path = RepoPath::new(&format!("d{:03}/f{:03}.txt", n % 97, n % 113))?;
        let source = AddSource::Bytes(format!("content {n}\n").into_bytes());
        let add = CommitOperation::Add { path_in_repo: Some(path), source };
        let options = CommitOptions { message: format!("commit {n}"), ..CommitOptions::default() };
        repository.create_commit(&[add], &options, &actor(n)?, &mut |_| ())?;
        if n % (commits / 10).max(1) == 0 {
            println!("{n} commits in {:.1?}", start.elapsed());
        }
    }
    Ok(())
}

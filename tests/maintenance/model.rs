//! Random histories: commits of small and large and edited files, branches and tags that come, move and go, on some
//! days a collection or an optimization. A model remembers what every commit held and where every ref was on which day.

use std::collections::{BTreeMap, BTreeSet};

use hubvault::ops::gc::GcOptions;
use hubvault::ops::optimize::OptimizeOptions;
use hubvault::ops::squash::SquashOptions;
use hubvault::ops::{
    AddSource, CommitOperation, CommitOptions, Compression, InitOptions, ObjectId, RepoPath,
};
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::publish::{Change, move_ref};
use hubvault::store::refname::RefName;
use hubvault::store::transaction::Context;

use super::{DAY, actor, bytes, content, noise, open, weights};

type Files = BTreeMap<String, Vec<u8>>;

struct Model {
    media: MemoryMedia,
    random: blake3::OutputReader,
    now: i64,
    /// What each commit holds.
    commits: BTreeMap<ObjectId, Files>,
    refs: BTreeMap<RefName, ObjectId>,
    /// Where refs were and went, with the time.
    moves: Vec<(i64, ObjectId)>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let media = MemoryMedia::new();
        let options = InitOptions { large_file_threshold: 600 << 10, ..InitOptions::default() };
        let now = 1_700_000_000;
        let (repository, _) =
            hubvault::Repository::init_on(std::sync::Arc::new(media.clone()), &options, &actor(now)).unwrap();
        let head = repository.rev_parse("HEAD").unwrap();
        let mut model = Self {
            media,
            random: blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof(),
            now,
            commits: BTreeMap::from([(head, Files::new())]),
            refs: BTreeMap::new(),
            moves: Vec::new(),
        };
        model.moved(RefName::branch("main").unwrap(), Some(head));
        model
    }

    fn below(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }

    fn moved(&mut self, name: RefName, to: Option<ObjectId>) {
        let old = match to {
            Some(id) => self.refs.insert(name, id),
            None => self.refs.remove(&name),
        };
        let now = self.now;
        self.moves.extend([old, to].into_iter().flatten().map(|id| (now, id)));
    }

    fn pick<T: Clone>(&mut self, from: impl IntoIterator<Item = T>) -> Option<T> {
        let all: Vec<T> = from.into_iter().collect();
        if all.is_empty() {
            None
        } else {
            Some(all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone())
        }
    }

    fn branches(&self) -> Vec<RefName> {
        self.refs.keys().filter(|name| name.is_branch()).cloned().collect()
    }

    /// Content from a small world, so that much is the same or nearly.
    fn bytes(&mut self) -> Vec<u8> {
        let seed = self.below(12);
        match self.below(7) {
            0 => noise(seed, 700 << 10),
            5 => {
                let mut edited = weights(seed % 2, 700_000);
                let at = usize::try_from(self.below(1300 << 10)).unwrap();
                edited[at..at + 100].copy_from_slice(&noise(self.below(1 << 40), 100));
                edited
            }
            1 => {
                let mut edited = noise(100 + seed % 2, 2600 << 10);
                let at = usize::try_from(self.below(2000 << 10)).unwrap();
                edited[at..at + 5000].copy_from_slice(&noise(self.below(1 << 40), 5000));
                edited
            }
            2 => format!("{seed} ").repeat(300_000).into_bytes(),
            3 => noise(seed, 200 << 10),
            _ => noise(self.below(1 << 40), usize::try_from(self.below(3000)).unwrap()),
        }
    }

    fn commit(&mut self) {
        let Some(branch) = self.pick(self.branches()) else { return };
        let mut files = self.commits[&self.refs[&branch]].clone();
        let mut operations = Vec::new();
        for _ in 0..=self.below(6) {
            let path = format!("{}/{}", self.below(3), self.below(8));
            let path_in_repo = RepoPath::new(&path).unwrap();
            if files.contains_key(&path) && self.below(3) == 0 {
                files.remove(&path);
                operations.push(CommitOperation::Delete { path_in_repo });
            } else {
                let bytes = self.bytes();
                files.insert(path, bytes.clone());
                let path_in_repo = Some(path_in_repo);
                operations.push(CommitOperation::Add { path_in_repo, source: AddSource::Bytes(bytes) });
            }
        }
        let options = CommitOptions {
            message: format!("at {}", self.now),
            revision: Some(branch.short().to_owned()),
            ..CommitOptions::default()
        };
        let repository = open(&self.media);
        let done = repository.create_commit(&operations, &options, &actor(self.now), &mut |_| ()).unwrap();
        if done.committed {
            self.commits.insert(done.oid, files);
            self.moved(branch, Some(done.oid));
        }
    }

    /// Creates, moves or deletes a ref.
    fn set(&mut self, name: RefName, to: Option<ObjectId>) {
        let actor = actor(self.now);
        let context = Context {
            time: actor.signature.time(),
            actor: String::new(),
            command: "set".to_owned(),
            nonce: actor.nonce,
        };
        let old = self.refs.get(&name).copied();
        let change = Change { refs: vec![move_ref(name.clone(), old, to, "")], ..Change::default() };
        open(&self.media).vault().begin(context).unwrap().publish(change).unwrap();
        self.moved(name, to);
    }

    fn act(&mut self) {
        self.now += i64::try_from(self.below(4)).unwrap() * DAY;
        match self.below(11) {
            10 => self.optimize(),
            0 => {
                let name = RefName::branch(&format!("b{}", self.below(3))).unwrap();
                if let Some(at) = self.pick(self.refs.values().copied().collect::<Vec<_>>()) {
                    self.set(name, Some(at));
                }
            }
            1 | 2 => {
                let main = RefName::branch("main").unwrap();
                if let Some(name) = self.pick(self.branches()).filter(|name| *name != main) {
                    self.set(name, None);
                }
            }
            3 => {
                let options = SquashOptions::default();
                if let Some(name) = self.pick(self.branches()) {
                    let report = open(&self.media)
                        .squash_history(name.short(), &options, &actor(self.now), &mut |_| ())
                        .unwrap();
                    let files = self.commits[&report.old_head].clone();
                    self.commits.insert(report.new_head, files);
                    self.moved(name, Some(report.new_head));
                }
            }
            4 => self.collect(),
            _ => self.commit(),
        }
    }

    fn collect(&mut self) {
        let keep_since = match self.below(3) {
            0 => None,
            1 => Some(self.now - 14 * DAY),
            _ => Some(self.now - 3 * DAY),
        };
        let options = GcOptions { keep_since, thorough: self.below(2) == 0, ..GcOptions::default() };
        let before = bytes(&self.media);
        let who = actor(self.now);
        let dry = GcOptions { dry_run: true, ..options.clone() };
        let files = self.media.files();
        let said = open(&self.media).gc(&dry, &who, &mut |_| ()).unwrap();
        assert!(self.media.files() == files, "a dry run changed something");
        let report = open(&self.media).gc(&options, &who, &mut |_| ()).unwrap();
        assert_eq!(report.reclaimed_size, before - bytes(&self.media), "{report:?}");
        assert_eq!(
            (
                said.reclaimed_size,
                said.reclaimed_chunk_size,
                said.removed_file_count,
                said.commit_count,
                said.file_count
            ),
            (
                report.reclaimed_size,
                report.reclaimed_chunk_size,
                report.removed_file_count,
                report.commit_count,
                report.file_count
            ),
        );
        assert!(report.notes.is_empty(), "{report:?}");
        let again = open(&self.media).gc(&options, &actor(self.now), &mut |_| ()).unwrap();
        assert_eq!((again.reclaimed_size, again.transactions.len()), (0, 0), "{again:?}");
        self.check(keep_since);
    }

    fn optimize(&mut self) {
        let compression = match self.below(3) {
            0 => Compression::None,
            1 => Compression::Auto,
            _ => Compression::Max,
        };
        let revisions = if self.below(2) == 0 {
            self.pick(self.refs.values().copied().collect::<Vec<_>>())
                .iter()
                .map(ToString::to_string)
                .collect()
        } else {
            Vec::new()
        };
        let keep_latest = self.below(3) == 0;
        // A pack at a time, with a collection after each.
        let batch = Some(1);
        let options =
            OptimizeOptions { compression, revisions, keep_latest, batch, ..OptimizeOptions::default() };
        let (before, known) = (bytes(&self.media), self.nameable());
        let report = open(&self.media).optimize(&options, &actor(self.now), &mut |_| ()).unwrap();
        assert_eq!(report.reclaimed_size, before - bytes(&self.media), "{report:?}");
        assert!(report.notes.is_empty(), "{report:?}");
        assert_eq!(report.saved_size >= 0, report.before_size >= report.after_size);
        let again = open(&self.media).optimize(&options, &actor(self.now), &mut |_| ()).unwrap();
        let done = (again.optimized_pack_count, again.reclaimed_size, again.transactions.len());
        assert_eq!(done, (0, 0, 0), "{compression:?} after {report:?}: {again:?}");
        assert_eq!(known, self.nameable(), "{report:?}");
        self.check_content(None);
    }

    /// The commits that are there.
    fn nameable(&self) -> BTreeSet<ObjectId> {
        let repository = open(&self.media);
        let is_there = |id: &&ObjectId| repository.rev_parse(&id.to_string()).is_ok();
        self.commits.keys().filter(is_there).copied().collect()
    }

    /// All that is needed is there, byte for byte; nothing is wrong, and nothing lies about.
    fn check(&self, keep_since: Option<i64>) {
        let repository = open(&self.media);
        let report = repository.verify(true, &mut |_| ()).unwrap();
        assert!(report.ok && report.warnings.is_empty() && report.leftovers.is_empty(), "{report:?}");
        self.check_content(keep_since);
    }

    fn check_content(&self, keep_since: Option<i64>) {
        let repository = open(&self.media);
        let report = repository.verify(true, &mut |_| ()).unwrap();
        assert!(report.ok && report.warnings.is_empty(), "{report:?}");
        let recent = self.moves.iter().filter(|(time, _)| keep_since.is_some_and(|since| *time >= since));
        let recent: BTreeSet<ObjectId> = recent.map(|(_, id)| *id).collect();
        for id in self.refs.values() {
            assert!(content(&repository, &id.to_string()) == self.commits[id]);
        }
        for id in recent {
            // Collected with a shorter window before: then it is gone as a whole.
            if repository.rev_parse(&id.to_string()).is_ok() {
                assert!(content(&repository, &id.to_string()) == self.commits[&id]);
            }
        }
        // Whatever can still be named is whole.
        for (id, files) in &self.commits {
            if repository.rev_parse(&id.to_string()).is_ok() {
                assert!(content(&repository, &id.to_string()) == *files, "{id}");
            }
        }
    }
}

#[test]
fn random_histories_keep_what_is_needed_and_free_what_they_say() {
    let rounds: u64 = std::env::var("HUBVAULT_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    for seed in 0..rounds {
        let mut model = Model::new(seed);
        (0..40).for_each(|_| model.act());
        model.collect();
        // In the end only what the branches show is left, and each byte of content that is stored is needed.
        let report = open(&model.media).gc(&GcOptions::now(), &actor(model.now), &mut |_| ()).unwrap();
        assert_eq!(report.tolerated_size, 0, "{report:?}");
        let overview = open(&model.media).get_storage_overview(&actor(model.now)).unwrap();
        let total: u64 = overview.sections.iter().map(|section| section.total_size).sum();
        assert_eq!(i64::try_from(total).unwrap(), bytes(&model.media));
        assert_eq!((total, overview.reclaimable_temporary_size), (overview.total_size, 0));
        let needed = overview.reachable_size + overview.historical_retained_size;
        let stored = overview.sections[0].total_size + overview.sections[1].total_size;
        assert!(needed <= stored && overview.sections[0].total_size <= needed, "{overview:?}");
        model.check(None);
    }
}

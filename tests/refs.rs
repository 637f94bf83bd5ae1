//! Refs over time beside a plain model: random commits, branches, tags, resets, deletions, renames, new default
//! branches and undos; after each, the refs, every reflog, every `NAME@{n}` and `NAME@{instant}` and what can be
//! undone are as the model says.
//!
//! Prevents a reflog that forgets or doubles a change, and an undo that loses what came after. Knows the public
//! library; must not know how the log is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hubvault::Repository;
use hubvault::ops::{Actor, CommitOptions, InitOptions, ObjectId, Signature, Timestamp};
use hubvault::store::media::memory::MemoryMedia;
use proptest::prelude::*;

const BRANCHES: [&str; 3] = ["main", "dev", "f/x"];
const TAGS: [&str; 2] = ["v1", "v2"];

#[derive(Debug, Clone)]
enum Step {
    Commit(usize),
    Branch(usize, usize),
    Tag(usize, usize),
    Reset(usize, usize),
    DeleteBranch(usize),
    DeleteTag(usize),
    Rename(usize, usize),
    Default(usize),
    /// Counted from the newest.
    Undo(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (branch, tag) = (0..BRANCHES.len(), 0..TAGS.len());
    prop_oneof![
        4 => branch.clone().prop_map(Step::Commit),
        2 => (branch.clone(), any::<usize>()).prop_map(|(b, c)| Step::Branch(b, c)),
        1 => (tag.clone(), any::<usize>()).prop_map(|(t, c)| Step::Tag(t, c)),
        2 => (branch.clone(), any::<usize>()).prop_map(|(b, c)| Step::Reset(b, c)),
        2 => branch.clone().prop_map(Step::DeleteBranch),
        1 => tag.prop_map(Step::DeleteTag),
        1 => (branch.clone(), branch.clone()).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => branch.prop_map(Step::Default),
        4 => (0_usize..4).prop_map(Step::Undo),
    ]
}

type Moves = BTreeMap<String, (Option<ObjectId>, Option<ObjectId>)>;

/// What one transaction did.
#[derive(Debug, Clone, Default)]
struct Done {
    moves: Moves,
    default: Option<(String, String)>,
}

struct Model {
    refs: BTreeMap<String, ObjectId>,
    default: String,
    log: Vec<Done>,
    commits: Vec<ObjectId>,
}

fn head(branch: usize) -> String {
    format!("refs/heads/{}", BRANCHES[branch])
}

fn tag(tag: usize) -> String {
    format!("refs/tags/{}", TAGS[tag])
}

impl Model {
    fn moves(&self, to: &[(String, Option<ObjectId>)]) -> Moves {
        to.iter().map(|(name, new)| (name.clone(), (self.refs.get(name).copied(), *new))).collect()
    }

    /// What a step should do: `None` when it should fail, nothing moved when nothing should happen.
    fn expect(&self, step: &Step) -> Option<Done> {
        let here = |name: &String| self.refs.get(name).copied();
        let commit = |n: &usize| self.commits[n % self.commits.len()];
        let moved = |to: &[(String, Option<ObjectId>)]| Done { moves: self.moves(to), default: None };
        match step {
            Step::Commit(_) => unreachable!("the id is not known before"),
            Step::Branch(b, c) => here(&head(*b)).is_none().then(|| moved(&[(head(*b), Some(commit(c)))])),
            Step::Tag(t, c) => here(&tag(*t)).is_none().then(|| moved(&[(tag(*t), Some(commit(c)))])),
            Step::Reset(b, c) => {
                let at = here(&head(*b))?;
                Some(if at == commit(c) { Done::default() } else { moved(&[(head(*b), Some(commit(c)))]) })
            }
            Step::DeleteBranch(b) => {
                here(&head(*b)).filter(|_| self.default != head(*b)).map(|_| moved(&[(head(*b), None)]))
            }
            Step::DeleteTag(t) => here(&tag(*t)).map(|_| moved(&[(tag(*t), None)])),
            Step::Rename(a, b) => {
                let at = here(&head(*a)).filter(|_| here(&head(*b)).is_none())?;
                let default = (self.default == head(*a)).then(|| (head(*a), head(*b)));
                Some(Done { default, ..moved(&[(head(*a), None), (head(*b), Some(at))]) })
            }
            Step::Default(b) => {
                here(&head(*b))?;
                let default = (self.default != head(*b)).then(|| (self.default.clone(), head(*b)));
                Some(Done { default, ..Done::default() })
            }
            Step::Undo(back) => self.expect_undo(self.log.len().checked_sub(back + 1)?),
        }
    }

    fn expect_undo(&self, at: usize) -> Option<Done> {
        let done = &self.log[at];
        let unmoved = done.moves.iter().all(|(name, (_, new))| self.refs.get(name) == new.as_ref());
        let default = match &done.default {
            Some((_, new)) if *new != self.default => return None,
            Some((old, _)) => old,
            None => &self.default,
        };
        let exists =
            done.moves.get(default).map_or(self.refs.get(default).copied(), |(old, _)| *old).is_some();
        (at > 0 && unmoved && exists).then(|| Done {
            moves: done.moves.iter().map(|(name, (old, new))| (name.clone(), (*new, *old))).collect(),
            default: done.default.as_ref().map(|(old, new)| (new.clone(), old.clone())),
        })
    }

    fn apply(&mut self, done: Done) {
        if done.moves.is_empty() && done.default.is_none() {
            return;
        }
        for (name, (_, new)) in &done.moves {
            match new {
                Some(id) => drop(self.refs.insert(name.clone(), *id)),
                None => drop(self.refs.remove(name)),
            }
        }
        if let Some((_, new)) = &done.default {
            self.default.clone_from(new);
        }
        self.log.push(done);
    }
}

fn actor(n: usize) -> Actor {
    let time = Timestamp { seconds: 1_700_000_000 + i64::try_from(n).unwrap() * 60, offset_minutes: 0 };
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&(n as u64 + 1).to_le_bytes());
    Actor { signature: Signature::new("A", "a@example.org", time).unwrap(), nonce }
}

fn commit(vault: &Repository, branch: usize, n: usize) -> Option<ObjectId> {
    let options = CommitOptions {
        message: format!("commit {n}"),
        revision: Some(BRANCHES[branch].to_owned()),
        allow_empty: true,
        ..CommitOptions::default()
    };
    vault.create_commit(&[], &options, &actor(n), &mut |_| ()).ok().map(|outcome| outcome.oid)
}

/// Does it; whether it worked.
fn act(vault: &Repository, model: &Model, step: &Step, n: usize) -> bool {
    let id = |c: &usize| model.commits[c % model.commits.len()].to_string();
    let who = &actor(n);
    match step {
        Step::Commit(_) => unreachable!(),
        Step::Branch(b, c) => vault.create_branch(BRANCHES[*b], Some(&id(c)), false, who).is_ok(),
        Step::Tag(t, c) => vault.create_tag(TAGS[*t], None, Some(&id(c)), false, who).is_ok(),
        Step::Reset(b, c) => vault.reset_ref(BRANCHES[*b], &id(c), who).is_ok(),
        Step::DeleteBranch(b) => vault.delete_branch(BRANCHES[*b], true, who).is_ok(),
        Step::DeleteTag(t) => vault.delete_tag(TAGS[*t], who).is_ok(),
        Step::Rename(a, b) => vault.rename_branch(BRANCHES[*a], BRANCHES[*b], who).is_ok(),
        Step::Default(b) => vault.set_default_branch(BRANCHES[*b], who).is_ok(),
        Step::Undo(back) => {
            let Some(number) = model.log.len().checked_sub(*back) else { return false };
            let planned = vault.undo(Some(number as u64), true, who);
            let done = vault.undo(Some(number as u64), false, who);
            assert_eq!(planned.is_ok(), done.is_ok(), "a dry run says whether it will work");
            done.is_ok()
        }
    }
}

fn check(vault: &Repository, model: &Model, times: &[i64]) {
    let refs = vault.list_repo_refs(false).unwrap();
    let listed: BTreeMap<String, ObjectId> =
        refs.branches.iter().chain(&refs.tags).map(|r| (r.git_ref.clone(), r.target_commit)).collect();
    assert_eq!(listed, model.refs);
    assert_eq!(format!("refs/heads/{}", vault.default_branch().unwrap()), model.default);
    let log: Vec<_> = vault.transactions().map(Result::unwrap).collect();
    assert_eq!(log.len(), model.log.len());
    let names: BTreeSet<&String> = model.log.iter().flat_map(|done| done.moves.keys()).collect();
    for name in names {
        let newest_first = model.log.iter().enumerate().rev();
        let wanted: Vec<_> =
            newest_first.filter_map(|(at, done)| Some((at, *done.moves.get(name)?))).collect();
        let found = vault.list_repo_reflog(name, None).unwrap();
        let short: Vec<_> = found
            .iter()
            .map(|e| (usize::try_from(e.transaction).unwrap() - 1, (e.old_head, e.new_head)))
            .collect();
        assert_eq!(short, wanted, "{name}");
        for (n, (_, (_, new))) in wanted.iter().enumerate() {
            assert_eq!(vault.rev_parse(&format!("{name}@{{{n}}}")).ok(), *new, "{name}@{{{n}}}");
        }
        assert!(vault.rev_parse(&format!("{name}@{{{}}}", wanted.len())).is_err());
        for time in times {
            for seconds in [time - 1, *time, time + 1] {
                let at = found.iter().find(|entry| entry.timestamp.seconds <= seconds);
                let value = vault.rev_parse(&format!("{name}@{{{seconds}}}")).ok();
                assert_eq!(value, at.and_then(|entry| entry.new_head), "{name}@{{{seconds}}}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn refs_reflogs_and_undo_are_as_a_plain_model_says(steps in prop::collection::vec(step(), 1..25)) {
        let media = MemoryMedia::new();
        let (vault, _) =
            Repository::init_on(Arc::new(media.clone()), &InitOptions::default(), &actor(0)).unwrap();
        let first = vault.rev_parse("HEAD").unwrap();
        let start = Done {
            moves: BTreeMap::from([(head(0), (None, Some(first)))]),
            default: Some((String::new(), head(0))),
        };
        let mut model =
            Model { refs: BTreeMap::new(), default: String::new(), log: Vec::new(), commits: vec![first] };
        model.apply(start);
        for (n, step) in (1..).zip(&steps) {
            let done = if let Step::Commit(branch) = step {
                let id = commit(&vault, *branch, n);
                assert_eq!(id.is_some(), model.refs.contains_key(&head(*branch)));
                model.commits.extend(id);
                id.map(|id| Done { moves: model.moves(&[(head(*branch), Some(id))]), default: None })
            } else {
                let expected = model.expect(step);
                assert_eq!(act(&vault, &model, step, n), expected.is_some(), "{step:?}");
                expected
            };
            done.into_iter().for_each(|done| model.apply(done));
        }
        let times: Vec<i64> = (0..=steps.len()).step_by(5).map(|n| actor(n).signature.time().seconds).collect();
        check(&vault, &model, &times);
        check(&Repository::open_on(Arc::new(media)).unwrap(), &model, &times);
    }
}

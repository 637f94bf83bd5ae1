//! `hv commit`: what its operations do, in which order, and what it says.

use super::Desk;

#[test]
fn it_says_what_it_did() {
    let desk = Desk::new();
    desk.write("model/weights.bin", [7; 5000]);
    desk.write("model/sub/config.json", "{}");
    let run = desk.on(["commit", "-m", "First\n\nand more", "model"]).ok();
    let head = desk.head();
    let said =
        format!("[main {}] First\n A model/sub/config.json\n A model/weights.bin\n 2 added\n", &head[..7]);
    assert_eq!(run.out, said);
    assert!(run.err.contains("2 files read, 4.88 KiB: "), "{}", run.err);
    assert!(run.err.contains(" new, 0 B shared; the vault grew by "), "{}", run.err);
    assert_eq!(desk.files("HEAD"), ["model/sub/config.json", "model/weights.bin"]);
    let again = desk.on(["commit", "-m", "Twice", "--add", "copy=model"]).ok();
    assert!(again.err.contains(": 0 B new, 4.88 KiB shared;"), "{}", again.err);
}

#[test]
fn it_counts_what_changed_and_names_it_while_that_is_little() {
    let desk = Desk::new();
    for n in 0..12 {
        desk.write(&format!("many/f{n:02}"), n.to_string());
    }
    let run = desk.on(["commit", "-m", "many", "many"]).ok();
    assert_eq!(run.out.lines().skip(1).collect::<Vec<_>>(), [" 12 added"]);
    desk.write("other", "new");
    let args =
        ["commit", "-m", "x", "--delete", "many/f00", "--add", "many/f01=other", "--add", "new line=other"];
    let told = desk.on(args.into_iter().chain(["--json"])).json();
    assert_eq!(told["changed"], serde_json::json!({ "added": 1, "modified": 1, "deleted": 1 }));
    let run = desk.on(["commit", "-m", "y", "--delete", "many/f02"]).ok();
    assert_eq!(run.out.lines().skip(1).collect::<Vec<_>>(), [" D many/f02", " 1 deleted"]);
    assert!(!run.err.contains("read"), "nothing was: {}", run.err);
    let run = desk.on(["commit", "-m", "empty", "--allow-empty"]).ok();
    assert_eq!(run.out.lines().skip(1).collect::<Vec<_>>(), [" no file changed"]);
}

#[test]
fn two_files_that_would_be_one_are_refused() {
    let desk = Desk::new();
    let head = desk.head();
    desk.write("r1/metrics.json", "1");
    desk.write("r2/metrics.json", "2");
    let run = desk.on(["commit", "-m", "both", "r1/metrics.json", "r2/metrics.json"]);
    run.fails(2, &["r1/metrics.json", "r2/metrics.json", "would both go in as `metrics.json`", "--add"]);
    assert_eq!(desk.head(), head);
    desk.commit(["r1/metrics.json", "r1/metrics.json"]);
    desk.commit(["--add", "metrics.json=r1/metrics.json", "r2/metrics.json"]);
    assert_eq!(desk.on(["cat", ":metrics.json"]).text(), "2", "what was typed last, where it was said so");
}

#[test]
fn operations_apply_in_the_order_typed_whichever_option_they_came_by() {
    let desk = Desk::new();
    let one = desk.write("one", "1").display().to_string();
    let two = desk.write("two", "2").display().to_string();
    desk.commit(["--add", &format!("a={one}")]);
    // Copied before it is replaced, deleted and added again, a local file between.
    let (replaced, again) = (format!("a={two}"), format!("kept/a={one}"));
    desk.commit([
        "--copy",
        "a=before",
        "--add",
        &replaced,
        "--copy",
        "a=after",
        "two",
        "--delete",
        "a",
        "--add",
        &again,
        "--copy",
        "kept=twice",
    ]);
    assert_eq!(desk.files("HEAD"), ["after", "before", "kept/a", "twice/a", "two"]);
    let read = |path: &str| desk.content(&format!(":{path}"));
    assert_eq!((read("before"), read("after")), (b"1".to_vec(), b"2".to_vec()));
    // The other way around: what is added after a deletion stays.
    desk.commit(["--delete", "kept", "--add", &format!("kept={two}")]);
    assert_eq!(read("kept"), b"2");
    // A file and then something below it, by way of a deletion.
    desk.commit(["--delete", "kept", "--add", &format!("kept/below={one}")]);
    assert_eq!(read("kept/below"), b"1");
}

#[test]
fn a_folder_goes_to_the_root_or_under_a_name() {
    let desk = Desk::new();
    desk.write("data/x/1", "1");
    desk.write("data/2", "2");
    for root in [".", "./", "/"] {
        desk.on(["commit", "-m", "root", "--add", &format!("{root}=data")]).ok();
        assert_eq!(desk.files("HEAD"), ["2", "x/1"], "{root}");
    }
    desk.commit(["--add", "deep/er=data"]);
    assert_eq!(desk.files("HEAD"), ["2", "deep/er/2", "deep/er/x/1", "x/1"]);
    desk.refused(["--add", ".=data/2"], 1, &["data", "needs a name"]);
    // An equals sign in the local name is part of it.
    desk.write("a=b", "eq");
    desk.commit(["--add", "eq=a=b"]);
    assert_eq!(desk.content(":eq"), b"eq");
}

#[test]
fn a_plain_argument_goes_in_under_its_own_name() {
    let desk = Desk::new();
    desk.write("data/x", "1");
    desk.commit(["data/"]);
    let mut inside = desk.command(super::HV);
    inside.current_dir(desk.path("data")).args([
        "-C",
        "../vault",
        "commit",
        "-m",
        "dot",
        "--allow-empty",
        ".",
    ]);
    assert!(inside.status().unwrap().success());
    assert_eq!(desk.files("HEAD"), ["data/x"]);
    desk.write("data/y/z", "2");
    desk.commit(["data/y", "data/x"]);
    assert_eq!(desk.files("HEAD"), ["data/x", "x", "y/z"]);
}

#[test]
fn deleting_the_last_file_of_a_folder_removes_the_folder() {
    let desk = Desk::new();
    desk.commit_file("a/b/c", "1");
    desk.commit_file("d", "1");
    desk.commit(["--delete", "a/b/c"]);
    assert_eq!(desk.on(["ls-tree", "-r", "-t"]).text().lines().count(), 1);
    desk.refused(["--delete", "a"], 3, &["`a` is not in"]);
    desk.refused(["--copy", "a=b"], 3, &["`a` is not in"]);
    desk.commit(["--delete", "d"]);
    assert_eq!(desk.on(["rev-parse", "HEAD^{tree}"]).text(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
}

#[test]
fn messages() {
    let desk = Desk::new();
    desk.write("f", "1");
    let told = desk.on(["commit", "-m", "Title", "--description", "Why\n\nand how", "f", "--json"]).json();
    assert_eq!(
        (&told["commit_message"], &told["commit_description"]),
        (&"Title".into(), &"Why\n\nand how".into())
    );
    let log = desk.on(["log", "-n1", "--json"]).json();
    assert_eq!((&log[0]["title"], &log[0]["message"]), (&"Title".into(), &"Why\n\nand how".into()));
    for empty in ["", " ", "\n\n", "\t"] {
        desk.on(["commit", "-m", empty, "--delete", "f"]).fails(2, &["message is empty", "-m"]);
    }
    desk.on(["commit", "f"]).fails(2, &["--message"]);
}

#[test]
fn nothing_changed_is_no_commit_unless_asked_for() {
    let desk = Desk::new();
    let head = desk.commit_file("f", "1");
    let args = ["commit", "-m", "same", "--add", "f=in/f"];
    let run = desk.on(args).ok();
    assert!(run.out.contains("nothing to commit: main already holds all of this"), "{}", run.out);
    let told = desk.on(args.into_iter().chain(["--json"])).json();
    assert_eq!((&told["committed"], &told["oid"]), (&false.into(), &head.as_str().into()));
    assert_eq!(desk.head(), head);
    let new = desk.commit(["--allow-empty"]);
    assert_eq!(desk.on(["rev-parse", "HEAD~1"]).text(), head);
    assert_eq!(desk.on(["rev-parse", "HEAD^{tree}"]).text(), desk.on(["rev-parse", "HEAD~^{tree}"]).text());
    assert_ne!(new, head);
    desk.on(["commit", "-m", "what?"]).fails(2, &["nothing to do", "--add", "--delete", "--copy"]);
}

#[test]
fn branches_are_committed_to_apart() {
    let desk = Desk::new();
    let main = desk.commit_file("f", "1");
    desk.on(["branch", "side"]).ok();
    desk.write("f2", "2");
    let run = desk.on(["commit", "-m", "there", "-r", "side", "f2"]).ok();
    assert!(run.out.starts_with("[side "), "{}", run.out);
    assert_eq!((desk.head(), desk.files("side")), (main, vec!["f".to_owned(), "f2".to_owned()]));
    desk.on(["commit", "-m", "full name", "-r", "refs/heads/side", "--delete", "f2"]).ok();
    desk.refused(["-r", "nowhere", "f2"], 3, &["branch `nowhere` not found", "hv branch"]);
    desk.refused(["-r", "refs/tags/x", "f2"], 3, &[]);
    desk.refused(["-r", "a..b", "f2"], 2, &[]);
}

#[test]
fn a_pinned_parent_that_is_not_the_head_is_a_conflict_naming_both() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    let second = desk.commit_file("f", "2");
    desk.refused(["--parent", &first, "--delete", "f"], 4, &[&first, &second, "hv log main"]);
    desk.refused(["--parent", "HEAD~1", "--delete", "f"], 4, &[&first, &second]);
    let json = desk.on(["commit", "-m", "no", "--parent", &first, "--delete", "f", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&json.fails(4, &[]).err).unwrap();
    assert_eq!(error["error"]["code"], "conflict");
    desk.refused(["--parent", "nowhere", "--delete", "f"], 3, &["nowhere"]);
    desk.commit(["--parent", &second[..8], "--delete", "f"]);
}

#[test]
fn one_bad_operation_undoes_all() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    desk.write("new", "2");
    desk.refused(["new", "--delete", "absent"], 3, &["absent"]);
    desk.refused(["new", "--add", "x=absent"], 1, &["cannot read `absent`"]);
    desk.refused(["new", "--add", "x"], 2, &["--add", "`x`"]);
    desk.refused(["new", "--copy", "=x"], 2, &["--copy", "`=x`"]);
    for path in ["../x", "/x", "a//b/../c", "x/.git/y", "CON", "a\\b", "end.", "C:/x", "a\u{1}b"] {
        desk.refused(["--add", &format!("{path}=new")], 2, &[]);
    }
    assert_eq!(desk.files("HEAD"), ["f"]);
}

#[test]
fn what_some_system_cannot_tell_apart_is_refused_at_any_depth() {
    let desk = Desk::new();
    desk.commit_file("Dir/Read.me", "1");
    desk.write("new", "2");
    let add = |path: &str| format!("--add={path}=new");
    desk.refused([add("Dir/READ.ME")], 4, &["Dir/READ.ME", "Read.me", "rename"]);
    desk.refused([add("dIR/other")], 4, &["dIR/other", "`Dir`"]);
    desk.refused([add("caf\u{e9}"), add("cafe\u{301}")], 4, &["rename"]);
    desk.refused([add("stra\u{df}e"), add("STRASSE")], 4, &["rename"]);
    desk.refused([add("Dir")], 4, &["a folder is there", "delete it"]);
    desk.refused([add("Dir/Read.me/x")], 4, &["`Read.me` is a file", "delete it"]);
    desk.refused(["--copy", "Dir=DIR"], 4, &["DIR"]);
    desk.commit(["--delete", "Dir/Read.me", &add("Dir/READ.ME")]);
    assert_eq!(desk.files("HEAD"), ["Dir/READ.ME"]);
}

/// A few kilobytes of vault can hold a huge one, and its patterns would take many times that in memory.
#[test]
fn attributes_without_end_are_refused_and_can_be_replaced() {
    let desk = Desk::new();
    desk.write("in/a.bin", "1");
    desk.write("in/.gitattributes", "*.txt text\n".repeat(100_000));
    desk.refused(["--add", ".=in"], 2, &["`.gitattributes` is too long", "shorter"]);
    desk.write("in/.gitattributes", "*.bin filter=lfs\n");
    desk.on(["commit", "-m", "m", "--add", ".=in"]).ok();
}

#[test]
fn attributes_of_the_commit_and_of_the_tree_decide_what_is_a_pointer() {
    let desk = Desk::new();
    desk.write("in/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    desk.write("in/sub/a.bin", "small");
    desk.write("in/sub/a.txt", "small");
    desk.commit(["--add", ".=in"]);
    desk.write("b.bin", "later");
    desk.commit(["b.bin"]);
    let listed = desk.on(["ls-tree", "-r", "--json"]).json();
    let lfs = |path: &str| {
        listed.as_array().unwrap().iter().find(|item| item["path"] == path).unwrap()["lfs"].is_object()
    };
    assert!(lfs("sub/a.bin") && lfs("b.bin") && !lfs("sub/a.txt") && !lfs(".gitattributes"));
    // The size and the bytes are the file's.
    assert_eq!(desk.content(":b.bin"), b"later");
    assert_eq!(listed.as_array().unwrap().iter().find(|item| item["path"] == "b.bin").unwrap()["size"], 5);
    desk.commit_file("off/.gitattributes", "*.bin -filter\n");
    desk.commit_file("off/c.bin", "here");
    assert!(desk.on(["ls-tree", "--json", "HEAD", "off/c.bin"]).json()[0]["lfs"].is_null());
}

#[test]
fn the_text_of_a_pointer_is_refused_as_content() {
    let desk = Desk::new();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "a".repeat(64));
    desk.write("model.bin", &pointer);
    desk.refused(["model.bin"], 1, &["model.bin", "LFS pointer", "git lfs pull"]);
    desk.write("nearly.txt", pointer.replace("12345", "a lot"));
    desk.commit(["nearly.txt"]);
}

/// Each large file is a pack of its own, and open until it is durable.
#[cfg(unix)]
#[test]
fn more_large_files_than_a_process_may_open() {
    let desk = Desk::new();
    for n in 0..100 {
        desk.write(&format!("in/{n:03}.bin"), crate::samples::noise(n, 513 << 10));
    }
    let mut command = desk.command("sh");
    command.args(["-c", "ulimit -n 90 && exec \"$0\" -C vault commit -m many --add .=in", super::HV]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(desk.files("HEAD").len(), 100);
    desk.on(["verify", "--full"]).ok();
}

#[test]
fn content_that_is_stored_without_a_commit_is_said_to_be() {
    let desk = Desk::new();
    let new = desk.write("new", crate::samples::noise(3, 200_000));
    let add = format!("a={}", new.display());
    let words = ["commit", "-m", "x", "--add", &add, "--delete", "a"];
    let done = desk.on([&words[..], &["--json"]].concat()).json();
    assert_eq!(done["committed"], false, "{done}");
    assert!(done["transaction"].is_u64() && done["stored_bytes"].as_u64() >= Some(200_000), "{done}");
    assert!(done["changed"].is_null(), "{done}");
    let again = desk.on([&words[..], &["--json"]].concat()).json();
    assert!(again["transaction"].is_null() && again["stored_bytes"] == 0, "{again}");
}

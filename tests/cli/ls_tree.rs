//! `hv ls-tree`: folders, files, sizes. How it looks is compared with Git in `git`.

use super::Desk;

#[test]
fn a_folder_a_file_or_nothing() {
    let desk = Desk::new();
    desk.commit_file("a/b/c", "12345");
    desk.commit_file("a/d", "1");
    let paths = |args: &[&str]| -> Vec<String> {
        let listed = desk.on(["ls-tree"].iter().chain(args)).text();
        listed.lines().map(|line| line.split_once('\t').unwrap().1.to_owned()).collect()
    };
    assert_eq!(paths(&[]), ["a"]);
    assert_eq!(paths(&["HEAD", "a"]), ["a/b", "a/d"]);
    assert_eq!(paths(&["HEAD", "a/"]), ["a/b", "a/d"]);
    assert_eq!(paths(&["HEAD", "a/b/c"]), ["a/b/c"]);
    assert_eq!(paths(&["-r"]), ["a/b/c", "a/d"]);
    assert_eq!(paths(&["-r", "-t"]), ["a", "a/b", "a/b/c", "a/d"]);
    assert_eq!(paths(&["-r", "HEAD", "a/b"]), ["a/b/c"]);
    desk.on(["ls-tree", "HEAD", "a/x"]).fails(3, &["`a/x` is not in"]);
    desk.on(["ls-tree", "HEAD", "a/d/x"]).fails(3, &["a/d/x"]);
    desk.on(["ls-tree", "HEAD", "../a"]).fails(3, &["`../a` is not in"]);
    desk.on(["ls-tree", "nowhere"]).fails(3, &["nowhere"]);
    assert_eq!(desk.on(["ls-tree", "HEAD~2"]).text(), "");
}

#[test]
fn json_tells_what_the_hub_tells() {
    let desk = Desk::bare();
    desk.hv(["init", "vault", "--large-file-threshold", "100"]).ok();
    desk.commit_file("d/large", [0; 100]);
    let listed = desk.on(["ls-tree", "-r", "-t", "--json"]).json();
    assert_eq!((&listed[0]["type"], &listed[0]["path"]), (&"directory".into(), &"d".into()));
    let large = &listed[1];
    assert_eq!(
        (&large["type"], &large["size"], &large["mode"]),
        (&"file".into(), &100.into(), &"100644".into())
    );
    assert_eq!(large["lfs"]["oid"], large["sha256"]);
    assert_eq!((&large["lfs"]["size"], &large["lfs"]["pointerSize"]), (&100.into(), &128.into()));
}

#[test]
fn last_commits_are_shown_when_asked_for() {
    let desk = Desk::new();
    let first = desk.commit_file("d/old", "1");
    let second = desk.commit_file("d/new", "1");
    let listed = desk.on(["ls-tree", "--last-commit", "-r", "HEAD"]).text();
    let ends: Vec<&str> = listed.lines().map(|line| line.split('\t').nth(2).unwrap()).collect();
    assert!(ends[0].starts_with(&second[..7]) && ends[0].ends_with("Z test"), "{listed}");
    assert!(ends[1].starts_with(&first[..7]), "{listed}");
    let json = desk.on(["ls-tree", "--last-commit", "--json"]).json();
    assert_eq!(json[0]["path"], "d");
    assert_eq!(
        (&json[0]["lastCommit"]["id"], &json[0]["lastCommit"]["title"]),
        (&second.into(), &"test".into())
    );
    assert!(json[0]["lastCommit"]["date"].as_str().unwrap().ends_with('Z'));
    let one = desk.on(["ls-tree", "--last-commit", "--json", "HEAD", "d//old/"]).json();
    assert_eq!(one[0]["lastCommit"]["id"], first);
    assert_eq!(desk.on(["ls-tree", "--json"]).json()[0].get("lastCommit"), None);
    desk.on(["ls-tree", "--last-commit", "HEAD", "absent"]).fails(3, &["absent"]);
    // Where the cache cannot be had, the walk does.
    std::fs::remove_dir(desk.path("vault/cache")).unwrap();
    std::fs::write(desk.path("vault/cache"), "in the way").unwrap();
    assert_eq!(desk.on(["ls-tree", "--last-commit", "-r"]).text(), listed);
}

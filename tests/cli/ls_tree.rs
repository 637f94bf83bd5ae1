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

//! `hv ls`: names for people.

use super::Desk;

#[test]
fn folders_files_and_sizes() {
    let desk = Desk::new();
    desk.commit_file("d/e/f", "12345");
    desk.commit_file("a", vec![b'x'; 2048]);
    desk.commit_file("b", "");
    assert_eq!(desk.on(["ls"]).text(), "a\nb\nd/");
    assert_eq!(desk.on(["ls", "d"]).text(), "e/");
    assert_eq!(desk.on(["ls", "d/e/"]).text(), "f");
    assert_eq!(desk.on(["ls", "d/e/f"]).text(), "d/e/f");
    assert_eq!(desk.on(["ls", "-R"]).text(), "a\nb\nd/e/f");
    assert_eq!(desk.on(["ls", "-R", "d"]).text(), "e/f");
    assert_eq!(desk.on(["ls", "HEAD~2:"]).text(), "d/");
    assert_eq!(desk.on(["ls", "-r", "HEAD~2", "d"]).text(), "e/");
    let long = desk.on(["ls", "-l"]).text();
    let lines: Vec<Vec<&str>> = long.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines[0][0], &lines[0][2..]), ("file", &["2.00", "KiB", "-", "a"][..]));
    assert_eq!((lines[2][0], &lines[2][2..]), ("folder", &["-", "-", "d/"][..]));
    let json = desk.on(["ls", "--json"]).json();
    assert_eq!(json, desk.on(["ls-tree", "--json"]).json());
    desk.on(["ls", "nothing"]).fails(3, &["nothing"]);
    desk.on(["ls", "nowhere:d"]).fails(3, &["nowhere"]);
}

#[test]
fn large_files_are_marked() {
    let desk = Desk::bare();
    desk.hv(["init", "vault", "--large-file-threshold", "1KiB"]).ok();
    desk.commit_file("big", vec![7; 4096]);
    assert!(desk.on(["ls", "-l"]).text().contains("4.00 KiB  lfs  big"));
}

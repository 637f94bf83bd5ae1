//! `hv cat`: the bytes of a file, as a stream.

use std::io::Read as _;
use std::process::Stdio;

use super::{Desk, HV};

#[test]
fn it_writes_exactly_the_bytes() {
    let desk = Desk::new();
    let content: Vec<u8> = (0..3_000_001_u32).flat_map(u32::to_le_bytes).take(3_000_001).collect();
    let first = desk.commit_file("d/big", &content);
    desk.commit_file("d/big", "\r\n\0\u{1b}[31m");
    desk.commit_file("empty", "");
    assert!(desk.content(&format!("{first}:d/big")) == content);
    assert_eq!(desk.content(":d/big"), b"\r\n\0\x1b[31m");
    assert_eq!(desk.content("main~2:d/big"), content);
    assert_eq!(desk.content("HEAD:empty"), b"");
}

#[test]
fn a_range_is_clamped_to_the_file() {
    let desk = Desk::new();
    desk.commit_file("f", "0123456789");
    let range = |range: &str| desk.on(["cat", "--range", range, ":f"]).text();
    assert_eq!(
        (range("2:3"), range("8:5"), range("9:"), range("0:0")),
        ("234".into(), "89".into(), "9".into(), String::new())
    );
    assert_eq!(
        (range("10:1"), range("99:"), range("1:18446744073709551615")),
        (String::new(), String::new(), "123456789".into())
    );
    desk.on(["cat", "--range", "-1:2", ":f"]).fails(2, &[]);
    desk.on(["cat", "--range", "3", ":f"]).fails(2, &["START:LEN"]);
}

#[test]
fn what_is_not_a_file_is_an_error_that_says_so() {
    let desk = Desk::new();
    desk.commit_file("d/f", "1");
    desk.on(["cat", ":d"]).fails(1, &["`d`", "is a folder"]);
    desk.on(["cat", ":"]).fails(1, &["is a folder"]);
    desk.on(["cat", ":d/none"]).fails(3, &["`d/none` is not in"]);
    desk.on(["cat", ":d/f/none"]).fails(3, &["d/f/none"]);
    desk.on(["cat", "nowhere:d/f"]).fails(3, &["nowhere", "hv branch"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_not_an_error() {
    let desk = Desk::new();
    desk.commit_file("big", vec![b'x'; 4 << 20]);
    for args in
        [&["cat", ":big"][..], &["log"], &["log", "--json"], &["ls-tree", "-r"], &["status"], &["branch"]]
    {
        let mut command = desk.command(HV);
        command.args(["-C", "vault"]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        if args[0] == "cat" {
            stdout.read_exact(&mut [0; 10]).unwrap();
        }
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

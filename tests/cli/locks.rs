//! What somebody who waits for a lock is told.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::Desk;

#[test]
fn a_writer_says_what_it_waits_for() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let held = File::options().read(true).write(true).open(desk.path("vault/locks/publish")).unwrap();
    held.lock().unwrap();
    desk.write("g", "2");
    let mut command = desk.command(super::HV);
    command.args(["-C", "vault", "commit", "-m", "x", "g"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut writer = command.spawn().unwrap();
    let mut told = String::new();
    BufReader::new(writer.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("waiting for `locks/publish`"), "{told}");
    drop(held);
    assert!(writer.wait().unwrap().success());
    desk.on(["cat", ":g"]).ok();
}

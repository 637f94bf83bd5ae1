//! Local files as only Unix has them: modes, symlinks, sockets, pipes, devices, names that are not UTF-8.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use super::{Desk, Run};

fn modes(desk: &Desk) -> Vec<(String, String)> {
    let listed = desk.on(["ls-tree", "-r", "--json"]).json();
    let text = |item: &serde_json::Value, key: &str| item[key].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|item| (text(item, "path"), text(item, "mode"))).collect()
}

fn set_mode(desk: &Desk, name: &str, mode: u32) {
    fs::set_permissions(desk.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_executable_bit_is_kept_and_can_change_alone() {
    let desk = Desk::new();
    for (name, mode) in [("d/plain", 0o600), ("d/owner", 0o700), ("d/all", 0o755), ("d/group", 0o670)] {
        desk.write(name, "same");
        set_mode(&desk, name, mode);
    }
    desk.commit(["d"]);
    let wanted = [("d/all", "100755"), ("d/group", "100644"), ("d/owner", "100755"), ("d/plain", "100644")];
    assert_eq!(modes(&desk), wanted.map(|(path, mode)| (path.to_owned(), mode.to_owned())));
    set_mode(&desk, "d/plain", 0o755);
    desk.commit(["d/plain"]);
    assert_eq!(modes(&desk).last().unwrap(), &("plain".to_owned(), "100755".to_owned()));
}

#[test]
fn symlinks_are_kept_as_links_and_only_on_request_without_what_they_stand_for() {
    let desk = Desk::new();
    desk.write("d/sub/f", "1");
    symlink("sub/f", desk.path("d/file")).unwrap();
    symlink("sub", desk.path("d/folder")).unwrap();
    symlink("no/where at all", desk.path("d/dangling")).unwrap();
    symlink("/etc/hostname", desk.path("d/absolute")).unwrap();
    symlink(".", desk.path("d/sub/self")).unwrap();
    for link in ["d/dangling", "d/absolute"] {
        desk.refused([link], 1, &[link, "symlink", "--keep-links"]);
    }
    desk.refused(["d"], 1, &["symlink", "--keep-links"]);
    desk.commit(["--keep-links", "d"]);
    let links: Vec<String> =
        modes(&desk).into_iter().filter(|(_, mode)| mode == "120000").map(|(path, _)| path).collect();
    assert_eq!(links, ["d/absolute", "d/dangling", "d/file", "d/folder", "d/sub/self"]);
    assert_eq!(desk.content(":d/dangling"), b"no/where at all");
    // Given by name a link is a link, also to a folder; as the root it is the folder.
    desk.commit(["--keep-links", "--add", "link=d/folder", "d/dangling"]);
    assert_eq!(desk.content(":link"), b"sub");
    assert_eq!(desk.content(":dangling"), b"no/where at all");
    desk.commit(["--add", ".=d/folder", "--delete", "link"]);
    assert_eq!(desk.content(":f"), b"1");
}

#[test]
fn what_links_lead_to_is_committed_in_their_place_on_request() {
    let desk = Desk::new();
    // As a Hugging Face cache has it, and a folder by a link.
    desk.write("hub/blobs/abc", "weights");
    desk.write("hub/other/sub/f", "1");
    fs::create_dir_all(desk.path("hub/snapshots/main")).unwrap();
    symlink("../../blobs/abc", desk.path("hub/snapshots/main/model.bin")).unwrap();
    symlink("../../other", desk.path("hub/snapshots/main/folder")).unwrap();
    desk.refused(["hub/snapshots/main"], 1, &["symlink", "--follow-links", "--keep-links"]);
    desk.commit(["--follow-links", "hub/snapshots/main"]);
    let wanted = [("main/folder/sub/f", "100644"), ("main/model.bin", "100644")];
    assert_eq!(modes(&desk), wanted.map(|(path, mode)| (path.to_owned(), mode.to_owned())));
    assert_eq!(desk.content(":main/model.bin"), b"weights");
    // By name: a file, and a folder under the link's name.
    desk.commit(["--follow-links", "hub/snapshots/main/model.bin", "hub/snapshots/main/folder"]);
    assert_eq!(
        (desk.content(":model.bin"), desk.content(":folder/sub/f")),
        (b"weights".to_vec(), b"1".to_vec())
    );
    symlink("no/where", desk.path("hub/other/dangling")).unwrap();
    desk.refused(["--follow-links", "hub/other"], 1, &["hub/other/dangling", "nothing that is there"]);
    desk.refused(
        ["--follow-links", "hub/other/dangling"],
        1,
        &["hub/other/dangling", "nothing that is there"],
    );
    symlink("..", desk.path("hub/other/sub/loop")).unwrap();
    // Those nobody wants are in nobody's way.
    let upload = ["upload", "hub/other", "--follow-links", "-m", "x", "--exclude", "sub/loop", "--exclude"];
    desk.on([&upload[..], &["dangling"]].concat()).ok();
    assert_eq!(desk.content(":sub/f"), b"1");
    desk.on([&upload[..], &["no"]].concat()).fails(1, &["hub/other/dangling"]);
    fs::remove_file(desk.path("hub/other/dangling")).unwrap();
    desk.refused(["--follow-links", "hub/other"], 1, &["hub/other/sub/loop", "a folder it is in"]);
    fs::remove_file(desk.path("hub/other/sub/loop")).unwrap();
    symlink("itself", desk.path("hub/other/itself")).unwrap();
    for words in
        [&["--follow-links", "hub/other"][..], &["--follow-links", "hub/other/itself"], &["hub/other"]]
    {
        desk.refused(words, 1, &["hub/other/itself", "symbolic links"]);
    }
    fs::remove_file(desk.path("hub/other/itself")).unwrap();
    symlink("../../vault", desk.path("hub/other/vault")).unwrap();
    desk.refused(["--follow-links", "hub/other"], 1, &["the vault itself"]);
    desk.refused(["--follow-links", "--keep-links", "hub"], 2, &["--keep-links"]);
}

#[test]
fn what_is_no_file_is_refused_by_its_path() {
    let desk = Desk::new();
    desk.write("d/f", "1");
    let socket = UnixListener::bind(desk.path("d/socket")).unwrap();
    desk.refused(["d"], 1, &["d/socket", "cannot be committed"]);
    desk.refused(["d/socket"], 1, &["d/socket", "cannot be committed"]);
    drop(socket);
    fs::remove_file(desk.path("d/socket")).unwrap();
    assert!(desk.command("mkfifo").arg("d/pipe").status().unwrap().success());
    desk.refused(["d"], 1, &["d/pipe", "pipe"]);
    fs::remove_file(desk.path("d/pipe")).unwrap();
    desk.refused(["--add", "null=/dev/null"], 1, &["/dev/null", "device"]);
    desk.commit(["d"]);
}

#[test]
fn names_and_targets_that_are_not_utf8_are_refused() {
    let desk = Desk::new();
    let odd = OsStr::from_bytes(b"caf\xe9");
    desk.write("d/f", "1");
    fs::write(desk.path("d").join(odd), "1").unwrap();
    desk.refused(["d"], 1, &["d/caf", "not UTF-8", "rename"]);
    let local = desk.path("d").join(odd);
    desk.refused([local.as_os_str()], 2, &["caf", "--add"]);
    fs::rename(local, desk.path("d/cafe")).unwrap();
    symlink(odd, desk.path("d/link")).unwrap();
    desk.refused(["--keep-links", "d"], 1, &["d/link", "not UTF-8"]);
}

#[test]
fn what_may_not_be_read_is_named() {
    let desk = Desk::new();
    desk.write("d/open", "1");
    desk.write("d/closed", "1");
    desk.write("e/closed/f", "1");
    set_mode(&desk, "d/closed", 0);
    set_mode(&desk, "e/closed", 0);
    let commit = |what: &str| -> Run {
        let Some(mut command) = as_nobody(&desk) else { return desk.on(["commit", "-m", "x", what]) };
        command.args(["-C", "vault", "commit", "-m", "x", what]).output().unwrap().into()
    };
    for what in ["d", "e"] {
        commit(what).fails(1, &[&format!("cannot read `{what}/closed"), "ermission denied"]);
    }
    assert_eq!(desk.on(["log", "--oneline"]).text().lines().count(), 1);
    set_mode(&desk, "e/closed", 0o755);
}

/// The program run by a user without rights; `None` when the tests are run by one.
fn as_nobody(desk: &Desk) -> Option<std::process::Command> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let program = desk.path("hv");
    // By another program: a file that this one has open for writing while it starts others is busy in them.
    assert!(desk.command("cp").arg(super::HV).arg(&program).status().unwrap().success());
    for args in [&["755", "hv", "."][..], &["-R", "777", "vault"]] {
        assert!(desk.command("chmod").args(args).status().unwrap().success());
    }
    let mut command = desk.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    Some(command)
}

#[test]
fn standard_input_is_no_file_to_commit() {
    let desk = Desk::new();
    for more in [&[][..], &["--follow-links"]] {
        let mut command = desk.command(super::HV);
        command.args(["-C", "vault", "commit", "-m", "x", "--add", "f=/dev/stdin"]).args(more);
        super::feed(command, b"content")
            .fails(1, &["`/dev/stdin`", "leads to a pipe", "write it to a file first"]);
    }
}

/// Without the permission to write, and without room: the message names the vault and what to do.
#[test]
fn a_vault_that_cannot_be_written_is_named() {
    let desk = Desk::new();
    desk.write("f", "1");
    if rustix::process::geteuid().is_root() {
        let chmod = desk.command("chmod").args(["-R", "a+rX", "."]).status().unwrap();
        assert!(chmod.success());
        assert!(desk.command("cp").arg(super::HV).arg("hv").status().unwrap().success());
        let mut command = desk.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "./hv", "-C", "vault"]);
        let run: Run = command.args(["commit", "-m", "x", "f"]).output().unwrap().into();
        run.fails(
            1,
            &["you may not write to `vault`, and nothing was changed (in `locks`: ", "ermission denied"],
        );
    } else {
        eprintln!("\n**** SKIPPED: needs root (to become nobody, and to mount a small disk) ****\n");
        return;
    }
    let script = "mkdir small && mount -t tmpfs -o size=1m none small && ./hv init small/v >/dev/null && \
        head -c 3000000 /dev/urandom >big && exec ./hv -C small/v commit -m x big";
    let mut shell = desk.command("unshare");
    let run: Run = shell.args(["--mount", "sh", "-ec", script]).output().unwrap().into();
    if run.err.contains("unshare: ") || run.err.contains("mount: ") {
        eprintln!("\n**** SKIPPED: no mount namespace here: {} ****\n", run.err);
        return;
    }
    let advice =
        ["no space is left for `small/v`, and nothing was committed", "`hv gc` ", "`hv gc --prune-cache`"];
    run.fails(1, &advice);
}

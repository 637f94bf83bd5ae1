//! `docs/cli.md` is what the program says of itself. `UPDATE=1 cargo test` writes it anew.

use std::fs;
use std::path::Path;

#[test]
fn the_command_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let wanted = hubvault::cli::reference();
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &wanted).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        written == wanted,
        "docs/cli.md is not what the program says; write it with `UPDATE=1 cargo test cli`"
    );
    for line in wanted.lines() {
        assert!(!line.ends_with(' ') && line.chars().count() <= 120, "{line:?}");
    }
}

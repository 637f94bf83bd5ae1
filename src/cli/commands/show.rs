//! `hv show`

use std::io::Write;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::open;
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::changes::{DiffFlags, Format};
use crate::cli::commits::{Page, Shown as Beside, person};
use crate::cli::failure::Failure;
use crate::cli::output::{JsonArray, bytes, count, path, printable, stdout, tame, time};
use crate::cli::pager::Screen;
use crate::cli::style::Paint;
use crate::cli::table;
use crate::ops::ObjectId;
use crate::ops::diff::DiffOptions;
use crate::ops::diff::tensors::is_safetensors;
use crate::ops::safetensors::{Header, HeaderError, read_header};
use crate::ops::show::{File, Shown};
use crate::snapshot::{Mode, SnapshotError, TreeEntry};

/// Show commits, tags, folders and files
///
/// A commit is shown with what it changed against its first parent, also when it is a merge. Of a safetensors file the
/// header is shown as a table; `hv cat` writes the bytes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// A revision, a tag, `REV:FOLDER` or `REV:FILE` [default: the default branch]
    #[arg(value_name = "REV")]
    objects: Vec<String>,
    /// Show only what a commit changed here
    #[arg(value_name = "PATH", last = true)]
    paths: Vec<String>,
    /// One line per commit
    #[arg(long)]
    oneline: bool,
    #[command(flatten)]
    flags: DiffFlags,
}

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;

pub(super) fn run(cli: &Cli, args: &ShowArgs) -> Result<(), Failure> {
    let repository = open(cli)?;
    let head = ["HEAD".to_owned()];
    let names = if args.objects.is_empty() { &head[..] } else { &args.objects };
    let options = args.flags.options(&args.paths)?;
    if cli.json {
        let mut array = JsonArray::new(stdout());
        for name in names {
            push_json(&repository, name, args, &options, &mut array)?;
        }
        return array.finish();
    }
    let mut screen = Screen::paged(cli);
    for (number, name) in names.iter().enumerate() {
        let shown = repository.show(name)?;
        if number > 0 && !args.oneline {
            writeln!(screen)?;
        }
        match shown {
            Shown::Tags(tags, id) => {
                for tag in tags {
                    let name = String::from_utf8_lossy(&tag.name).into_owned();
                    let line =
                        screen.style.paint(Paint::Commit, &format!("tag {}", printable(&name))).into_owned();
                    writeln!(screen, "{line}")?;
                    if let Some(tagger) = &tag.tagger {
                        writeln!(screen, "{}\nDate:   {}", person("Tagger: ", tagger), time(tagger.time()))?;
                    }
                    writeln!(screen, "\n{}\n", printable(String::from_utf8_lossy(&tag.message).trim_end()))?;
                }
                commit(&repository, id, args, &options, &mut screen)?;
            }
            Shown::Commit(id) => commit(&repository, id, args, &options, &mut screen)?,
            Shown::Folder(entries) => folder(name, &entries, &mut screen)?,
            Shown::File(found) => file(&found, &mut screen)?,
        }
    }
    Ok(screen.finish()?)
}

fn commit(
    repository: &Repository,
    id: ObjectId,
    args: &ShowArgs,
    options: &DiffOptions,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let comparison = repository.compare_to_parent(id, options.clone())?;
    let (commit, changes) = (comparison.revisions().1.commit(), comparison.changes()?);
    let parents = &commit.parents;
    let note = parents.first().filter(|_| parents.len() > 1);
    let note = note.map(|parent| format!("Compared with its first parent, {}:", parent.short()));
    let shown = Beside { comparison: &comparison, changes: &changes, note };
    let format = Some(args.flags.format().unwrap_or(Format::Patch));
    let mut page = Page::new(screen, &args.flags, format).oneline(args.oneline);
    page.commit(id, commit, parents, Vec::new(), Some(&shown))
}

/// A folder as `git show` lists it.
fn folder(name: &str, entries: &[TreeEntry], screen: &mut Screen) -> Result<(), Failure> {
    let line = screen.style.paint(Paint::Commit, &format!("tree {}", printable(name))).into_owned();
    writeln!(screen, "{line}\n")?;
    for entry in entries {
        let slash = if entry.mode == Mode::Directory { "/" } else { "" };
        writeln!(screen, "{}", path(&format!("{}{slash}", String::from_utf8_lossy(&entry.name))))?;
    }
    Ok(())
}

fn header(file: &File) -> Result<Header, Failure> {
    read_header(&file.reader).map_err(|error| match error {
        HeaderError::Read(error) => SnapshotError::into(error),
        HeaderError::Invalid(_) => {
            Failure::new("invalid-file", format!("`{}`: {error}; `hv cat` writes its bytes", file.path))
        }
    })
}

fn file(file: &File, screen: &mut Screen) -> Result<(), Failure> {
    if is_safetensors(&file.path) && file.mode != Mode::Symlink {
        return tensors(&header(file)?, screen);
    }
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    loop {
        let n = file.reader.read_at(at, &mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        if screen.is_terminal {
            let text = String::from_utf8_lossy(&buffer[..n]);
            let lines: Vec<String> = text.split('\n').map(tame).collect();
            screen.write_all(lines.join("\n").as_bytes())?;
        } else {
            screen.write_all(&buffer[..n])?;
        }
        at += n as u64;
    }
}

/// The header of a safetensors file as a table.
fn tensors(header: &Header, screen: &mut Screen) -> Result<(), Failure> {
    for (key, value) in &header.metadata {
        writeln!(screen, "{}: {}", path(key), tame(value))?;
    }
    if !header.metadata.is_empty() {
        writeln!(screen)?;
    }
    let titles = ["NAME", "DTYPE", "SHAPE", "BYTES", "OFFSET"].map(str::to_owned);
    let rows = header.tensors.iter().map(|tensor| {
        let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
        [
            path(&tensor.name).into_owned(),
            tame(&tensor.dtype),
            format!("[{}]", shape.join(", ")),
            tensor.bytes.to_string(),
            tensor.offset.to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(titles).chain(rows).collect();
    table::lines(&rows, &[3, 4]).iter().try_for_each(|line| writeln!(screen, "{line}"))?;
    let totals = Totals::of(header);
    let parameters = totals.parameters.map_or_else(|| "too many".to_owned(), |n| n.to_string());
    writeln!(
        screen,
        "\n{}, {parameters} parameters, {} of data, {} of header",
        count(totals.tensors, "tensor"),
        bytes(totals.data_bytes),
        bytes(header.header_bytes + 8)
    )?;
    Ok(())
}

/// What a header adds up to.
#[derive(Debug, Serialize)]
struct Totals {
    tensors: u64,
    parameters: Option<u64>,
    data_bytes: u64,
}

impl Totals {
    fn of(header: &Header) -> Self {
        let add = |sum: Option<u64>, n: Option<u64>| sum?.checked_add(n?);
        Self {
            tensors: header.tensors.len() as u64,
            parameters: header
                .tensors
                .iter()
                .map(crate::ops::safetensors::Tensor::elements)
                .fold(Some(0), add),
            data_bytes: header.tensors.iter().map(|tensor| tensor.bytes).sum(),
        }
    }
}

fn push_json<W: Write>(
    repository: &Repository,
    name: &str,
    args: &ShowArgs,
    options: &DiffOptions,
    array: &mut JsonArray<W>,
) -> Result<(), Failure> {
    match repository.show(name)? {
        Shown::Commit(id) | Shown::Tags(_, id) => {
            array.push(&repository.get_commit_detail(&id.to_string(), options.clone(), args.flags.context)?)
        }
        Shown::Folder(entries) => {
            let entries: Vec<_> = entries.iter().map(|entry| {
                let kind = if entry.mode == Mode::Directory { "directory" } else { "file" };
                json!({ "type": kind, "path": String::from_utf8_lossy(&entry.name), "oid": entry.id, "mode": format!("{:0>6}", entry.mode.octal()) })
            }).collect();
            array.push(&json!({ "type": "directory", "entries": entries }))
        }
        Shown::File(file) => {
            let is_tensors = is_safetensors(&file.path) && file.mode != Mode::Symlink;
            let found = if is_tensors { Some(header(&file)?) } else { None };
            let totals = found.as_ref().map(Totals::of);
            array.push(&json!({
                "type": "file", "path": file.path, "oid": file.oid, "size": file.info.size,
                "sha256": file.info.sha256, "mode": file.mode.octal(), "lfs": file.info.pointer_size.is_some(),
                "safetensors": found, "totals": totals,
            }))
        }
    }
}

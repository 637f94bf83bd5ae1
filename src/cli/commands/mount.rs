//! `hv mount`: in the foreground, or by starting itself again in the background and waiting until it serves.

use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use hubvault_platform::process::{self, TerminationGuard};
use hubvault_platform::{MountOptions, Mounted, Opens, UnmountMode, mount, table};
use serde_json::{Value, json};

use super::{mount_view, say, warn_of_passed_over};
use crate::Repository;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::{memory, output, parse};
use crate::ops::HeldLease;

/// Show a revision, a branch as it moves, or the whole vault as a read-only folder
///
/// With a revision, that one and no other, whatever is committed later. With --follow, the newest commit of a branch,
/// from the moment it is there. With neither, all of the vault: branches/, tags/, commits/ and by-date/.
///
/// Returns when the folder can be read, and serves it in the background until `hv umount`. What follows the
/// last `@` is the revision; with --revision, `@` is an ordinary character.
#[derive(Debug, Args)]
#[command(override_usage = "hv mount [OPTIONS] [VAULT] <MOUNTPOINT[@REVISION]>")]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(in crate::cli) struct MountArgs {
    /// An empty folder, and the revision to show there [default: the whole vault]; before it, the vault's folder, where
    /// -C does not name it
    #[arg(value_name = "MOUNTPOINT[@REVISION]", required = true, num_args = 1..=2)]
    places: Vec<String>,
    /// Revision to show
    #[arg(short, long, value_name = "REV")]
    revision: Option<String>,
    /// Follow a branch: each new commit is shown as soon as it is there; what is open stays what it was
    #[arg(long, value_name = "BRANCH")]
    pub(super) follow: Option<String>,
    /// Show only this folder of the revision
    #[arg(long, value_name = "SUBDIR")]
    pub(super) path: Option<String>,
    /// What file times say: when the shown commit was made, or the one that last changed the file
    #[arg(long, value_name = "WHICH", default_value = "commit", value_parser = ["commit", "last-change"])]
    pub(super) mtime: String,
    /// Stay in the foreground until unmounted
    #[arg(short, long)]
    foreground: bool,
    /// Let other users read it too
    #[arg(long)]
    allow_other: bool,
    /// Check every byte against its hash: the kernel reads no file by itself, which costs speed
    #[arg(long)]
    no_passthrough: bool,
    /// Program that lets the kernel read files by itself for ordinary users [default: hubvault-passthrough beside hv]
    #[arg(long, value_name = "PROGRAM")]
    passthrough_helper: Option<PathBuf>,
    /// Whether the kernel asks for every opening of a file; `auto`: where files may be passed through
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = ["auto", "always", "never"])]
    opens: String,
    /// Memory for what is kept to be read again [default: a sixteenth of the machine's, 128MiB at most]
    #[arg(long, value_name = "SIZE", value_parser = crate::cli::parse::size)]
    cache_size: Option<u64>,
    /// Serve, having been started in the background by another `hv mount`
    #[arg(long, hide = true)]
    serve: bool,
}

pub(super) fn run(cli: &Cli, args: &MountArgs) -> Result<(), Failure> {
    let (vault, target) = places(cli, args)?;
    if args.serve {
        // Split already, by the process that started this one.
        return serve_in_background(cli, args, vault, (Path::new(target), args.revision.as_deref()));
    }
    let (mountpoint, revision) =
        parse::mount_target(target, args.revision.as_deref()).map_err(Failure::usage)?;
    mount_view::check(args, revision)?;
    let at = (Path::new(mountpoint), revision);
    let or_name_it = |failure: Failure| match args.places.len() {
        1 if failure.is("not-a-vault") => failure.and("or name the vault: `hv mount VAULT MOUNTPOINT`"),
        _ => failure,
    };
    if args.foreground {
        let serving = start(cli, args, vault, at).map_err(or_name_it)?;
        show(cli, &serving.about)?;
        return Ok(serving.mounted.wait()?);
    }
    show(cli, &launch(args, vault, at).map_err(or_name_it)?)
}

/// The vault, which stands before the mount point or is that of -C or the variable, and the mount point with what follows
/// it. A vault that was written out goes before the variable, as -C does.
fn places<'a>(cli: &'a Cli, args: &'a MountArgs) -> Result<(&'a Path, &'a str), Failure> {
    let (vault, target) = match args.places.as_slice() {
        [vault, target] => (Some(Path::new(vault)), target),
        [target] => (None, target),
        _ => return Err(Failure::usage("say where: hv mount [VAULT] MOUNTPOINT[@REVISION]")),
    };
    let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if let (Some(vault), Some(given)) = (vault, &cli.given)
        && place(vault) != place(given)
    {
        return Err(Failure::usage(format!(
            "two vaults are named, `{}` by -C and `{}` before the mount point: leave one of them out",
            given.display(),
            vault.display()
        )));
    }
    Ok((vault.unwrap_or(&cli.vault), target))
}

fn show(cli: &Cli, about: &Value) -> Result<(), Failure> {
    if cli.json {
        return output::json(about);
    }
    let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
    let below = if text("path").is_empty() { String::new() } else { format!(":{}", text("path")) };
    let commit = text("commit");
    let what = match (text("revision"), about["follow"] == true) {
        (revision, true) => format!("{revision}{below}, as it moves,"),
        (revision, false) if revision.is_empty() => text("vault"),
        (revision, false) => format!("{revision}{below} at {}", &commit[..7.min(commit.len())]),
    };
    say(&format!("{what} is mounted on {}", text("mountpoint")))
}

/// A mount, what there is to tell about it, and what must live as long.
struct Serving {
    mounted: Mounted,
    about: Value,
    _guard: TerminationGuard,
    /// Keeps its commit.
    _lease: Option<HeldLease>,
}

/// Mounts.
fn start(
    cli: &Cli,
    args: &MountArgs,
    vault: &Path,
    (mountpoint, revision): (&Path, Option<&str>),
) -> Result<Serving, Failure> {
    let cache = args.cache_size.unwrap_or_else(memory::default_cache);
    let cache = usize::try_from(cache).unwrap_or(usize::MAX);
    let repository = Repository::open(vault).map_err(|error| Failure::from(error).at(vault))?;
    let repository = repository.with_cache(cache);
    warn_of_passed_over(cli, &repository)?;
    let shown = mount_view::choose(args, mountpoint, revision, repository)?;
    let mut options = MountOptions::new(shown.source);
    options.allow_other = args.allow_other;
    options.passthrough = !args.no_passthrough;
    options.passthrough_helper = args.passthrough_helper.clone().or_else(helper_beside);
    options.opens = match args.opens.as_str() {
        "always" => Opens::Answered,
        "never" => Opens::Spared,
        _ => Opens::WhereNeeded,
    };
    let turn = wait_for_turn(mountpoint);
    end_dead_mount(mountpoint);
    let mounted = mount(shown.tree, mountpoint, &options)?;
    drop(turn);
    let mut about = shown.about;
    about["mountpoint"] = json!(mounted.mountpoint());
    about["pid"] = json!(std::process::id());
    Ok(Serving { _guard: unmount_on_termination(&mounted)?, mounted, about, _lease: shown.lease })
}

/// The helper as it is installed: in the folder of this program.
fn helper_beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name("hubvault-passthrough");
    program.is_file().then_some(program)
}

/// From now on, being told to end ends the mount and with it the process. To be in place before anyone hears
/// that the mount is there: who is told so may end it at once.
fn unmount_on_termination(mounted: &Mounted) -> Result<TerminationGuard, Failure> {
    let unmounter = mounted.unmounter();
    Ok(process::on_termination(move |_| {
        if let Err(error) = unmounter.unmount_now() {
            tracing::error!(%error, "could not unmount");
        }
    })?)
}

/// How long a start waits for another one in the same folder.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until nobody else is mounting in the folder of the mount point, and keeps it so while the answer is held: of two
/// that come after a crash, the second would else end the mount that the first has just made in place of the dead one,
/// or both would mount, one over the other. The mount point itself cannot be locked, as nobody can open it while it is
/// dead. Where the folder cannot be locked there is no waiting.
fn wait_for_turn(mountpoint: &Path) -> Option<File> {
    let folder = File::open(mountpoint.parent()?).ok()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(_) => return None,
        }
    }
}

/// Ends what a server that was killed left at the mount point, where nobody can read anything any more.
fn end_dead_mount(mountpoint: &Path) {
    if table::is_dead(mountpoint)
        && let Err(error) = table::unmount(mountpoint, UnmountMode::Detach)
    {
        // Somebody else's; mounting there says so.
        tracing::debug!(%error, "the dead mount stays");
    }
}

/// Starts this program again, in the background, and waits for its one line: serving, or why not.
fn launch(
    args: &MountArgs,
    vault: &Path,
    (mountpoint, revision): (&Path, Option<&str>),
) -> Result<Value, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("-C")
        .arg(absolute(vault)?)
        .arg("mount")
        .arg("--serve")
        .arg("--opens")
        .arg(&args.opens)
        .arg("--mtime")
        .arg(&args.mtime);
    if let Some(size) = args.cache_size {
        command.arg("--cache-size").arg(size.to_string());
    }
    if let Some(program) = &args.passthrough_helper {
        command.arg("--passthrough-helper").arg(absolute(program)?);
    }
    if args.allow_other {
        command.arg("--allow-other");
    }
    if args.no_passthrough {
        command.arg("--no-passthrough");
    }
    for (option, value) in [("--path", &args.path), ("--follow", &args.follow)] {
        if let Some(value) = value {
            command.arg(format!("{option}={value}"));
        }
    }
    if let Some(revision) = revision {
        command.arg("--revision").arg(revision);
    }
    // One heap for its few threads, and large blocks given back: a walk of a million files would leave it twice as large.
    // But not each chunk, to be asked for again with the next read. Known to glibc only, and harmless elsewhere.
    command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "1048576");
    command.env("MALLOC_TRIM_THRESHOLD_", "4194304");
    // The server lives in no folder of the user's: that one could not be unmounted, or removed, while it serves.
    command.current_dir("/");
    command.arg("--").arg(absolute(mountpoint)?);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file());
    let mut child = command.spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let answer: Value = serde_json::from_str(&line).unwrap_or_default();
    if answer["mounted"].is_object() {
        return Ok(answer["mounted"].clone());
    }
    let status = child.wait()?;
    let message = answer["error"]["message"]
        .as_str()
        .map_or_else(|| format!("the serving process ended with {status}"), str::to_owned);
    Err(Failure::described(answer["error"]["code"].as_str().unwrap_or("mount"), message))
}

fn serve_in_background(
    cli: &Cli,
    args: &MountArgs,
    vault: &Path,
    at: (&Path, Option<&str>),
) -> Result<(), Failure> {
    process::detach_session()?;
    let started = start(cli, args, vault, at);
    let answer = match &started {
        Ok(serving) => json!({ "mounted": serving.about }),
        Err(failure) => json!({ "error": failure.to_json() }),
    };
    let mut out = std::io::stdout();
    writeln!(out, "{answer}").and_then(|()| out.flush())?;
    let serving = started?;
    Ok(serving.mounted.wait()?)
}

/// Where the serving process writes what goes wrong: a file in the user's state folder, or nowhere.
#[expect(clippy::disallowed_methods, reason = "cli is where the environment is read")]
fn log_file() -> Stdio {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")));
    let file = state.and_then(|state| {
        let folder = state.join("hubvault");
        std::fs::create_dir_all(&folder).ok()?;
        File::options().create(true).append(true).open(folder.join("mount.log")).ok()
    });
    file.map_or_else(Stdio::null, Stdio::from)
}

//! The grammar of the command line, as it is typed. Doc comments are the help; what the words mean is decided
//! in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A versioned repository for large files, in one folder
///
/// A vault keeps every committed version of your models and datasets, each byte once. Commit files with
/// `hv commit`, look at history with `hv log`, and read any version as a folder with `hv mount`.
#[derive(Debug, Parser)]
#[command(name = "hv", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = "Start here:
  hv init vault                              make a vault
  hv -C vault commit -m 'First' ./my-model   commit a folder
  hv mount vault /mnt/models@main            read it as a folder
  hv umount /mnt/models

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict (somebody committed first),
5 damaged vault, 6 mounting is not possible here.")]
pub(super) struct Cli {
    /// The vault's folder
    #[arg(
        short = 'C',
        long = "vault",
        global = true,
        env = "HUBVAULT_DIR",
        hide_env_values = true,
        value_name = "DIR",
        default_value = "."
    )]
    pub(super) vault: PathBuf,
    /// Report as JSON on standard output, errors as JSON on standard error
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Init(InitArgs),
    Commit(CommitArgs),
    Log(LogArgs),
    LsTree(LsTreeArgs),
    Cat(CatArgs),
    /// Show where the vault stands, and who is using it
    Status,
    Branch(BranchArgs),
    Tag(TagArgs),
    RevParse(RevParseArgs),
    Verify(VerifyArgs),
    Mount(MountArgs),
    /// List what is mounted on this machine
    Mounts,
    Umount(UmountArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Make a vault
///
/// Makes a vault with one branch and an initial commit. On a folder that is a vault already it changes
/// nothing.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder to make the vault in; new or empty [default: the vault of -C, else the current folder]
    pub(super) dir: Option<PathBuf>,
    /// Name of the default branch
    #[arg(short = 'b', long, value_name = "BRANCH", default_value = "main")]
    pub(super) initial_branch: String,
    /// Files of this size and more are LFS pointers in Git's eyes, as on the Hub
    #[arg(long, value_name = "SIZE", default_value = "10MiB", value_parser = super::parse::size)]
    pub(super) large_file_threshold: u64,
}

/// Commit files, in one step or not at all
///
/// Operations are applied in the order given. A plain LOCAL file or folder goes in under its own name.
#[derive(Debug, Args)]
pub(super) struct CommitArgs {
    /// Message; its first line is the title
    #[arg(short, long, value_name = "MSG")]
    pub(super) message: String,
    /// The rest of the message
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// Branch to commit to [default: the default branch]
    #[arg(short, long, value_name = "BRANCH")]
    pub(super) revision: Option<String>,
    /// Commit only if the branch is at this commit; a conflict otherwise
    #[arg(long, value_name = "REV")]
    pub(super) parent: Option<String>,
    /// Author [default: `HUBVAULT_AUTHOR`, else as Git is configured]
    #[arg(long, value_name = "NAME <EMAIL>")]
    pub(super) author: Option<String>,
    /// Author date: ISO 8601, RFC 2822, or seconds since 1970 with an offset
    #[arg(long, value_name = "DATE")]
    pub(super) date: Option<String>,
    /// Commit even when nothing changes
    #[arg(long)]
    pub(super) allow_empty: bool,
    /// Commit symlinks even when they dangle or lead out of the folder that is committed
    #[arg(long)]
    pub(super) keep_links: bool,
    /// Add a file or folder at a path (`.` is the root, for folders)
    #[arg(long, value_name = "REPO_PATH=LOCAL")]
    pub(super) add: Vec<String>,
    /// Remove a file or folder
    #[arg(long, value_name = "PATH")]
    pub(super) delete: Vec<String>,
    /// Copy a file or folder within the repository
    #[arg(long, value_name = "SRC=DST")]
    pub(super) copy: Vec<String>,
    /// Files and folders to add under their own names
    pub(super) local: Vec<PathBuf>,
}

/// Show history, newest first
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Where to start [default: the default branch]
    pub(super) revision: Option<String>,
    /// Show at most this many commits
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) max_count: Option<usize>,
    /// One line per commit
    #[arg(long)]
    pub(super) oneline: bool,
}

/// List what a folder of a revision holds
#[derive(Debug, Args)]
pub(super) struct LsTreeArgs {
    /// Revision to list [default: the default branch]
    pub(super) revision: Option<String>,
    /// Folder or file to list [default: the root]
    pub(super) path: Option<String>,
    /// Everything below as well; folders themselves are left out, as Git does
    #[arg(short)]
    pub(super) recursive: bool,
    /// With -r: show folders too
    #[arg(short)]
    pub(super) trees: bool,
    /// Show sizes in bytes
    #[arg(short)]
    pub(super) long: bool,
}

/// Write a file's content to standard output
#[derive(Debug, Args)]
pub(super) struct CatArgs {
    /// Revision and path; `:PATH` is the default branch
    #[arg(value_name = "REV:PATH")]
    pub(super) target: String,
}

/// List branches, or make one
#[derive(Debug, Args)]
pub(super) struct BranchArgs {
    /// Name of the branch to make
    pub(super) name: Option<String>,
    /// Where it starts [default: the default branch]
    pub(super) start: Option<String>,
    /// Show each branch's commit
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Print the name of the default branch
    #[arg(long, conflicts_with = "name")]
    pub(super) show_current: bool,
}

/// List tags, or make one
#[derive(Debug, Args)]
pub(super) struct TagArgs {
    /// Name of the tag to make
    pub(super) name: Option<String>,
    /// What it names [default: the default branch]
    pub(super) revision: Option<String>,
    /// Make an annotated tag with this message
    #[arg(short, long, value_name = "MSG", requires = "name")]
    pub(super) message: Option<String>,
    /// List tags (what happens without a name anyway)
    #[arg(short, long, conflicts_with = "name")]
    pub(super) list: bool,
}

/// Print the id of what a revision names
#[derive(Debug, Args)]
pub(super) struct RevParseArgs {
    /// A revision, `REV^{tree}` or `REV:PATH` (`:PATH` is in the default branch)
    #[arg(required = true)]
    pub(super) revision: Vec<String>,
}

/// Check that everything is there and unchanged
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Hash every stored byte again
    #[arg(long)]
    pub(super) full: bool,
}

/// Show a revision as a read-only folder
///
/// Returns when the folder can be read, and serves it in the background until `hv umount`. What follows the
/// last `@` is the revision; with --revision, `@` is an ordinary character.
#[derive(Debug, Args)]
pub(super) struct MountArgs {
    /// The vault's folder
    pub(super) vault: PathBuf,
    /// An empty folder, and the revision to show there [default: the default branch]
    #[arg(value_name = "MOUNTPOINT[@REVISION]")]
    pub(super) target: String,
    /// Revision to show
    #[arg(short, long, value_name = "REV")]
    pub(super) revision: Option<String>,
    /// Stay in the foreground until unmounted
    #[arg(short, long)]
    pub(super) foreground: bool,
    /// Let other users read it too
    #[arg(long)]
    pub(super) allow_other: bool,
    /// Memory for decoded chunks
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = super::parse::size)]
    pub(super) cache_size: u64,
    /// Serve, having been started in the background by another `hv mount`
    #[arg(long, hide = true)]
    pub(super) serve: bool,
}

/// End a mount
#[derive(Debug, Args)]
pub(super) struct UmountArgs {
    /// The folder it was mounted on
    pub(super) mountpoint: PathBuf,
    /// Detach it even while files are open
    #[arg(short, long)]
    pub(super) force: bool,
}

/// Print shell completions
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder
    pub(super) dir: PathBuf,
}

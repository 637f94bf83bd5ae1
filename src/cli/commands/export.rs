//! `hv export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::download::show;
use super::open;
use crate::cli::args::Cli;
use crate::cli::failure::Failure;
use crate::cli::identity;
use crate::cli::progress::watched;
use crate::ops::export::{HfCacheOptions, RepoType};

/// Lay a revision out as a Hugging Face cache, and print the snapshot's folder
///
/// For machines where nothing can be mounted: `from_pretrained`, `hf_hub_download` and `snapshot_download` find the
/// revision in that cache by the name of the repository, without a network (`HF_HUB_OFFLINE=1`); `load_dataset` takes the
/// folder that is printed. Each content is there once, whichever revisions hold it: exporting the next revision adds
/// what is new in it. Copies are private, and reflinks where the file system can share blocks.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// Revision to lay out
    #[arg(value_name = "REV")]
    revision: String,
    /// The cache [default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else ~/.cache/huggingface/hub]
    #[arg(value_name = "DIR")]
    cache: Option<PathBuf>,
    /// As a Hugging Face cache; there is no other form (`hv snapshot` writes a plain folder)
    #[arg(long, required = true)]
    hf_cache: bool,
    /// Name of the repository, as loaders are given it
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    repo_id: String,
    /// What kind of repository it is
    #[arg(long, value_name = "TYPE", default_value = "model")]
    repo_type: Kind,
    /// Let this name stand for the revision in the cache; loaders that are given no revision look for `main` [default:
    /// the branch or tag that REV is]
    #[arg(long = "ref", value_name = "NAME")]
    refs: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Model,
    Dataset,
    Space,
}

pub(super) fn run(cli: &Cli, args: &ExportArgs) -> Result<(), Failure> {
    let options = HfCacheOptions {
        revision: args.revision.clone(),
        cache_dir: args.cache.clone().or_else(default_cache).ok_or_else(|| {
            Failure::usage("where the cache is cannot be told without a home folder; give it as DIR")
        })?,
        repo_id: args.repo_id.clone(),
        repo_type: match args.repo_type {
            Kind::Model => RepoType::Model,
            Kind::Dataset => RepoType::Dataset,
            Kind::Space => RepoType::Space,
        },
        refs: args.refs.clone(),
        pid: std::process::id(),
    };
    let repository = open(cli)?;
    let actor = identity::reader()?;
    let done =
        watched(cli.json, &repository, |progress| repository.export_hf_cache(&options, &actor, progress))?;
    show(cli, &done)
}

/// Where `huggingface_hub` keeps its cache.
#[expect(clippy::disallowed_methods, reason = "the command line knows the environment")]
fn default_cache() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = || folder("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let home = || folder("HF_HOME").or_else(|| Some(caches()?.join("huggingface")));
    folder("HF_HUB_CACHE").or_else(|| Some(home()?.join("hub")))
}

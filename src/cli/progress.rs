//! One progress bar on a terminal; nothing when standard error is a pipe or a file.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ops::Progress;
use crate::ops::optimize::OptimizeProgress;

/// A bar over bytes.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar that shows itself only on a terminal, and not when the report is JSON.
    pub(super) fn new(json: bool) -> Self {
        let hidden = json || !std::io::stderr().is_terminal();
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} {wide_msg}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// Shows what a commit is doing.
    pub(super) fn commit(&self, progress: Progress<'_>) {
        match progress {
            Progress::Found { bytes, .. } => self.0.set_length(bytes),
            Progress::File(path) => self.0.set_message(path.display().to_string()),
            Progress::Read(bytes) => self.0.inc(bytes),
            Progress::Publishing => self.0.set_message("publishing"),
        }
    }

    /// Shows what an optimization is doing.
    pub(super) fn optimize(&self, progress: OptimizeProgress) {
        match progress {
            OptimizeProgress::Looking => self.0.set_message("looking for what is worth it"),
            OptimizeProgress::Found(bytes) => {
                self.0.set_length(bytes);
                self.0.set_message("storing");
            }
            OptimizeProgress::Stored(bytes) => self.0.inc(bytes),
            OptimizeProgress::Collecting => self.0.set_message("freeing what was replaced"),
            OptimizeProgress::Waiting => self.0.set_message("waiting for a commit that is being made"),
        }
    }

    /// Moves on by so many bytes.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

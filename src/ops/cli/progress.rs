//! Bars on a terminal, for uploads and publishes; nothing where nobody looks.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that is drawn on standard error, if that is a terminal.
pub(super) struct Bar(ProgressBar);

/// A bar for bytes, whose end is not known yet.
pub(super) fn bar(what: &'static str) -> Bar {
    let bar = ProgressBar::new(0);
    let form = "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    Bar(bar)
}

impl Bar {
    /// So many bytes of so many; what is not known stays as it was.
    pub(super) fn at(&self, done: Option<u64>, total: Option<u64>) {
        if let Some(total) = total {
            self.0.set_length(total);
        }
        if let Some(done) = done {
            self.0.set_position(done);
        }
    }

    /// Takes the bar away.
    pub(super) fn done(&self) {
        self.0.finish_and_clear();
    }
}

//! `backup` and `restore`: a data directory into one file, and out of it again.

use crate::exit::Failure;
use crate::ops::backup::{Extent, Saved, backup, restore};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct BackupArguments {
    /// The tar file, which is replaced when it is there. It holds keys: keep it as the data itself.
    file: PathBuf,
    /// The directory of the ops center.
    #[arg(long, value_name = "DIR", env = "POTOROO_OPS_DATA", default_value = "potoroo-data")]
    data: PathBuf,
    /// Leave out what edges inferred, which may be most of it.
    #[arg(long)]
    without_logs: bool,
}

#[derive(Args)]
pub(super) struct RestoreArguments {
    /// The tar file.
    file: PathBuf,
    /// The directory to make, or an empty one.
    #[arg(long, value_name = "DIR", env = "POTOROO_OPS_DATA")]
    data: PathBuf,
}

impl BackupArguments {
    pub(super) fn run(self) -> Result<String, Failure> {
        let BackupArguments { file, data, without_logs } = self;
        let extent = if without_logs { Extent::WithoutLogs } else { Extent::Whole };
        Ok(report(&backup(&data, &file, extent)?, &format!("backup: {}", file.display())))
    }
}

impl RestoreArguments {
    pub(super) fn run(self) -> Result<String, Failure> {
        let RestoreArguments { file, data } = self;
        Ok(report(&restore(&file, &data)?, &format!("data: {}", data.display())))
    }
}

fn report(Saved { files, bytes }: &Saved, what: &str) -> String {
    format!("{what}\nfiles: {files}\nbytes: {bytes}\n")
}

//! `potoroo-ops serve`, for the benches that ask an ops center.

#[path = "serving.rs"]
mod serving;

pub(crate) use serving::Serving as Center;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The token that is put into its records; their seeds have its hash.
pub(crate) const TOKEN: &str = "ptr_bench";

impl Center {
    /// Over these data, by the program that `POTOROO_OPS` names or the one that was built.
    pub(crate) fn start(data: &Path) -> Center {
        let program = std::env::var_os("POTOROO_OPS")
            .map_or_else(|| env!("CARGO_BIN_EXE_potoroo-ops").into(), PathBuf::from);
        let mut serve = Command::new(program);
        serve.env_clear().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        Center::of(&mut serve)
    }
}

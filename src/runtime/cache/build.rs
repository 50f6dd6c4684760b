//! What a kept graph was made by: this program, this processor, and tract's own switches.

use crate::oci::Digest;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Bytes of the program's file that are looked at, at its beginning, where its build id is, and at
/// its end, where the table of its sections is.
const ENDS_BYTES: u64 = 4 << 10;

/// Bytes of the kernel's description of the processors: those of one are some 1.5 KB.
const PROCESSOR_BYTES_MAX: u64 = 64 << 10;

/// A digest that differs where the program or the processor does.
pub(super) fn digest() -> Digest {
    let mut told = env!("CARGO_PKG_VERSION").as_bytes().to_vec();
    if let Ok(program) = std::env::current_exe().and_then(File::open) {
        let of = program.metadata().map(|it| (it.len(), it.mtime(), it.mtime_nsec()));
        told.extend(format!("{of:?}").into_bytes());
        let length = of.map_or(0, |(length, ..)| length);
        for from in [0, length.saturating_sub(ENDS_BYTES)] {
            let mut bytes = vec![0; ENDS_BYTES.min(length) as usize];
            if program.read_exact_at(&mut bytes, from).is_ok() {
                told.extend(bytes);
            }
        }
    }
    told.extend(processor().unwrap_or_default().into_bytes());
    let mut switches: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| name.to_string_lossy().starts_with("TRACT_"))
        .collect();
    switches.sort();
    told.extend(format!("{switches:?}").into_bytes());
    Digest::of(&told)
}

/// What the kernel says of the first processor, without what changes as it runs.
fn processor() -> Option<String> {
    let mut text = String::new();
    File::open("/proc/cpuinfo").ok()?.take(PROCESSOR_BYTES_MAX).read_to_string(&mut text).ok()?;
    let first = text.split("\n\n").next()?;
    let steady = first.lines().filter(|line| !line.contains("MHz") && !line.contains("mips"));
    Some(steady.collect::<Vec<_>>().join("\n"))
}

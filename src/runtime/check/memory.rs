//! Whether the memory will do for a model, said before it is loaded and not by the kernel after.

use std::fs;

/// What loading takes for each byte of the file: the messages and the graph hold the weights at
/// the same time, and a plan packs them once more.
const COPIES: u64 = 3;

/// Memory that will hardly do for a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model's file has {} MiB, loading it takes some {} MiB, and {} MiB of memory are free",
    file_bytes >> 20,
    wanted_bytes >> 20,
    free_bytes >> 20
)]
pub struct Shortage {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes that loading takes, about.
    pub wanted_bytes: u64,
    /// Bytes that the machine or the control group has left.
    pub free_bytes: u64,
}

impl Shortage {
    /// What a model whose file has so many bytes will lack here, if the system tells.
    pub fn expected(file_bytes: u64) -> Option<Shortage> {
        Shortage::of(file_bytes, free_memory_bytes()?)
    }

    fn of(file_bytes: u64, free_bytes: u64) -> Option<Shortage> {
        let wanted_bytes = file_bytes.saturating_mul(COPIES);
        (wanted_bytes > free_bytes).then_some(Shortage { file_bytes, wanted_bytes, free_bytes })
    }
}

/// Bytes of memory that the machine, or the control group where it is less, still has; none where it
/// does not say.
pub fn free_memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // `max` is no number: the group has no limit of its own then.
    let limit = number("/sys/fs/cgroup/memory.max");
    let group = limit.zip(number("/sys/fs/cgroup/memory.current"));
    let group = group.map(|(limit, used)| limit.saturating_sub(used));
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (one, None) | (None, one) => one,
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figure_is_read_in_bytes() {
        let text = "MemTotal:         507264 kB\nMemAvailable:     301000 kB\n";
        assert_eq!(available(text), Some(301_000 << 10));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn a_shortage_is_told_with_its_numbers() {
        assert_eq!(Shortage::of(100 << 20, 300 << 20), None);
        let shortage = Shortage::of(101 << 20, 300 << 20).unwrap();
        assert_eq!(
            shortage.to_string(),
            "the model's file has 101 MiB, loading it takes some 303 MiB, and 300 MiB of memory are \
             free"
        );
    }
}

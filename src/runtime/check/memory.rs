//! Whether the memory will do for a model, said before it is loaded and not by the kernel after.

use crate::supervisor;
use std::path::Path;

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

    /// Whether it cannot be overcome: not even the weights have a place, once.
    pub fn is_certain(&self) -> bool {
        self.file_bytes > self.free_bytes
    }

    fn of(file_bytes: u64, free_bytes: u64) -> Option<Shortage> {
        let wanted_bytes = file_bytes.saturating_mul(COPIES);
        (wanted_bytes > free_bytes).then_some(Shortage { file_bytes, wanted_bytes, free_bytes })
    }
}

/// Bytes of memory that the machine, or the control group where it is less, still has; none where it
/// does not say.
pub fn free_memory_bytes() -> Option<u64> {
    supervisor::room(Path::new("/")).map(|room| room.free_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_with_its_numbers() {
        assert_eq!(Shortage::of(100 << 20, 300 << 20), None);
        let shortage = Shortage::of(101 << 20, 300 << 20).unwrap();
        assert_eq!(
            shortage.to_string(),
            "the model's file has 101 MiB, loading it takes some 303 MiB, and 300 MiB of memory are \
             free"
        );
        assert!(!shortage.is_certain());
        assert!(Shortage::of(301 << 20, 300 << 20).unwrap().is_certain());
    }
}

//! The device as reports tell of it: what tells it from its copies, its memory, disk and temperature.

use crate::clock;
use crate::disk::free_bytes;
use crate::engine::doctor::memory_free;
use crate::fleet::{Amount, Device, EngineFacts};
use crate::oci::Digest;
use std::fs;
use std::path::{Path, PathBuf};

/// A file that the kernel or the system has; the longest is a machine's name.
const FACT_CHARS_MAX: usize = 256;

/// Where boards say who they are. The first that says something decides: a container has the board of
/// its host, and may have a new machine id each time.
const BOARDS: [&str; 3] = [
    "sys/firmware/devicetree/base/serial-number",
    "sys/class/dmi/id/product_uuid",
    "etc/machine-id",
];

/// Where network devices are; those of hardware have a `device` below them.
const NETWORKS: &str = "sys/class/net";

/// Where temperatures are, thousandths of a degree.
const THERMAL: &str = "sys/class/thermal";

/// File systems that are gone with the container or the power.
const FLEETING: [&str; 5] = ["overlay", "aufs", "tmpfs", "ramfs", "rootfs"];

/// What tells this device from others, read below that root.
pub(super) fn device(root: &Path) -> Device {
    let host = fact(&root.join("proc/sys/kernel/hostname"));
    Device { fingerprint: fingerprint(root), host }
}

/// A hash over what the hardware says of itself: no serial number can be found from it.
fn fingerprint(root: &Path) -> Option<String> {
    let board = BOARDS.iter().find_map(|file| fact(&root.join(file)));
    let told = board.or_else(|| {
        let mut addresses: Vec<String> = below(&root.join(NETWORKS))
            .into_iter()
            .filter(|path| path.join("device").exists())
            .filter_map(|path| fact(&path.join("address")))
            .collect();
        addresses.sort();
        (!addresses.is_empty()).then(|| addresses.join(","))
    })?;
    Some(Digest::of(format!("potoroo-device\n{told}").as_bytes()).hex())
}

/// What the engine says of itself.
pub(super) fn engine() -> EngineFacts {
    EngineFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
    }
}

/// The memory that the engine may still have.
pub(super) fn memory() -> Option<Amount> {
    Some(Amount { free_bytes: memory_free()?, total_bytes: None })
}

/// The room on the file system of the persistent directory.
pub(super) fn disk(persist: &Path) -> Option<Amount> {
    Some(Amount { free_bytes: free_bytes(persist).ok()?, total_bytes: None })
}

/// The hottest of the board's sensors, degrees Celsius.
pub(super) fn temperature(root: &Path) -> Option<f64> {
    let zones = below(&root.join(THERMAL)).into_iter().filter_map(|zone| fact(&zone.join("temp")));
    zones.filter_map(|text| text.parse::<f64>().ok()).map(|milli| milli / 1000.0).reduce(f64::max)
}

/// Whether what is written there is gone with the container, as far as the system tells.
pub(in crate::engine) fn is_fleeting(persist: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = fs::canonicalize(persist).unwrap_or_else(|_| persist.to_owned());
    kind_of_mount(&mounts, &path).is_some_and(|kind| FLEETING.contains(&kind))
}

/// The kind of file system that a path is on, of `/proc/self/mountinfo` (proc(5)).
fn kind_of_mount<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let parsed = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let place = before.split(' ').nth(4)?;
        Some((place, after.split(' ').next()?))
    });
    // Of two mounts on one place the later one is seen.
    let covers = parsed.filter(|(place, _)| path.starts_with(place));
    covers.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

/// The text of a small file; none where it is missing or says nothing.
fn fact(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_matches(|it: char| it.is_whitespace() || it == '\0');
    (!text.is_empty()).then(|| text.chars().take(FACT_CHARS_MAX).collect())
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// The boot that this is; a made-up one where the kernel does not tell.
pub(super) fn boot(otherwise: crate::fleet::Id) -> crate::fleet::Id {
    clock::boot_id().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_board_is_known_by_its_serial_and_else_by_its_network() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(device(root), Device { fingerprint: None, host: None });
        write(root, "sys/class/net/lo/address", "00:00:00:00:00:00\n");
        assert_eq!(device(root).fingerprint, None, "no hardware");
        write(root, "sys/class/net/eth0/address", "b8:27:eb:00:00:01\n");
        fs::create_dir_all(root.join("sys/class/net/eth0/device")).unwrap();
        let by_network = device(root).fingerprint.unwrap();
        write(root, "etc/machine-id", "5d41402abc4b2a76b9719d911017c592\n");
        let by_machine = device(root).fingerprint.unwrap();
        write(root, "sys/firmware/devicetree/base/serial-number", "10000000abcdef\0");
        let by_board = device(root).fingerprint.unwrap();
        assert!(by_network != by_machine && by_machine != by_board);
        write(root, "etc/machine-id", "of a new container");
        assert_eq!(device(root).fingerprint.unwrap(), by_board);
        assert!(!by_board.contains("abcdef") && by_board.len() == 64);
    }

    #[test]
    fn the_hottest_sensor_counts() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(temperature(root.path()), None);
        write(root.path(), "sys/class/thermal/thermal_zone0/temp", "48312\n");
        write(root.path(), "sys/class/thermal/thermal_zone1/temp", "51500\n");
        write(root.path(), "sys/class/thermal/cooling_device0/cur_state", "1\n");
        assert_eq!(temperature(root.path()), Some(51.5));
    }

    #[test]
    fn a_volume_is_told_from_the_file_system_of_a_container() {
        let mounts = "21 1 0:20 / / rw,relatime - overlay overlay rw\n\
                      22 21 0:21 / /proc rw - proc proc rw\n\
                      30 21 8:1 /v /persist rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      31 21 0:30 / /tmp rw - tmpfs tmpfs rw\n";
        for (path, kind) in
            [("/persist/a", "ext4"), ("/persistent", "overlay"), ("/tmp/x", "tmpfs")]
        {
            assert_eq!(kind_of_mount(mounts, Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(kind_of_mount("", Path::new("/")), None);
    }
}

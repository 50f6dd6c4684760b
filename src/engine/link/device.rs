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

/// Where boards say who they are. The first that says something decides. None of it is on a disk, so
/// that a copied one does not bring it along, and a container has that of its host.
const BOARDS: [&str; 2] =
    ["sys/firmware/devicetree/base/serial-number", "sys/class/dmi/id/product_uuid"];

/// What boards say whose maker has told them nothing.
const UNTOLD: [&str; 2] =
    ["03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009"];

/// Where network devices are; those of hardware have a `device` below them.
const NETWORKS: &str = "sys/class/net";

/// What `addr_assign_type` of a network device says whose address is its own, and not made up at each
/// start (kernel, Documentation/ABI/testing/sysfs-class-net).
const OWN_ADDRESS: &str = "0";

/// Where systems say who they are. It is copied with a disk, and may be another one with each container:
/// it counts where the hardware says nothing.
const MACHINE: &str = "etc/machine-id";

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
    let is_told = |text: &String| {
        let is_one = text.chars().all(|it| text.starts_with(it) || it == '-');
        !is_one && !UNTOLD.contains(&text.to_ascii_lowercase().as_str())
    };
    let board = BOARDS.iter().find_map(|file| fact(&root.join(file)).filter(is_told));
    let told = board.or_else(|| network(root)).or_else(|| fact(&root.join(MACHINE)))?;
    Some(Digest::of(format!("potoroo-device\n{told}").as_bytes()).hex())
}

/// The address of the network device that is built in: what is plugged in by USB may be elsewhere
/// tomorrow, and counts where there is no other.
fn network(root: &Path) -> Option<String> {
    let found = below(&root.join(NETWORKS)).into_iter().filter_map(|path| {
        let device = fs::canonicalize(path.join("device")).ok()?;
        fact(&path.join("addr_assign_type")).filter(|kind| kind == OWN_ADDRESS)?;
        let is_plugged_in = device
            .components()
            .any(|part| part.as_os_str().to_str().is_some_and(|name| name.starts_with("usb")));
        Some((is_plugged_in, fact(&path.join("address"))?))
    });
    found.min().map(|(_, address)| address)
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
    fn a_board_is_known_by_its_serial_and_else_by_its_network_and_else_by_its_system() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(device(root), Device { fingerprint: None, host: None });
        write(root, "sys/class/net/lo/address", "00:00:00:00:00:00\n");
        assert_eq!(device(root).fingerprint, None, "no hardware");
        write(root, "etc/machine-id", "5d41402abc4b2a76b9719d911017c592\n");
        let by_machine = device(root).fingerprint.unwrap();
        let network = |name: &str, bus: &str, address: &str, kind: &str| {
            let place = format!("sys/devices/{bus}/net/{name}");
            write(root, &format!("{place}/address"), address);
            write(root, &format!("{place}/addr_assign_type"), kind);
            std::os::unix::fs::symlink("../..", root.join(&place).join("device")).unwrap();
            let at = root.join("sys/class/net").join(name);
            std::os::unix::fs::symlink(root.join(&place), at).unwrap();
        };
        network("wlan0", "pci1", "02:00:00:00:00:09\n", "1\n");
        assert_eq!(device(root).fingerprint.unwrap(), by_machine, "made up at each start");
        network("eth1", "usb1/1-1", "00:e0:4c:00:00:01\n", "0\n");
        let by_plugged_in = device(root).fingerprint.unwrap();
        network("eth0", "pci0", "b8:27:eb:00:00:01\n", "0\n");
        let by_network = device(root).fingerprint.unwrap();
        assert!(by_plugged_in != by_machine && by_plugged_in != by_network);
        write(root, "etc/machine-id", "6d41402abc4b2a76b9719d911017c592\n");
        assert_eq!(device(root).fingerprint.unwrap(), by_network, "a copied disk brings its own");
        write(root, "sys/class/dmi/id/product_uuid", "00000000-0000-0000-0000-000000000000\n");
        write(root, "sys/firmware/devicetree/base/serial-number", "0000000000000000\0");
        assert_eq!(device(root).fingerprint.unwrap(), by_network, "nothing is told");
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

//! The memory that is left: what the machine has available, and what the control groups allow.

use std::fs;
use std::path::{Path, PathBuf};

/// What is left, and by whose word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub free_bytes: u64,
    /// Whether it is a control group that has no more, and not the machine.
    pub is_of_group: bool,
}

/// The memory that this process may still take, as far as the system below `root` tells; `/` but in tests.
#[must_use]
pub fn room(root: &Path) -> Option<Room> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let machine = available(&meminfo);
    let group = groups_room(root);
    match (machine, group) {
        (Some(machine), Some(group)) if group < machine => of_group(group),
        (None, Some(group)) => of_group(group),
        (Some(free_bytes), _) => Some(Room { free_bytes, is_of_group: false }),
        (None, None) => None,
    }
}

fn of_group(free_bytes: u64) -> Option<Room> {
    Some(Room { free_bytes, is_of_group: true })
}

/// `MemAvailable` of `/proc/meminfo` in bytes (proc(5)).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least room of our group and those above it, in bytes, in both hierarchies that there are;
/// `None` without limits.
fn groups_room(root: &Path) -> Option<u64> {
    let groups = root.join("sys/fs/cgroup");
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut rooms = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            rooms.extend(upwards(&groups, path, &UNIFIED));
        } else if controllers.split(',').any(|it| it == "memory") {
            rooms.extend(upwards(&groups.join("memory"), path, &LEGACY));
        }
    }
    rooms.into_iter().min()
}

/// The names of one hierarchy: limit, use, and in `memory.stat` what gives way and what of it does not.
struct Names {
    limit: &'static str,
    used: &'static str,
    yielding: [&'static str; 2],
    mapped: &'static str,
}

const UNIFIED: Names = Names {
    limit: "memory.max",
    used: "memory.current",
    yielding: ["inactive_file ", "active_file "],
    mapped: "file_mapped ",
};

const LEGACY: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    yielding: ["total_inactive_file ", "total_active_file "],
    mapped: "total_mapped_file ",
};

/// The rooms of a group and those above it. A container may see its own group at the top, under
/// another path than the one that it is told: then that one is looked at.
fn upwards(top: &Path, path: &str, names: &Names) -> Vec<u64> {
    let mut group: PathBuf = top.join(path);
    let mut rooms = Vec::new();
    while group.starts_with(top) {
        rooms.extend(group_room(&group, names));
        if !group.pop() {
            break;
        }
    }
    rooms
}

/// The limit of one group less what it uses; caches of files give way and are not counted, but for
/// those that are mapped, which the program itself is.
fn group_room(group: &Path, names: &Names) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // `max` is no number. The older hierarchy says "no limit" with one next to the largest.
    let limit = number(names.limit).filter(|limit| *limit < 1 << 60)?;
    let used = number(names.used).unwrap_or_default();
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let bytes = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|it| it.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let cached: u64 = names.yielding.iter().map(|name| bytes(name)).sum();
    let yielding = cached.saturating_sub(bytes(names.mapped));
    Some(limit.saturating_sub(used.saturating_sub(yielding)))
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
    fn what_the_machine_has_available_is_read_in_bytes() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(room(root.path()), None);
        write(root.path(), "proc/meminfo", "MemTotal:  507264 kB\nMemAvailable:  301000 kB\n");
        let free = Room { free_bytes: 301_000 << 10, is_of_group: false };
        assert_eq!(room(root.path()), Some(free));
    }

    #[test]
    fn the_least_room_of_a_group_and_those_above_counts_without_what_gives_way() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| write(root.path(), name, text);
        let found = || room(root.path()).map(|it| (it.free_bytes, it.is_of_group));
        write("proc/meminfo", "MemAvailable: 4 kB\n");
        write("proc/self/cgroup", "0::/a/b\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(found(), Some((4096, false)), "no limit");
        write("sys/fs/cgroup/a/memory.max", "1000\n");
        write("sys/fs/cgroup/a/memory.current", "700\n");
        assert_eq!(found(), Some((300, true)));
        let stat = "anon 200\nfile_mapped 100\ninactive_file 400\nactive_file 100\n";
        write("sys/fs/cgroup/a/memory.stat", stat);
        assert_eq!(found(), Some((700, true)));
        write("sys/fs/cgroup/a/b/memory.max", "500\n");
        write("sys/fs/cgroup/a/b/memory.current", "499\n");
        assert_eq!(found(), Some((1, true)));
    }

    #[test]
    fn the_older_hierarchy_is_known_under_the_path_that_a_container_sees() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| write(root.path(), name, text);
        write("proc/self/cgroup", "4:cpu:/x\n3:memory:/docker/abc\n0::/\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(room(root.path()), None);
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n");
        write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1500\n");
        write("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 500\n");
        assert_eq!(room(root.path()), Some(Room { free_bytes: 1000, is_of_group: true }));
    }
}

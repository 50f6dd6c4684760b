//! The board's temperature, and whether it runs slower for heat or want of power, where Linux tells.

use super::{Page, label};
use std::fs;
use std::path::{Path, PathBuf};

/// The sensors of temperature, thousandths of a degree.
const THERMAL: &str = "sys/class/thermal";
/// The frequencies of processors, kHz.
const FREQUENCY: &str = "sys/devices/system/cpu/cpufreq";
/// What a Raspberry Pi's firmware tells: bits as its `vcgencmd get_throttled` names them.
const FIRMWARE: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";

/// The firmware's bits: what is now, and sixteen further what was since the start.
const BITS: [(u32, &str); 4] = [
    (0, "under_voltage"),
    (1, "frequency_capped"),
    (2, "throttled"),
    (3, "soft_temperature_limit"),
];

/// Sensors and processors that are told at most: a board has a few, and a label is a time series.
const TOLD_MAX: usize = 64;

/// Writes what the system below `root` tells; `/` but in tests.
pub(super) fn write(page: &mut Page, root: &Path) {
    temperatures(page, root);
    frequencies(page, root);
    throttling(page, root);
}

fn temperatures(page: &mut Page, root: &Path) {
    const NAME: &str = "potoroo_board_temperature_celsius";
    let zones =
        below(&root.join(THERMAL), "thermal_zone").into_iter().filter_map(|(zone, path)| {
            let milli: f64 = text(&path.join("temp"))?.parse().ok()?;
            let kind = text(&path.join("type")).unwrap_or_default();
            Some((format!("{},{}", label("zone", &zone), label("type", &kind)), milli / 1000.0))
        });
    let zones: Vec<_> = zones.collect();
    if !zones.is_empty() {
        page.head(NAME, "gauge", "Temperatures of the board's sensors.");
        zones.iter().for_each(|(labels, celsius)| page.float(NAME, labels, *celsius));
    }
}

fn frequencies(page: &mut Page, root: &Path) {
    let policies = below(&root.join(FREQUENCY), "policy");
    for (name, help, file) in [
        ("potoroo_cpu_frequency_hertz", "At what frequency processors run.", "scaling_cur_freq"),
        (
            "potoroo_cpu_frequency_max_hertz",
            "At what frequency they could run.",
            "cpuinfo_max_freq",
        ),
        (
            "potoroo_cpu_frequency_limit_hertz",
            "At what frequency they may run now.",
            "scaling_max_freq",
        ),
    ] {
        let told = policies.iter().filter_map(|(policy, path)| {
            let khz: u64 = text(&path.join(file))?.parse().ok()?;
            Some((label("policy", policy), khz.saturating_mul(1000)))
        });
        let told: Vec<_> = told.collect();
        if !told.is_empty() {
            page.head(name, "gauge", help);
            told.iter().for_each(|(labels, hertz)| page.line(name, labels, *hertz));
        }
    }
}

fn throttling(page: &mut Page, root: &Path) {
    let Some(bits) = text(&root.join(FIRMWARE)) else { return };
    let Ok(bits) = u32::from_str_radix(bits.trim_start_matches("0x"), 16) else { return };
    for (name, help, shift) in [
        ("potoroo_board_throttled", "Whether the firmware holds the board back now.", 0),
        ("potoroo_board_throttled_ever", "Whether it did since the board started.", 16),
    ] {
        page.head(name, "gauge", help);
        for (bit, why) in BITS {
            page.line(name, &label("reason", why), u64::from(bits >> (bit + shift) & 1));
        }
    }
}

/// What is called so in a directory, by name and in its order.
fn below(directory: &Path, prefix: &str) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter_map(|it| Some((it.file_name().into_string().ok()?, it.path())));
    let mut found: Vec<_> = named.filter(|(name, _)| name.starts_with(prefix)).collect();
    found.sort();
    found.truncate(TOLD_MAX);
    found
}

fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_is_hot_says_so_and_one_that_tells_nothing_has_no_lines() {
        let root = tempfile::tempdir().unwrap();
        let told = || {
            let mut page = Page(String::new());
            write(&mut page, root.path());
            page.0
        };
        assert_eq!(told(), "");
        for (name, text) in [
            ("sys/class/thermal/thermal_zone0/temp", "82313\n"),
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/cooling_device0/type", "fan\n"),
            ("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "600000\n"),
            ("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "1500000\n"),
            (FIRMWARE, "50005\n"),
        ] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let told = told();
        for line in [
            "potoroo_board_temperature_celsius{zone=\"thermal_zone0\",type=\"cpu-thermal\"} 82.313",
            "potoroo_cpu_frequency_hertz{policy=\"policy0\"} 600000000",
            "potoroo_cpu_frequency_max_hertz{policy=\"policy0\"} 1500000000",
            "potoroo_board_throttled{reason=\"under_voltage\"} 1",
            "potoroo_board_throttled{reason=\"frequency_capped\"} 0",
            "potoroo_board_throttled{reason=\"throttled\"} 1",
            "potoroo_board_throttled_ever{reason=\"soft_temperature_limit\"} 0",
        ] {
            assert!(told.lines().any(|found| found == line), "no {line} in\n{told}");
        }
        assert!(!told.contains("cooling") && !told.contains("limit_hertz"), "{told}");
    }
}

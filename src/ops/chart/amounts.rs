//! What an engine is given of its node: CPUs, memory, and the processor's kind.

use std::fmt;
use std::str::FromStr;

/// The most CPUs, in thousandths: what `CONFIG_CPUS` takes at most.
const MILLI_CPUS_MAX: u32 = 1024 * 1000;

/// The longest text of an amount, in bytes: no sensible number has more digits.
const TEXT_BYTES_MAX: usize = 16;

/// An amount of CPUs, 0.001 to 1024, as Kubernetes writes it: `4`, `0.5` or `500m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpus {
    milli: u32,
}

/// An amount of memory as Kubernetes writes it: `512Mi`, `3Gi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory(String);

/// A kind of processor, by Kubernetes' name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// `amd64`, which the original calls `x86`.
    Amd64,
    /// `arm64`, which the original calls `arm`.
    Arm64,
}

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// No amount of CPUs.
    #[error("`{0}` is no number of CPUs: write 0.001 to 1024, as `4`, `0.5` or `500m`")]
    Cpus(String),
    /// No amount of memory.
    #[error("`{0}` is no amount of memory: write a whole number with Ki, Mi, Gi or Ti, as `512Mi`")]
    Memory(String),
    /// No kind of processor.
    #[error("`{0}` is no processor that engines are built for: write `amd64` or `arm64`")]
    Arch(String),
}

impl Cpus {
    /// As many whole CPUs, 1 to 1024.
    ///
    /// # Errors
    /// [`AmountError::Cpus`] for any other number.
    pub fn of(whole: u32) -> Result<Cpus, AmountError> {
        whole.to_string().parse()
    }

    /// Rounded up: what `CONFIG_CPUS` is to be.
    #[must_use]
    pub const fn whole(self) -> u32 {
        self.milli.div_ceil(1000)
    }
}

/// `4` where it is a whole number, else `500m`.
impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milli.is_multiple_of(1000) {
            write!(f, "{}", self.milli / 1000)
        } else {
            write!(f, "{}m", self.milli)
        }
    }
}

impl FromStr for Cpus {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Cpus, AmountError> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let milli = if text.len() > TEXT_BYTES_MAX {
            None
        } else if let Some(milli) = text.strip_suffix('m') {
            digits(milli).then(|| milli.parse().ok()).flatten()
        } else {
            let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
            let part = part.trim_end_matches('0');
            let right = digits(whole) && part.len() <= 3 && (part.is_empty() || digits(part));
            let whole: Option<u32> = right.then(|| whole.parse().ok()).flatten();
            let part: Option<u32> = format!("{part:0<3}").parse().ok();
            whole.zip(part).and_then(|(whole, part)| whole.checked_mul(1000)?.checked_add(part))
        };
        match milli {
            Some(milli @ 1..=MILLI_CPUS_MAX) => Ok(Cpus { milli }),
            Some(_) | None => Err(AmountError::Cpus(crate::oci::excerpt(text))),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Memory {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Memory, AmountError> {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text[number.len()..];
        let right = text.len() <= TEXT_BYTES_MAX
            && number.starts_with(|c: char| matches!(c, '1'..='9'))
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && ["", "Ki", "Mi", "Gi", "Ti", "k", "M", "G", "T"].contains(&unit);
        if right {
            Ok(Memory(text.to_owned()))
        } else {
            Err(AmountError::Memory(crate::oci::excerpt(text)))
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        })
    }
}

impl FromStr for Arch {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Arch, AmountError> {
        match text {
            "amd64" | "x86" | "x86_64" => Ok(Arch::Amd64),
            "arm64" | "arm" | "aarch64" => Ok(Arch::Arm64),
            _ => Err(AmountError::Arch(crate::oci::excerpt(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_read_in_every_form_and_written_in_one() {
        for (text, written, whole) in [
            ("4", "4", 4),
            ("4.0", "4", 4),
            ("0.5", "500m", 1),
            ("1500m", "1500m", 2),
            ("2000m", "2", 2),
            ("0.001", "1m", 1),
            ("1024", "1024", 1024),
        ] {
            let cpus: Cpus = text.parse().unwrap();
            assert_eq!((cpus.to_string().as_str(), cpus.whole()), (written, whole), "{text}");
        }
        for text in [
            "", "0", "0m", "-1", "1025", "0.0001", "four", "1.5m", "1e3", ".5", "+1", "+1m", "1.+5",
        ] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
    }

    #[test]
    fn memory_is_a_whole_number_with_a_unit() {
        for text in ["512Mi", "3Gi", "1073741824", "2G"] {
            assert_eq!(text.parse::<Memory>().unwrap().to_string(), text);
        }
        for text in ["", "Gi", "0Gi", "1.5Gi", "3 Gi", "3GiB", "3gi", "-1Gi", "99999999999999999Gi"]
        {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }
}

//! Which kernels models are made ready with: all, but for families that somebody leaves off to find out whether an answer, or a time, is theirs.

use std::fmt::{Display, Formatter};
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Kernels, and what leads to them, that can be left off apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum Family {
    /// Stretches of nets of images, in blocks of channels.
    Images,
    /// Of these, convolutions of three by three by Winograd's patches, which round otherwise.
    Patches,
    /// Softmax along an axis that is not the last one.
    Softmax,
    /// Products with weights, and functions of single values.
    Products,
    Norms,
    Attention,
    /// Recurrent layers.
    Recurrent,
    /// Stretches of quantised nets of images.
    QuantisedImages,
    /// Products of integers, and what lies between codes.
    QuantisedProducts,
    /// Floats to codes and back, and their sums.
    QuantisedValues,
}

/// As people call them.
const NAMES: [(Family, &str); 10] = [
    (Family::Images, "images"),
    (Family::Patches, "patches"),
    (Family::Softmax, "softmax"),
    (Family::Products, "products"),
    (Family::Norms, "norms"),
    (Family::Attention, "attention"),
    (Family::Recurrent, "recurrent"),
    (Family::QuantisedImages, "quantised-images"),
    (Family::QuantisedProducts, "quantised-products"),
    (Family::QuantisedValues, "quantised-values"),
];

/// Some of the families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families(u16);

/// The word is no name of a family with a minus before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoFamily(String);

impl Display for NoFamily {
    fn fmt(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
        let (found, all) = (&self.0, Families::ALL);
        write!(to, "`{found}` leaves off no kernels: expected a minus and one of {all}")
    }
}

impl std::error::Error for NoFamily {}

impl Families {
    /// All that there are.
    pub const ALL: Families = Families((1 << NAMES.len()) - 1);
    /// None: all is computed the slower way.
    pub const NONE: Families = Families(0);

    fn has(self, family: Family) -> bool {
        self.0 >> family as u16 & 1 == 1
    }

    fn without(self, family: Family) -> Families {
        Families(self.0 & !(1 << family as u16))
    }
}

impl FromStr for Families {
    type Err = NoFamily;

    /// `true` for all, `false` for none, or those that are left off, each with a minus: `-patches,-norms`.
    fn from_str(text: &str) -> Result<Families, NoFamily> {
        match text {
            "true" => return Ok(Families::ALL),
            "false" => return Ok(Families::NONE),
            _ => {}
        }
        let mut words = text.split(',').map(str::trim);
        words.try_fold(Families::ALL, |families, word| {
            let name = word.strip_prefix('-');
            let family = NAMES.iter().find(|(_, known)| name == Some(known));
            let (family, _) = family.ok_or_else(|| NoFamily(word.to_owned()))?;
            Ok(families.without(*family))
        })
    }
}

impl Display for Families {
    fn fmt(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
        let names = NAMES.iter().filter(|(family, _)| self.has(*family));
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        to.write_str(&names.join(", "))
    }
}

static IN_USE: AtomicU16 = AtomicU16::new(Families::ALL.0);

/// Lets models that are made ready from now on have these.
pub(in crate::runtime) fn switch(families: Families) {
    IN_USE.store(families.0, Relaxed);
}

/// Those that models are made ready with now.
pub(in crate::runtime) fn in_use() -> Families {
    Families(IN_USE.load(Relaxed))
}

impl Family {
    /// Whether models that are made ready now are to have these kernels.
    pub(in crate::runtime) fn is_on(self) -> bool {
        in_use().has(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_left_off_by_name() {
        let parsed = |text: &str| text.parse::<Families>();
        assert_eq!(parsed("true"), Ok(Families::ALL));
        assert_eq!(parsed("false"), Ok(Families::NONE));
        assert_eq!(Families::NONE.to_string(), "");
        let some = parsed("-patches, -quantised-values,-patches").unwrap();
        assert!(!some.has(Family::Patches) && !some.has(Family::QuantisedValues));
        assert!(some.has(Family::Images) && some.has(Family::QuantisedProducts));
        let names = "images, softmax, products, norms, attention, recurrent, quantised-images, \
                     quantised-products";
        assert_eq!(some.to_string(), names);
        for (family, name) in NAMES {
            let one = parsed(&format!("-{name}")).unwrap();
            assert!(!one.has(family), "{name}");
            assert_eq!(one.0.count_ones() as usize, NAMES.len() - 1, "{name} alone");
        }
        for wrong in ["", "patches", "-patch", "-patches,", "-images,true", "True"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        let error = parsed("-patch").unwrap_err().to_string();
        assert!(error.starts_with("`-patch` leaves off no kernels"), "{error}");
        assert!(error.contains("patches"), "{error}");
    }
}

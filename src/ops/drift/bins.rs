//! The bins of a column, which value is in which, and how unlike two spreads over them are.

use crate::codec::journal::bucket;
use serde::{Deserialize, Serialize};

/// Bins of a column of numbers, between its quantiles: ten, as the index is used everywhere.
pub(super) const BINS: usize = 10;

/// The share that an empty bin is taken to have: without it one value in a bin that was empty would be
/// infinitely far.
const EMPTY_SHARE: f64 = 1e-4;

/// Below this the index says that nothing moved, and up to the second that something did: the words of
/// the field since credit scoring took it up.
const MODERATE_FROM: f64 = 0.1;
const SIGNIFICANT_ABOVE: f64 = 0.25;

/// What an index means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ops) enum Level {
    /// Nothing to speak of.
    Stable,
    /// Worth a look.
    Moderate,
    /// The population is another one.
    Significant,
}

impl Level {
    /// What this index means.
    pub(in crate::ops) fn of(psi: f64) -> Level {
        if psi < MODERATE_FROM {
            Level::Stable
        } else if psi <= SIGNIFICANT_ABOVE {
            Level::Moderate
        } else {
            Level::Significant
        }
    }

    /// Its name.
    pub(in crate::ops) fn name(self) -> &'static str {
        match self {
            Level::Stable => "stable",
            Level::Moderate => "moderate",
            Level::Significant => "significant",
        }
    }
}

/// The population stability index: the sum over all bins of (c - b) ln(c / b), for the shares `b` of
/// the baseline and `c` of now. `None` where either has no value.
pub(super) fn psi(baseline: &[u64], current: &[u64]) -> Option<f64> {
    let (before, now): (u64, u64) = (baseline.iter().sum(), current.iter().sum());
    if before == 0 || now == 0 {
        return None;
    }
    let share = |count: u64, total: u64| (count as f64 / total as f64).max(EMPTY_SHARE);
    let part = |(b, c): (&u64, &u64)| {
        let (b, c) = (share(*b, before), share(*c, now));
        (c - b) * (c / b).ln()
    };
    Some(baseline.iter().zip(current).map(part).sum())
}

/// The bins of a column. Behind those that are named here each has one for what is missing, and those of
/// single values before it one for all other values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::ops) enum Bins {
    /// Values up to each bound, and those above the last.
    Quantiles {
        /// Ascending.
        #[serde(with = "exact")]
        bounds: Vec<f64>,
    },
    /// Whole numbers of which there are few.
    Numbers {
        /// Ascending.
        #[serde(with = "exact")]
        values: Vec<f64>,
    },
    /// Texts, the most frequent.
    Texts {
        /// In alphabetical order.
        values: Vec<String>,
    },
    /// None: the baseline had no single value.
    None,
}

/// Numbers as texts: what reads JSON's numbers may miss the last digit, and a value that is a bound would
/// change its bin.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        values.iter().map(f64::to_string).collect::<Vec<String>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

impl Bins {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Bins::Quantiles { bounds } => bounds.len() + 2,
            Bins::Numbers { values } => values.len() + 2,
            Bins::Texts { values } => values.len() + 2,
            Bins::None => 0,
        }
    }

    /// The bin of a number; NaN and infinities are missing.
    pub(super) fn of_number(&self, value: f64) -> Option<usize> {
        match self {
            Bins::None => None,
            Bins::Quantiles { .. } | Bins::Numbers { .. } | Bins::Texts { .. }
                if !value.is_finite() =>
            {
                Some(self.len() - 1)
            }
            Bins::Quantiles { bounds } => Some(bounds.partition_point(|bound| *bound < value)),
            Bins::Numbers { values } => {
                let at = values.iter().position(|known| *known == value);
                Some(at.unwrap_or(values.len()))
            }
            Bins::Texts { .. } => self.of_text(Some(&value.to_string())),
        }
    }

    /// The bin of a text; in a column of numbers a text is missing.
    pub(super) fn of_text(&self, text: Option<&str>) -> Option<usize> {
        match (self, text) {
            (Bins::None, _) => None,
            (Bins::Texts { values }, Some(text)) => {
                let at = values.binary_search_by(|known| known.as_str().cmp(cut(text)));
                Some(at.unwrap_or(values.len()))
            }
            (Bins::Texts { .. }, None) | (Bins::Quantiles { .. } | Bins::Numbers { .. }, _) => {
                Some(self.len() - 1)
            }
        }
    }

    /// What people call each bin.
    pub(in crate::ops) fn labels(&self) -> Vec<String> {
        let single = |mut labels: Vec<String>| {
            labels.push("other".to_owned());
            labels
        };
        let mut labels = match self {
            Bins::None => return Vec::new(),
            Bins::Quantiles { bounds } => between(bounds),
            Bins::Numbers { values } => single(values.iter().map(f64::to_string).collect()),
            Bins::Texts { values } => single(values.clone()),
        };
        labels.push("missing".to_owned());
        labels
    }
}

/// The bins between bounds, of which each belongs to the bin below it.
fn between(bounds: &[f64]) -> Vec<String> {
    let Some((first, last)) = bounds.first().zip(bounds.last()) else {
        return vec!["any".to_owned()];
    };
    let pairs = bounds.windows(2).map(|pair| format!("{} to {}", short(pair[0]), short(pair[1])));
    let first = std::iter::once(format!("up to {}", short(*first)));
    first.chain(pairs).chain([format!("above {}", short(*last))]).collect()
}

/// A number with four digits that count.
pub(in crate::ops) fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits =
        3 - if size < 1.0 { size.max(1e-4).log10().floor() as i32 } else { size.log10() as i32 };
    let text = format!("{value:.*}", usize::try_from(digits).unwrap_or(0));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Characters of a text that tell it from others.
const TEXT_CHARS_MAX: usize = 100;

/// A text as it is told from others.
pub(super) fn cut(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// Bins made of the buckets that summaries count in, with one for what is missing behind them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ops) struct Coarse {
    /// The last bucket of each bin but the last, ascending.
    pub cuts: Vec<i32>,
    /// How many values of the baseline are in each.
    pub counts: Vec<u64>,
}

impl Coarse {
    /// How many bins there are.
    pub(super) fn len(&self) -> usize {
        self.cuts.len() + 2
    }

    /// The bin of a bucket.
    pub(super) fn of_bucket(&self, bucket: i32) -> usize {
        self.cuts.partition_point(|cut| *cut < bucket)
    }

    /// The bin of a number.
    pub(super) fn of_number(&self, value: f64) -> usize {
        if value.is_finite() { self.of_bucket(bucket(value)) } else { self.len() - 1 }
    }

    /// What people call each bin.
    pub(super) fn labels(&self) -> Vec<String> {
        let bounds: Vec<f64> = self.cuts.iter().map(|cut| bound(*cut)).collect();
        let mut labels = between(&bounds);
        labels.push("missing".to_owned());
        labels
    }
}

/// The value at which a bucket ends.
fn bound(bucket: i32) -> f64 {
    let step =
        |place: i32| [1.0, 2.0, 5.0][place.rem_euclid(3) as usize] * 10_f64.powi(place / 3 - 6);
    if bucket < 0 { -step(-bucket - 1) } else { step(bucket) }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_index_is_none_for_nothing_zero_for_the_same_and_finite_for_an_empty_bin() {
        assert_eq!(psi(&[0, 0], &[1, 2]), None);
        assert_eq!(psi(&[5, 5], &[50, 50]), Some(0.0));
        let found = psi(&[10, 0], &[0, 10]).unwrap();
        let wanted = 2.0 * (1.0 - 1e-4) * (1e4_f64).ln();
        assert!((found - wanted).abs() < 1e-9, "{found}");
    }

    #[test]
    fn the_words_of_the_field_begin_where_the_field_has_them() {
        let words = [0.0999, 0.1, 0.25, 0.2501].map(|psi| Level::of(psi).name());
        assert_eq!(words, ["stable", "moderate", "moderate", "significant"]);
    }

    #[test]
    fn a_bound_belongs_to_the_bin_below_it_and_nan_to_the_last() {
        let bins = Bins::Quantiles { bounds: vec![1.0, 2.0] };
        let found = [0.5, 1.0, 1.5, 2.0, 9.0, f64::NAN].map(|value| bins.of_number(value).unwrap());
        assert_eq!(found, [0, 0, 1, 1, 2, 3]);
        assert_eq!(bins.labels(), ["up to 1", "1 to 2", "above 2", "missing"]);
    }

    #[test]
    fn bounds_come_back_from_their_record_to_the_last_bit() {
        let bounds: Vec<f64> = (1..5000).map(|at| f64::from((at as f32).sin())).collect();
        let text = serde_json::to_string(&Bins::Quantiles { bounds: bounds.clone() }).unwrap();
        assert_eq!(serde_json::from_str::<Bins>(&text).unwrap(), Bins::Quantiles { bounds });
    }

    #[test]
    fn numbers_are_short_and_bounds_of_buckets_are_what_summaries_have() {
        let texts = [0.0, 1.0, 0.01234, 123.456, -2.5, 3.0e9, 1234567.0].map(short);
        assert_eq!(texts, ["0", "1", "0.01234", "123.5", "-2.5", "3.000e9", "1.235e6"]);
        assert_eq!([0, 1, 18, -1, -19].map(bound), [1e-6, 2e-6, 1.0, -1e-6, -1.0]);
    }
}

//! The plan of a rollout: how many edges each wave has, and how many may fail, as counts or in percent.

use std::fmt;
use std::str::FromStr;

/// A number of edges: so many, or so many of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred, 1 to 100.
    Percent(u32),
}

/// A text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no number of edges: write a count as `5`, or a share as `10%`")]
pub(in crate::ops) struct NoAmount(String);

impl FromStr for Amount {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Amount, NoAmount> {
        let text = text.trim();
        let wrong = || NoAmount(crate::oci::excerpt(text).to_string());
        match text.strip_suffix('%') {
            Some(percent) => match percent.trim_end().parse() {
                Ok(percent @ 0..=100) => Ok(Amount::Percent(percent)),
                Ok(_) | Err(_) => Err(wrong()),
            },
            None => text.parse().map(Amount::Count).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(count) => write!(f, "{count}"),
            Amount::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Amount {
    /// The same of so many edges. A share is rounded down: a limit is not exceeded by rounding.
    pub(in crate::ops) fn of(self, edges: usize) -> usize {
        match self {
            Amount::Count(count) => usize::try_from(count).unwrap_or(usize::MAX).min(edges),
            Amount::Percent(percent) => {
                let share = u64::try_from(edges).unwrap_or(u64::MAX).saturating_mul(percent.into());
                usize::try_from(share / 100).unwrap_or(edges)
            }
        }
    }
}

/// How many edges each wave has, the first one first; none has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Plan(Vec<usize>);

impl Plan {
    /// The waves of so many edges by these sizes; whoever is left makes the last wave. A share of a
    /// wave is at least one edge.
    pub(in crate::ops) fn of(sizes: &[Amount], edges: usize) -> Plan {
        let (mut waves, mut left) = (Vec::new(), edges);
        for size in sizes {
            let wave = match size {
                Amount::Count(_) => size.of(edges),
                Amount::Percent(_) => size.of(edges).max(1),
            };
            let wave = wave.min(left);
            if wave > 0 {
                waves.push(wave);
                left -= wave;
            }
        }
        if left > 0 {
            waves.push(left);
        }
        Plan(waves)
    }

    /// How many waves there are.
    pub(in crate::ops) fn waves(&self) -> usize {
        self.0.len()
    }

    /// The wave of each edge in turn, from 1.
    pub(in crate::ops) fn places(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().zip(1..).flat_map(|(edges, wave)| std::iter::repeat_n(wave, *edges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_has_one_place() {
        let cases: [(&[&str], usize, &[usize]); 8] = [
            (&["1", "10%"], 20, &[1, 2, 17]),
            (&["1", "10%"], 4, &[1, 1, 2]),
            (&["1"], 1, &[1]),
            (&[], 5, &[5]),
            (&["50%", "50%"], 5, &[2, 2, 1]),
            (&["100%", "3"], 5, &[5]),
            (&["0", "9"], 5, &[5]),
            (&["1"], 0, &[]),
        ];
        for (sizes, edges, expected) in cases {
            let amounts: Vec<Amount> = sizes.iter().map(|it| it.parse().unwrap()).collect();
            let plan = Plan::of(&amounts, edges);
            assert_eq!(plan.0, expected, "{sizes:?} of {edges}");
            assert_eq!(plan.places().count(), edges);
        }
        let plan = Plan::of(&[Amount::Count(1), Amount::Count(2)], 4);
        assert_eq!(plan.places().collect::<Vec<_>>(), [1, 2, 2, 3]);
    }

    #[test]
    fn a_text_that_is_no_amount_is_refused() {
        for text in ["", "%", "-1", "101%", "1.5", "ten", "1 %x"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
        assert_eq!("10 %".parse(), Ok(Amount::Percent(10)));
        assert_eq!(Amount::Percent(10).of(19), 1);
    }
}

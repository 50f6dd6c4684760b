//! Counts in the bins of a baseline: added to row by row, and kept as few bytes.

use super::baseline::Baseline;
use crate::codec::logs::{LogColumn, LogSummary, LogValues};
use std::ops::Range;

/// How many values there are in each bin of each column of a [`Baseline`], one column after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ops) struct Counts {
    /// Rows that these are of.
    pub rows: u64,
    pub(super) bins: Vec<u64>,
}

impl Counts {
    /// Counts of nothing.
    pub(super) fn none(baseline: &Baseline) -> Counts {
        Counts { rows: 0, bins: vec![0; baseline.places()] }
    }

    /// Counts the values of some rows.
    pub(super) fn add(&mut self, baseline: &Baseline, columns: &[LogColumn], rows: Range<usize>) {
        self.rows += rows.len() as u64;
        for column in columns {
            for place in baseline.named(&column.name) {
                let known = &baseline.columns[*place];
                let (first, coarse) = baseline.begins(*place);
                for row in rows.clone() {
                    let Some(list) = column.offsets.get(row..row + 2) else { break };
                    let values = match known.element {
                        None => list[0]..list[1],
                        Some(element) if list[0] + element < list[1] => {
                            list[0] + element..list[0] + element + 1
                        }
                        Some(_) => continue,
                    };
                    for value in values {
                        let bin = match &column.values {
                            LogValues::Numbers(numbers) => {
                                if let Some(bins) = &known.coarse {
                                    self.bins[coarse + bins.of_number(numbers[value])] += 1;
                                }
                                known.bins.of_number(numbers[value])
                            }
                            LogValues::Texts(texts) => known.bins.of_text(texts[value].as_deref()),
                        };
                        if let Some(bin) = bin {
                            self.bins[first + bin] += 1;
                        }
                    }
                }
            }
        }
    }

    /// Counts what a summary tells, in the bins that are made for that.
    pub(super) fn add_summary(&mut self, baseline: &Baseline, summary: &LogSummary) {
        self.rows += summary.rows;
        for (name, summed) in &summary.columns {
            for place in baseline.named(name) {
                let Some(bins) = &baseline.columns[*place].coarse else { continue };
                let (_, coarse) = baseline.begins(*place);
                for (bucket, count) in &summed.buckets {
                    self.bins[coarse + bins.of_bucket(*bucket)] += count;
                }
                self.bins[coarse + bins.len() - 1] += summed.not_finite;
            }
        }
    }

    /// Adds others of the same baseline.
    pub(super) fn plus(&mut self, other: &Counts) {
        self.rows += other.rows;
        for (mine, more) in self.bins.iter_mut().zip(&other.bins) {
            *mine += more;
        }
    }

    /// As bytes: seven bits of a number in each, the lowest first.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bins.len() * 2);
        for count in &self.bins {
            let mut left = *count;
            while 0x80 <= left {
                bytes.push((left & 0x7f) as u8 | 0x80);
                left >>= 7;
            }
            bytes.push(left as u8);
        }
        bytes
    }

    /// Adds what was kept as bytes; what is too short or too long adds what it has.
    pub(super) fn plus_bytes(&mut self, rows: u64, bytes: &[u8]) {
        self.rows += rows;
        let mut bins = self.bins.iter_mut();
        let (mut count, mut shift) = (0_u64, 0_u32);
        for byte in bytes {
            count |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                let Some(bin) = bins.next() else { return };
                *bin = bin.saturating_add(count);
                (count, shift) = (0, 0);
            }
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn counts_come_back_from_their_bytes() {
        let counts = Counts { rows: 3, bins: vec![0, 1, 127, 128, 300, u64::MAX] };
        let mut again = Counts { rows: 0, bins: vec![0; 6] };
        again.plus_bytes(3, &counts.bytes());
        assert_eq!(again, counts);
        again.plus_bytes(1, &[5]);
        assert_eq!((again.rows, again.bins[0], again.bins[1]), (4, 5, 1));
    }
}

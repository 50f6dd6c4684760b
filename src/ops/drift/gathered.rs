//! Values on their way into a baseline: of each column a sample for the quantiles, and counts of all that are few.

use super::bins::{BINS, Bins, Coarse, cut};
use super::column::Column;
use crate::codec::journal::bucket;
use crate::codec::logs::{LogColumn, LogSummary, LogValues};
use std::collections::BTreeMap;

/// Values of a column that its quantiles are made of: all of them up to this number, else a sample. A
/// tenth of ten thousand is known to within three hundredths of itself.
const SAMPLE_MAX: usize = 10_000;

/// Columns and elements together: what is more has no bins.
const COLUMNS_MAX: usize = 256;

/// Elements of a list that are told apart; those of longer lists, as images, are counted together.
const ELEMENTS_MAX: usize = 64;

/// Whole numbers that are taken for names of kinds when a column has no others.
const NUMBERS_MAX: usize = 20;

/// Texts of a column that have a bin of their own, and that are remembered until it is known which.
const TEXTS_MAX: usize = 50;
const TEXTS_SEEN_MAX: usize = 1_000;

/// All columns of a baseline that is being made.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    columns: BTreeMap<String, Lists>,
    spreads: usize,
    /// Columns and elements that there was no room for.
    pub(super) left_out: usize,
}

/// A column: all of its values together, and by their place in each row's list.
#[derive(Debug, Default)]
struct Lists {
    whole: Spread,
    elements: Vec<Spread>,
    longest: usize,
}

/// How values are spread.
#[derive(Debug)]
struct Spread {
    sample: Vec<f64>,
    /// Finite numbers, in the sample or not.
    numbers: u64,
    random: u64,
    /// The whole numbers and how often each is there; none once there are too many, or others.
    whole: Option<BTreeMap<i64, u64>>,
    texts: BTreeMap<String, u64>,
    more_texts: u64,
    missing: u64,
    buckets: BTreeMap<i32, u64>,
}

impl Default for Spread {
    fn default() -> Spread {
        Spread {
            sample: Vec::new(),
            numbers: 0,
            // The same values make the same baseline.
            random: 0x9e37_79b9_7f4a_7c15,
            whole: Some(BTreeMap::new()),
            texts: BTreeMap::new(),
            more_texts: 0,
            missing: 0,
            buckets: BTreeMap::new(),
        }
    }
}

impl Gathered {
    /// Takes the values of some rows.
    pub(super) fn add(&mut self, columns: &[LogColumn]) {
        for column in columns {
            let Some(lists) = self.lists(&column.name) else { continue };
            let mut more = 0;
            for range in column.offsets.windows(2) {
                let (from, to) = (range[0], range[1]);
                lists.longest = lists.longest.max(to - from);
                for place in from..to {
                    let element = place - from;
                    if element < ELEMENTS_MAX && lists.elements.len() == element {
                        lists.elements.push(Spread::default());
                        more += 1;
                    }
                    let apart = lists.elements.get_mut(element);
                    match &column.values {
                        LogValues::Numbers(values) => {
                            lists.whole.number(values[place]);
                            apart.into_iter().for_each(|it| it.number(values[place]));
                        }
                        LogValues::Texts(texts) => {
                            let text = texts[place].as_deref();
                            lists.whole.text(text);
                            apart.into_iter().for_each(|it| it.text(text));
                        }
                    }
                }
                if ELEMENTS_MAX < lists.longest {
                    more -= lists.elements.len().min(more);
                    lists.elements.clear();
                }
            }
            self.spreads += more;
        }
    }

    /// Takes what a summary tells: nothing of single elements, and of texts not which.
    pub(super) fn add_summary(&mut self, summary: &LogSummary) {
        for (name, summed) in &summary.columns {
            let Some(lists) = self.lists(name) else { continue };
            for (bucket, count) in &summed.buckets {
                *lists.whole.buckets.entry(*bucket).or_default() += count;
            }
            *lists.whole.buckets.entry(MISSING).or_default() += summed.not_finite;
        }
    }

    fn lists(&mut self, name: &str) -> Option<&mut Lists> {
        if !self.columns.contains_key(name) {
            if COLUMNS_MAX <= self.spreads {
                self.left_out += 1;
                return None;
            }
            self.spreads += 1;
            self.columns.insert(name.to_owned(), Lists::default());
        }
        self.columns.get_mut(name)
    }

    /// The columns with their bins; elements beyond the limit of all are left out.
    pub(super) fn columns(mut self) -> (Vec<Column>, usize) {
        let mut columns = Vec::new();
        let mut room = COLUMNS_MAX.saturating_sub(self.columns.len());
        for (name, lists) in std::mem::take(&mut self.columns) {
            let is_list = 1 < lists.longest;
            let whole = lists.whole;
            columns.push(whole.column(name.clone(), None, is_list));
            if !is_list || ELEMENTS_MAX < lists.longest {
                continue;
            }
            for (element, spread) in lists.elements.into_iter().enumerate() {
                match room {
                    0 => self.left_out += 1,
                    _ => {
                        room -= 1;
                        columns.push(spread.column(name.clone(), Some(element), false));
                    }
                }
            }
        }
        (columns, self.left_out)
    }
}

/// The bucket that stands for what is no number: behind all that there are.
const MISSING: i32 = i32::MAX;

impl Spread {
    fn number(&mut self, value: f64) {
        if !value.is_finite() {
            self.missing += 1;
            *self.buckets.entry(MISSING).or_default() += 1;
            return;
        }
        *self.buckets.entry(bucket(value)).or_default() += 1;
        self.numbers += 1;
        if self.sample.len() < SAMPLE_MAX {
            self.sample.push(value);
        } else {
            // Each value is in the sample with the same chance (algorithm R).
            self.random ^= self.random >> 12;
            self.random ^= self.random << 25;
            self.random ^= self.random >> 27;
            let place = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) % self.numbers;
            if let Some(kept) = usize::try_from(place).ok().and_then(|at| self.sample.get_mut(at)) {
                *kept = value;
            }
        }
        if let Some(whole) = &mut self.whole {
            let is_whole = value.fract() == 0.0 && value.abs() < 1e15;
            if is_whole {
                *whole.entry(value as i64).or_default() += 1;
            }
            if !is_whole || NUMBERS_MAX < whole.len() {
                self.whole = None;
            }
        }
    }

    fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.missing += 1;
            return;
        };
        let text = cut(text);
        let has_room = self.texts.len() < TEXTS_SEEN_MAX;
        match self.texts.get_mut(text) {
            Some(count) => *count += 1,
            None if has_room => {
                self.texts.insert(text.to_owned(), 1);
            }
            None => self.more_texts += 1,
        }
    }

    fn column(self, name: String, element: Option<usize>, is_list: bool) -> Column {
        let is_text = !self.texts.is_empty();
        // Of single elements, and of which text it was, summaries tell nothing.
        let coarse = (!is_text && element.is_none()).then(|| coarse(&self.buckets)).flatten();
        let (bins, counts) = self.bins();
        Column { name, element, is_list, bins, counts, coarse }
    }

    fn bins(mut self) -> (Bins, Vec<u64>) {
        if !self.texts.is_empty() {
            return self.of_texts();
        }
        if self.numbers == 0 {
            return match self.missing {
                0 => (Bins::None, Vec::new()),
                missing => (Bins::Quantiles { bounds: Vec::new() }, vec![0, missing]),
            };
        }
        if let Some(whole) = self.whole {
            let values = whole.keys().map(|value| *value as f64).collect();
            let counts = whole.into_values().chain([0, self.missing]).collect();
            return (Bins::Numbers { values }, counts);
        }
        self.sample.sort_unstable_by(f64::total_cmp);
        let mut bounds: Vec<f64> =
            (1..BINS).map(|bin| quantile(&self.sample, bin as f64 / BINS as f64)).collect();
        bounds.dedup();
        let bins = Bins::Quantiles { bounds };
        let mut counts = vec![0_u64; bins.len()];
        for value in &self.sample {
            if let Some(bin) = bins.of_number(*value) {
                counts[bin] += 1;
            }
        }
        let scale = self.numbers as f64 / self.sample.len() as f64;
        for count in &mut counts {
            *count = (*count as f64 * scale).round() as u64;
        }
        if let Some(last) = counts.last_mut() {
            *last = self.missing;
        }
        (bins, counts)
    }

    /// Numbers among texts, as a file may have them, are texts as well.
    fn of_texts(mut self) -> (Bins, Vec<u64>) {
        let mut other = self.more_texts;
        match self.whole {
            Some(whole) => {
                self.texts.extend(whole.iter().map(|(it, count)| (it.to_string(), *count)))
            }
            None => other += self.numbers,
        }
        let mut frequent: Vec<(String, u64)> = self.texts.into_iter().collect();
        frequent.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        other += frequent.iter().skip(TEXTS_MAX).map(|(_, count)| count).sum::<u64>();
        frequent.truncate(TEXTS_MAX);
        frequent.sort();
        let (values, counts): (Vec<String>, Vec<u64>) = frequent.into_iter().unzip();
        let counts = counts.into_iter().chain([other, self.missing]).collect();
        (Bins::Texts { values }, counts)
    }
}

/// The value below which that share of sorted values lies, straight between two of them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    low + (high - low) * part
}

/// Bins of about a tenth of all values each, as far as the buckets of summaries allow.
fn coarse(buckets: &BTreeMap<i32, u64>) -> Option<Coarse> {
    let missing = buckets.get(&MISSING).copied().unwrap_or(0);
    let finite = || buckets.iter().filter(|(bucket, _)| **bucket != MISSING);
    let total: u64 = finite().map(|(_, count)| count).sum();
    let last = finite().next_back().map(|(bucket, _)| *bucket)?;
    let (mut cuts, mut counts, mut held) = (Vec::new(), Vec::new(), 0);
    for (bucket, count) in finite() {
        held += count;
        if total <= held * BINS as u64 && *bucket != last {
            cuts.push(*bucket);
            counts.push(held);
            held = 0;
        }
    }
    counts.extend([held, missing]);
    Some(Coarse { cuts, counts })
}

//! Charts of a day: how many inferences there were, how many failed checks, and how long they took, as pictures with tables behind them.

use super::pieces::moment;
use super::plot::Plot;
use crate::ops::logs::Latency;
use crate::ops::store::LogTally;
use maud::{Markup, html};

/// Time that a chart shows: a day, in parts of half an hour.
pub(super) const PARTS: usize = 48;
/// One of its parts, milliseconds.
pub(super) const PART_MS: i64 = 30 * 60 * 1000;

/// What stands below the ends of a chart of a day.
pub(super) const ENDS: [&str; 2] = ["24 hours ago", "now"];

/// Where a chart that ends at that time begins.
pub(super) fn begin(now_ms: i64) -> i64 {
    let end = (now_ms / PART_MS + 1) * PART_MS;
    end - PART_MS * PARTS as i64
}

/// The chart of these parts, each with its place; those without an entry had nothing.
pub(super) fn chart(begin_ms: i64, tallies: &[LogTally]) -> Markup {
    let of = |place: usize| tallies.iter().find(|tally| tally.place == place as i64);
    let values = |take: fn(&LogTally) -> i64| -> Vec<Option<f64>> {
        (0..PARTS).map(|place| Some(of(place).map_or(0.0, |tally| take(tally) as f64))).collect()
    };
    let all: i64 = tallies.iter().map(|tally| tally.records).sum();
    let failed: i64 = tallies.iter().map(|tally| tally.failures).sum();
    let mut lines = vec![values(|tally| tally.records)];
    if failed > 0 {
        lines.push(values(|tally| tally.failures));
    }
    let label = format!("Inferences of the last day: {all}, with failed checks: {failed}");
    let word = |value: f64| format!("{value:.0}");
    let plot = Plot { label: &label, ends: ENDS, lines: &lines, marks: &[], word, is_whole: true };
    html! {
        figure {
            (plot.picture())
            figcaption.hint { "Inferences in each half hour" @if failed > 0 { "; dashed: those with a failed check" } ". " (all) " in the last day." }
            details {
                summary { "As a table" }
                div.table tabindex="0" role="region" aria-label="Inferences in each half hour" {
                    table {
                        thead { tr { th scope="col" { "From" } th.number scope="col" { "Inferences" } th.number scope="col" { "With a failed check" } } }
                        tbody {
                            @for tally in tallies {
                                tr { td { (moment(begin_ms + tally.place * PART_MS)) } td.number { (tally.records) } td.number { (tally.failures) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How long inferences took, part by part: half of them, and all but one in a hundred.
pub(super) fn latency_chart(begin_ms: i64, latencies: &[Option<Latency>]) -> Markup {
    let ns = |take: fn(&Latency) -> u64| -> Vec<Option<f64>> {
        latencies.iter().map(|part| part.as_ref().map(|it| take(it) as f64)).collect()
    };
    let lines = [ns(|it| it.p50_ns), ns(|it| it.p99_ns)];
    let label = "Latency of inferences of the last day: median, and 99th percentile";
    let plot = Plot { label, ends: ENDS, lines: &lines, marks: &[], word: span, is_whole: false };
    html! {
        figure {
            (plot.picture())
            figcaption.hint { "Time in the engine from reading a request to its last step: the median (p50), dashed the 99th percentile (p99), of the first batches of each half hour." }
            details {
                summary { "As a table" }
                div.table tabindex="0" role="region" aria-label="Latency in each half hour" {
                    table {
                        thead { tr { th scope="col" { "From" } th.number scope="col" { "p50" } th.number scope="col" { "p99" } th.number scope="col" { "Rows looked at" } } }
                        tbody {
                            @for (place, latency) in latencies.iter().enumerate() {
                                @if let Some(it) = latency {
                                    tr { td { (moment(begin_ms + PART_MS * place as i64)) } td.number { (span(it.p50_ns as f64)) } td.number { (span(it.p99_ns as f64)) } td.number { (it.rows) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Nanoseconds for people.
fn span(ns: f64) -> String {
    let (value, unit) = match ns {
        0.0 => return "0".to_owned(),
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let digits = usize::from(value < 10.0 && value.fract() != 0.0);
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_all_of_it_in_the_table_and_whole_numbers_at_its_axis() {
        let now_ms = 1_793_491_200_000;
        let begin_ms = begin(now_ms);
        assert!(begin_ms + PART_MS * PARTS as i64 > now_ms);
        let tallies = [
            LogTally { place: 0, records: 1, failures: 0 },
            LogTally { place: PARTS as i64 - 1, records: 1, failures: 1 },
        ];
        let shown = chart(begin_ms, &tallies).into_string();
        assert!(shown.contains("2 in the last day"), "{shown}");
        assert_eq!(shown.matches("<tr>").count(), 3, "{shown}");
        for label in [">2<", ">1<", ">0<"] {
            assert!(shown.contains(label), "{label}: {shown}");
        }
    }

    #[test]
    fn a_time_is_told_in_the_unit_that_it_fills() {
        let told = [0.0, 999.0, 1_500.0, 20_000.0, 2_000_000.0, 3.2e9].map(span);
        assert_eq!(told, ["0", "999 ns", "1.5 µs", "20 µs", "2 ms", "3.2 s"]);
    }
}

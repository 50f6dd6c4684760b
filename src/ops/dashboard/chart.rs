//! Charts: how many inferences there were and how many failed checks, as a picture with a table behind it.

use super::pieces::moment;
use crate::ops::store::LogTally;
use maud::{Markup, html};

/// Time that a chart shows: a day, in parts of half an hour.
pub(super) const PARTS: usize = 48;
/// One of its parts, milliseconds.
pub(super) const PART_MS: i64 = 30 * 60 * 1000;

/// Lengths in units of the picture, which are pixels where there is room.
const WIDTH: usize = 760;
const HEIGHT: usize = 150;
/// On the left, for the numbers of the axis.
const LEFT: usize = 60;
/// Below, for the times.
const BELOW: usize = 22;
const TOP: usize = 12;

/// Where a chart that ends at that time begins.
pub(super) fn begin(now_ms: i64) -> i64 {
    let end = (now_ms / PART_MS + 1) * PART_MS;
    end - PART_MS * PARTS as i64
}

/// The chart of these parts, each with its place; those without an entry had nothing.
pub(super) fn chart(begin_ms: i64, tallies: &[LogTally]) -> Markup {
    let of = |place: usize| tallies.iter().find(|tally| tally.place == place as i64);
    let values = |take: fn(&LogTally) -> i64| -> Vec<i64> {
        (0..PARTS).map(|place| of(place).map_or(0, take)).collect()
    };
    let (rows, failures) = (values(|tally| tally.records), values(|tally| tally.failures));
    let most = rows.iter().chain(&failures).copied().max().unwrap_or(0).max(1);
    let all: i64 = rows.iter().sum();
    let failed: i64 = failures.iter().sum();
    let bottom = TOP + HEIGHT;
    html! {
        figure {
            div.picture tabindex="0" role="region" aria-label="Chart of inferences" {
                svg role="img" aria-label={ "Inferences of the last day: " (all) ", with failed checks: " (failed) }
                    width=(LEFT + WIDTH + 10) height=(bottom + BELOW) viewBox={ "0 0 " (LEFT + WIDTH + 10) " " (bottom + BELOW) } {
                    @for quarter in 0..=2usize {
                        @let y = TOP + quarter * HEIGHT / 2;
                        path.grid d={ "M" (LEFT) " " (y) "h" (WIDTH) } {}
                        text.label x=(LEFT - 8) y=(y + 4) text-anchor="end" { (most * (2 - quarter as i64) / 2) }
                    }
                    path.line d=(line(&rows, most)) {}
                    @if failed > 0 { path.other d=(line(&failures, most)) {} }
                    text.label x=(LEFT) y=(bottom + 16) { "24 hours ago" }
                    text.label x=(LEFT + WIDTH) y=(bottom + 16) text-anchor="end" { "now" }
                }
            }
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

/// A line through the middles of the parts.
fn line(values: &[i64], most: i64) -> String {
    let step = WIDTH / PARTS;
    let point = |(place, value): (usize, &i64)| {
        let up = usize::try_from(value * HEIGHT as i64 / most).unwrap_or_default();
        let letter = if place == 0 { 'M' } else { 'L' };
        format!("{letter}{} {}", LEFT + place * step + step / 2, TOP + HEIGHT - up.min(HEIGHT))
    };
    values.iter().enumerate().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_its_highest_part_at_the_top_and_all_of_it_in_the_table() {
        let now_ms = 1_793_491_200_000;
        let begin_ms = begin(now_ms);
        assert!(begin_ms + PART_MS * PARTS as i64 > now_ms);
        let last = PARTS as i64 - 1;
        let tallies = [
            LogTally { place: 0, records: 10, failures: 0 },
            LogTally { place: last, records: 40, failures: 1 },
        ];
        let shown = chart(begin_ms, &tallies).into_string();
        assert!(shown.contains(&format!("M{} {}", LEFT + 7, TOP + HEIGHT - 37)), "{shown}");
        assert!(shown.contains("50 in the last day"), "{shown}");
        assert_eq!(shown.matches("<tr>").count(), 3, "{shown}");
    }
}

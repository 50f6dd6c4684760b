//! Plots: lines over a time as a picture that the server draws, whose axis fits small and large values.

use maud::{Markup, html};

/// Lengths in units of the picture, which are pixels where there is room.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 150.0;
/// On the left, for the numbers of the axis.
const LEFT: f64 = 70.0;
/// Below, for the times.
const BELOW: f64 = 22.0;
const TOP: f64 = 12.0;

/// A picture of lines.
pub(super) struct Plot<'a> {
    /// What it shows, for who does not see it.
    pub(super) label: &'a str,
    /// What stands below its ends.
    pub(super) ends: [&'a str; 2],
    /// The second is dashed.
    pub(super) lines: &'a [Vec<Option<f64>>],
    /// Values at which a line goes all across.
    pub(super) marks: &'a [f64],
    /// What is written at the axis.
    pub(super) word: fn(f64) -> String,
    /// Whether there are only whole numbers, so that the axis has no others.
    pub(super) is_whole: bool,
}

impl Plot<'_> {
    /// The picture.
    pub(super) fn picture(&self) -> Markup {
        let values = self.lines.iter().flatten().flatten().copied();
        let most = values.chain(self.marks.iter().copied()).fold(0.0, f64::max);
        let top = axis_end(most, self.is_whole);
        let (bottom, right) = (TOP + HEIGHT, LEFT + WIDTH);
        let y = |value: f64| bottom - HEIGHT * (value / top).clamp(0.0, 1.0);
        html! {
            div.picture tabindex="0" role="region" aria-label={ "Chart: " (self.label) } {
                svg role="img" aria-label=(self.label) width=(right + 10.0) height=(bottom + BELOW)
                    viewBox={ "0 0 " (right + 10.0) " " (bottom + BELOW) } {
                    @for value in [top, top / 2.0, 0.0] {
                        path.grid d={ "M" (LEFT) " " (y(value)) "h" (WIDTH) } {}
                        text.label x=(LEFT - 8.0) y=(y(value) + 4.0) text-anchor="end" { ((self.word)(value)) }
                    }
                    @for mark in self.marks { path.mark d={ "M" (LEFT) " " (y(*mark)) "h" (WIDTH) } {} }
                    @for (place, line) in self.lines.iter().enumerate() {
                        path class=(if place == 0 { "line" } else { "other" }) d=(drawn(line, y)) {}
                        @for (x, y) in alone(line, y) { circle.dot cx=(x) cy=(y) r="2.5" {} }
                    }
                    text.label x=(LEFT) y=(bottom + 16.0) { (self.ends[0]) }
                    text.label x=(right) y=(bottom + 16.0) text-anchor="end" { (self.ends[1]) }
                }
            }
        }
    }
}

/// Where the middle of a part is.
fn x(place: usize, parts: usize) -> f64 {
    LEFT + WIDTH / parts.max(1) as f64 * (place as f64 + 0.5)
}

/// The places of values between two gaps, which no line shows.
fn alone(values: &[Option<f64>], y: impl Fn(f64) -> f64) -> Vec<(String, String)> {
    let is_gap = |place: Option<usize>| {
        place.and_then(|place| values.get(place)).is_none_or(Option::is_none)
    };
    let alone = values.iter().enumerate().filter_map(|(place, value)| {
        let is_alone = is_gap(place.checked_sub(1)) && is_gap(Some(place + 1));
        value.filter(|_| is_alone).map(|value| (place, value))
    });
    alone
        .map(|(at, value)| (format!("{:.1}", x(at, values.len())), format!("{:.1}", y(value))))
        .collect()
}

/// A line through the middles of the parts, with a gap where there is nothing.
fn drawn(values: &[Option<f64>], y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut is_open = false;
    for (place, value) in values.iter().enumerate() {
        match value {
            None => is_open = false,
            Some(value) => {
                let letter = if is_open { "L" } else { "M" };
                path.push_str(&format!("{letter}{:.1} {:.1}", x(place, values.len()), y(*value)));
                is_open = true;
            }
        }
    }
    path
}

/// Where an axis ends that has to show this value: at a number that is short, and so is its half.
fn axis_end(most: f64, is_whole: bool) -> f64 {
    if most.is_nan() || most <= 0.0 {
        return if is_whole { 2.0 } else { 1.0 };
    }
    let power = 10_f64.powi(most.log10().floor() as i32);
    let ends = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(|step| step * power);
    let least = if is_whole { 2.0 } else { 0.0 };
    // What arithmetic leaves over at an end of its own is nothing.
    let end = ends.into_iter().find(|end| most <= end * (1.0 + 1e-9) && least <= *end);
    end.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_short_number_above_what_it_shows() {
        let whole = [0.0, 1.0, 2.0, 3.0, 7.0, 10.0, 11.0, 480.0].map(|most| axis_end(most, true));
        assert_eq!(whole, [2.0, 2.0, 2.0, 4.0, 8.0, 10.0, 20.0, 600.0]);
        let others = [0.3, 0.05, 1.0, 25.0].map(|most| axis_end(most, false));
        assert_eq!(others.map(|end| (end * 1e6).round() / 1e6), [0.4, 0.06, 1.0, 40.0]);
    }

    #[test]
    fn a_line_has_gaps_where_there_is_nothing_and_a_dot_between_two() {
        let values = [Some(0.0), Some(1.0), None, Some(1.0)];
        assert_eq!(drawn(&values, |value| 100.0 - value), "M165.0 100.0L355.0 99.0M735.0 99.0");
        let dots = alone(&values, |value| 100.0 - value);
        assert_eq!(dots, [("735.0".to_owned(), "99.0".to_owned())]);
    }
}

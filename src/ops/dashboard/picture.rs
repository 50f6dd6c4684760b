//! The steps of a pipeline as a picture, and as a list for who does not see it.

use crate::pipeline::{Definition, ModelKey, Step};
use crate::tensor::Port;
use maud::{Markup, html};

/// All lengths in units of the picture, which are pixels where there is room.
const BOX_WIDTH: usize = 176;
const BOX_HEIGHT: usize = 38;
const GAP_X: usize = 46;
const GAP_Y: usize = 12;
const MARGIN: usize = 10;
/// Above the boxes: what the step does.
const LABEL_HEIGHT: usize = 22;

/// Characters that fit into a box; the whole name stands in the list below.
const CHARS_MAX: usize = 21;

/// Boxes of one step that are drawn; the others are counted.
const DRAWN_MAX: usize = 6;

/// One column of the picture.
#[derive(Debug)]
struct Column {
    /// `runs`, `splits by weight`
    does: String,
    boxes: Vec<String>,
    is_end: bool,
}

/// The picture with the list of steps below it.
pub(super) fn picture(definition: &Definition) -> Markup {
    let mut columns = vec![end("takes", &definition.inputs)];
    columns.extend(definition.steps.iter().map(column));
    columns.push(end("gives", &definition.outputs));
    let rows = columns.iter().map(|column| drawn(column).len()).max().unwrap_or(1);
    let height = 2 * MARGIN + LABEL_HEIGHT + rows * BOX_HEIGHT + (rows - 1) * GAP_Y;
    let width = 2 * MARGIN + columns.len() * BOX_WIDTH + (columns.len() - 1) * GAP_X;
    let middle = MARGIN + LABEL_HEIGHT + (rows * BOX_HEIGHT + (rows - 1) * GAP_Y) / 2;
    html! {
        div.picture tabindex="0" role="region" aria-label="Picture of the steps" {
            svg role="img" aria-label={ "The steps of " (definition.name) ", which are listed below" }
                width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } {
                @for (index, column) in columns.iter().enumerate() {
                    (drawing(column, MARGIN + index * (BOX_WIDTH + GAP_X), middle, index + 1 < columns.len()))
                }
            }
        }
        ol.steps { @for step in &definition.steps { li { (listed(step)) } } }
    }
}

fn drawing(column: &Column, x: usize, middle: usize, goes_on: bool) -> Markup {
    let boxes = drawn(column);
    let height = boxes.len() * BOX_HEIGHT + boxes.len().saturating_sub(1) * GAP_Y;
    let top = middle - height / 2;
    let (right, tip) = (x + BOX_WIDTH, x + BOX_WIDTH + GAP_X);
    html! {
        text.label x=(x) y=(top - 8) { (column.does) }
        @for (row, words) in boxes.iter().enumerate() {
            @let y = top + row * (BOX_HEIGHT + GAP_Y);
            rect class=[column.is_end.then_some("end")] x=(x) y=(y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="7" {}
            text x=(x + 10) y=(y + BOX_HEIGHT / 2 + 5) { (shortened(words)) }
        }
        @if goes_on {
            path d={ "M" (right + 4) " " (middle) "H" (tip - 10) } {}
            path.arrow d={ "M" (tip - 4) " " (middle) "l-8 -5v10z" } {}
        }
    }
}

/// The boxes of a column, the last of which counts those that are left out.
fn drawn(column: &Column) -> Vec<String> {
    let mut boxes = column.boxes.clone();
    if boxes.len() > DRAWN_MAX {
        let more = boxes.len() - (DRAWN_MAX - 1);
        boxes.truncate(DRAWN_MAX - 1);
        boxes.push(format!("and {more} more"));
    }
    boxes
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX - 1).chain(['…']).collect()
}

fn end(does: &str, ports: &[Port]) -> Column {
    let name = |port: &Port| format!("{}: {}", port.name, port.element.onnx_name());
    let mut boxes: Vec<String> = ports.iter().map(name).collect();
    if boxes.is_empty() {
        boxes.push("not told".to_owned());
    }
    Column { does: does.to_owned(), boxes, is_end: true }
}

fn column(step: &Step) -> Column {
    let names = |keys: Vec<&ModelKey>| keys.iter().map(|key| key.name.clone()).collect();
    let boxes: Vec<String> = match step {
        Step::ModelInference(keys) => keys.iter().map(|key| key.name.clone()).collect(),
        Step::RandomSplit(split) => {
            let all: f64 = split.weights.iter().map(|(_, weight)| weight).sum();
            let share = |(key, weight): &(ModelKey, f64)| {
                format!("{:.0} % {}", weight / all * 100.0, key.name)
            };
            split.weights.iter().map(share).collect()
        }
        Step::KeySplit(_) => names(step.models()),
        Step::Check(validations) => validations.iter().map(|one| one.name.clone()).collect(),
        Step::AuditResults { .. } | Step::MultiOut | Step::Nth(_) | Step::ColumnsSelect(_) => {
            vec![step.kind().to_owned()]
        }
    };
    Column { does: does(step).to_owned(), boxes, is_end: false }
}

fn does(step: &Step) -> &'static str {
    match step {
        Step::ModelInference(keys) if keys.len() > 1 => "runs, with challengers",
        Step::ModelInference(_) => "runs",
        Step::RandomSplit(_) => "splits by weight",
        Step::KeySplit(_) => "splits by value",
        Step::Check(_) => "checks",
        Step::AuditResults { .. } => "shows",
        Step::MultiOut => "gives all",
        Step::Nth(_) => "chooses",
        Step::ColumnsSelect(_) => "keeps columns",
    }
}

fn listed(step: &Step) -> Markup {
    let models = step.models();
    html! {
        (does(step)) " "
        @if let Step::Check(validations) = step {
            @for (index, one) in validations.iter().enumerate() { @if index > 0 { ", " } (one.name) ": " code { (one.text) } }
        }
        @if let Step::ColumnsSelect(columns) = step { code { (columns.join(", ")) } }
        @for (index, key) in models.iter().enumerate() {
            @if index > 0 { ", " }
            strong { (key.name) } " " code { (key.version) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_an_arrow_between_all_its_columns_and_names_that_fit() {
        let long = "m".repeat(60);
        let sha = "0".repeat(64);
        let step = |name: &str| {
            serde_json::json!({ "ModelInference": { "models": [
                { "name": name, "version": "11111111-1111-4111-8111-111111111111", "sha": sha }] } })
        };
        let config = serde_json::json!({ "id": "p", "steps": [step("a"), step(&long)] });
        let definition = Definition::parse(config.to_string().as_bytes()).unwrap();
        let shown = picture(&definition).into_string();
        assert_eq!(shown.matches("class=\"arrow\"").count(), 3, "{shown}");
        assert!(shown.contains(&format!(">{}…</text>", "m".repeat(CHARS_MAX - 1))), "{shown}");
        assert!(shown.contains(&format!("<strong>{long}</strong>")), "{shown}");
    }
}

//! Pieces that many pages have: times, sizes, states, and what is copied.

use crate::clock::rfc3339;
use crate::ops::api::Asked;
use crate::ops::edges::State;
use crate::ops::store::{ModelStatus, PublishStatus};
use maud::{Markup, html};
use std::time::Duration;

/// The session's token, as every form has it.
pub(super) fn csrf_field(asked: &Asked<'_, '_, '_>) -> Markup {
    let csrf = asked.csrf();
    let csrf = csrf.as_ref().map_or("", |csrf| csrf.reveal());
    html! { input type="hidden" name="csrf_token" value=(csrf); }
}

/// A moment in UTC, which the script puts into the reader's zone.
pub(super) fn moment(ms: i64) -> Markup {
    let text = rfc3339(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    let shown = text.get(..16).unwrap_or(&text).replace('T', " ");
    html! { time datetime=(text) { (shown) " UTC" } }
}

/// A moment, or a dash where there was none.
pub(super) fn moment_if(ms: Option<i64>) -> Markup {
    match ms {
        Some(ms) => moment(ms),
        None => html! { span.quiet { "never" } },
    }
}

/// Bytes for people: `6.5 KB`.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(super) fn size(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// A number with its noun: `1 edge`, `2 edges`.
pub(super) fn count(number: i64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The word about a publish.
pub(super) fn publish_state(status: PublishStatus) -> Markup {
    let (class, word) = match status {
        PublishStatus::Pending => ("state warn", "PendingPublish"),
        PublishStatus::Publishing => ("state warn", "Publishing"),
        PublishStatus::Published => ("state good", "Published"),
        PublishStatus::Error => ("state wrong", "Error"),
    };
    html! { span class=(class) { (word) } }
}

/// The word about a model version.
pub(super) fn model_state(status: ModelStatus) -> Markup {
    let (class, word) = match status {
        ModelStatus::Attempting => ("state warn", "being checked"),
        ModelStatus::Ready => ("state good", "ready"),
        ModelStatus::Error => ("state wrong", "cannot be served"),
    };
    html! { span class=(class) { (word) } }
}

/// The word about an edge.
pub(super) fn edge_state(state: State) -> Markup {
    let class = match state {
        State::Waiting | State::Stopped => "state idle",
        State::Joined => "state good",
        State::Expired | State::Copied => "state warn",
        State::Vanished | State::Lost => "state wrong",
    };
    html! { span class=(class) title=(state.reason()) { (state.name()) } }
}

/// A text in one line with a button that copies it; `id` is the only one on its page.
pub(super) fn copied(id: &str, what: &str, text: &str) -> Markup {
    html! {
        div.copy { code id=(id) { (text) } (copy_button(id, what)) }
    }
}

/// Lines that are pasted somewhere, with a button that copies them.
pub(super) fn command(id: &str, what: &str, text: &str) -> Markup {
    html! {
        div.copy {
            pre id=(id) tabindex="0" role="region" aria-label=(what) { (text) }
            (copy_button(id, what))
        }
    }
}

fn copy_button(id: &str, what: &str) -> Markup {
    html! {
        button.second.small type="button" hidden data-copy=(id) data-what=(what) aria-label={ "Copy: " (what) } { "Copy" }
    }
}

/// What there is to say where there is nothing yet.
pub(super) fn empty(title: &str, advice: &Markup) -> Markup {
    html! { div.empty { h2 { (title) } (advice) } }
}

/// A tag of an edge, which leads to all that have it.
pub(super) fn tag(workspace: i64, tag: &str) -> Markup {
    let place =
        format!("/workspaces/{workspace}/edges?tag={}", crate::http::percent::encoded(tag, b""));
    html! { a.tag href=(place) { (tag) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_no_markup() {
        let shown = copied("x", "name", "<a href='x'>\"&").into_string();
        assert!(shown.contains(">&lt;a href='x'&gt;&quot;&amp;</code>"), "{shown}");
    }

    #[test]
    fn a_moment_says_its_zone_and_sizes_their_unit() {
        let shown = moment(1_698_784_645_516).into_string();
        let wanted = "<time datetime=\"2023-10-31T20:37:25.516Z\">2023-10-31 20:37 UTC</time>";
        assert_eq!(shown, wanted);
        assert_eq!([size(999), size(6_527), size(2_500_000)], ["999 B", "6.5 KB", "2.5 MB"]);
    }
}

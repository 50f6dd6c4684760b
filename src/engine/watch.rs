//! The watch over a pipeline after an update: what its requests come to, and when that is too much.

use crate::fleet::Watch;
use crate::pipeline::Finding;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the requests to one pipeline came to since it answers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    computed: AtomicU64,
    failed: AtomicU64,
    not_finite: AtomicU64,
    flagged: AtomicU64,
}

/// Counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Requests that were computed.
    pub(super) computed: u64,
    /// Requests that the pipeline did not take, or could not compute.
    pub(super) failed: u64,
    /// Of those computed, how many hold a NaN or an infinity.
    pub(super) not_finite: u64,
    /// Of those computed, how many failed a validation.
    pub(super) flagged: u64,
}

/// Shares of requests, from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct Rates {
    failed: f64,
    not_finite: f64,
    flagged: f64,
}

/// What a look at a watched pipeline came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is watched on.
    Undecided,
    /// It was watched for as long as was asked for, and is well.
    Settled,
    /// It is over a limit, in a sentence.
    Over(String),
}

impl Tally {
    /// A request was computed, with so many values in its outputs that are no finite numbers.
    pub(super) fn computed(&self, not_finite: usize, findings: &[Finding]) {
        self.computed.fetch_add(1, Relaxed);
        if not_finite > 0 {
            self.not_finite.fetch_add(1, Relaxed);
        }
        if findings.iter().any(Finding::is_failure) {
            self.flagged.fetch_add(1, Relaxed);
        }
    }

    /// A request was refused by the pipeline.
    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            computed: self.computed.load(Relaxed),
            failed: self.failed.load(Relaxed),
            not_finite: self.not_finite.load(Relaxed),
            flagged: self.flagged.load(Relaxed),
        }
    }
}

impl Counts {
    fn requests(self) -> u64 {
        self.computed.saturating_add(self.failed)
    }

    /// The shares; zeros of no requests.
    pub(super) fn rates(self) -> Rates {
        let share =
            |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Rates {
            failed: share(self.failed, self.requests()),
            not_finite: share(self.not_finite, self.computed),
            flagged: share(self.flagged, self.computed),
        }
    }

    /// What `watch` says of them after so many seconds. A limit is what may come beyond what was
    /// `usual` of the pipeline before: senders of rubbish are not the new one's fault.
    ///
    /// Before the end a limit is exceeded when no further request could bring the share below it.
    pub(super) fn judge(self, watch: &Watch, usual: Rates, seconds: u64) -> Verdict {
        let is_over = seconds >= watch.seconds_max || self.requests() >= watch.requests;
        let of = if is_over { self.requests() } else { watch.requests };
        let limits = [
            ("failed", self.failed, Some(watch.failed_share_max), usual.failed),
            (
                "had NaN or an infinity in their outputs",
                self.not_finite,
                Some(watch.nan_share_max),
                usual.not_finite,
            ),
            ("failed a validation", self.flagged, watch.check_share_max, usual.flagged),
        ];
        for (what, found, limit, usual) in limits {
            let Some(limit) = limit else { continue };
            let allowed = (limit + usual) * of as f64;
            if found as f64 > allowed {
                return Verdict::Over(format!(
                    "{found} of {} requests {what}, where {:.1} % may and {:.1} % did before",
                    self.requests(),
                    limit * 100.0,
                    usual * 100.0
                ));
            }
        }
        if is_over { Verdict::Settled } else { Verdict::Undecided }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: Watch = Watch {
        requests: 100,
        seconds_max: 600,
        failed_share_max: 0.05,
        nan_share_max: 0.0,
        check_share_max: None,
    };

    fn counts(computed: u64, failed: u64, not_finite: u64) -> Counts {
        Counts { computed, failed, not_finite, flagged: computed }
    }

    #[test]
    fn a_pipeline_is_judged_by_its_first_requests() {
        let cases = [
            (counts(0, 0, 0), 0, "watched on"),
            (counts(99, 0, 0), 0, "watched on"),
            (counts(100, 0, 0), 0, "well"),
            (counts(95, 5, 0), 0, "well"),
            (counts(0, 5, 0), 0, "watched on"),
            (counts(0, 6, 0), 0, "over"),
            (counts(10, 0, 1), 0, "over"),
            (counts(3, 0, 0), 600, "well"),
            (counts(3, 1, 0), 599, "watched on"),
            (counts(3, 1, 0), 600, "over"),
            (counts(0, 0, 0), 600, "well"),
        ];
        for (counts, seconds, expected) in cases {
            let found = match counts.judge(&WATCH, Rates::default(), seconds) {
                Verdict::Undecided => "watched on",
                Verdict::Settled => "well",
                Verdict::Over(_) => "over",
            };
            assert_eq!(found, expected, "{counts:?} after {seconds} s");
        }
    }

    #[test]
    fn what_was_usual_before_is_not_held_against_it() {
        let usual = counts(60, 40, 0).rates();
        assert_eq!(counts(56, 44, 0).judge(&WATCH, usual, 0), Verdict::Settled);
        let Verdict::Over(why) = counts(54, 46, 0).judge(&WATCH, usual, 0) else {
            panic!("settled")
        };
        assert_eq!(why, "46 of 100 requests failed, where 5.0 % may and 40.0 % did before");
    }

    #[test]
    fn a_request_counts_once_however_many_of_its_values_are_no_numbers() {
        let tally = Tally::default();
        tally.computed(7, &[]);
        tally.computed(0, &[]);
        tally.failed();
        assert_eq!(tally.counts(), counts_of(2, 1, 1));
    }

    fn counts_of(computed: u64, failed: u64, not_finite: u64) -> Counts {
        Counts { computed, failed, not_finite, flagged: 0 }
    }
}

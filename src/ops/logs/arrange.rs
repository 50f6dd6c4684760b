//! What becomes of the frames of a delivery: which count, which are here already, where a gap is.

use crate::codec::journal::{Header, LossReason};
use crate::ops::store::JournalPlace;

/// What is done with one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It counts, from this sequence number on.
    Counts {
        /// The first number that did not come in another frame.
        from: u64,
    },
    /// It is here already.
    Known,
    /// It and all after it are not taken: something before it is missing, and is asked for.
    Gap,
    /// What was missing is missing for good, and the frame counts.
    AfterGap {
        /// The first number that is lost.
        lost: u64,
        /// How many are.
        count: u64,
    },
}

/// Decides about the next frame of a journal, and moves the journal's place on.
///
/// After a gap the sender is told once what is wanted. When its next delivery begins behind that place
/// again, it has no more, and what is missing is a loss.
pub(super) fn fate(place: &mut JournalPlace, header: &Header) -> Fate {
    let (first, next) = (header.first(), header.next());
    if place.next < first {
        if place.told != Some(place.next) {
            place.told = Some(place.next);
            return Fate::Gap;
        }
        let (lost, count) = (place.next, first - place.next);
        (place.next, place.told) = (next, None);
        return Fate::AfterGap { lost, count };
    }
    if header.count() == 0 {
        // A loss of unknown size has no numbers: the records know whether it was told before.
        return Fate::Counts { from: first };
    }
    if next <= place.next {
        return Fate::Known;
    }
    let from = place.next;
    (place.next, place.told) = (next, None);
    Fate::Counts { from }
}

/// Where a journal begins of which nothing is here: at the start or the crash that it begins with, since
/// the numbers before it went under another name.
pub(super) fn begin(place: &mut JournalPlace, header: &Header) {
    if place.next == 1
        && let Header::Loss(loss) = header
        && loss.count == 0
        && matches!(loss.reason, LossReason::Crash | LossReason::Start)
    {
        (place.next, place.told) = (loss.first, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::journal::Loss;

    fn loss(first: u64, count: u64) -> Header {
        let journal = "00000000-0000-4000-8000-000000000000".parse().unwrap();
        let reason = LossReason::Cap;
        Header::Loss(Loss { journal, first, count, reason, boot: None, ms: 0, mono_ms: 0 })
    }

    #[test]
    fn frames_count_once_and_in_order() {
        let mut place = JournalPlace { id: 1, next: 1, told: None };
        let fates = [(1, 3), (1, 3), (4, 1), (3, 4), (7, 0), (2, 0)]
            .map(|(first, count)| fate(&mut place, &loss(first, count)));
        let counts = |from| Fate::Counts { from };
        assert_eq!(fates, [counts(1), Fate::Known, counts(4), counts(5), counts(7), counts(2)]);
        assert_eq!(place.next, 7);
    }

    #[test]
    fn what_is_missing_is_asked_for_once_and_then_lost() {
        let mut place = JournalPlace { id: 1, next: 1, told: None };
        assert_eq!(fate(&mut place, &loss(6, 2)), Fate::Gap);
        assert_eq!(place.next, 1);
        assert_eq!(fate(&mut place, &loss(6, 2)), Fate::AfterGap { lost: 1, count: 5 });
        assert_eq!(place, JournalPlace { id: 1, next: 8, told: None });
    }

    #[test]
    fn a_journal_that_begins_with_a_crash_lacks_nothing_before_it() {
        let Header::Loss(told) = loss(600, 0) else { panic!("a loss") };
        let crash = Header::Loss(Loss { reason: LossReason::Crash, ..told });
        let mut place = JournalPlace { id: 1, next: 1, told: None };
        begin(&mut place, &loss(600, 3));
        assert_eq!(place.next, 1, "that is none");
        begin(&mut place, &crash);
        assert_eq!(fate(&mut place, &crash), Fate::Counts { from: 600 });
        assert_eq!(fate(&mut place, &loss(600, 3)), Fate::Counts { from: 600 });
    }

    #[test]
    fn a_journal_that_begins_with_a_start_is_told_of_it_before_or_after_it_was_asked_for_more() {
        let Header::Loss(told) = loss(600, 0) else { panic!("a loss") };
        let start = Header::Loss(Loss { reason: LossReason::Start, ..told });
        for asked in [None, Some(1)] {
            let mut place = JournalPlace { id: 1, next: 1, told: asked };
            begin(&mut place, &start);
            assert_eq!(place, JournalPlace { id: 1, next: 600, told: None });
            assert_eq!(fate(&mut place, &start), Fate::Counts { from: 600 });
            assert_eq!(fate(&mut place, &loss(604, 3)), Fate::Gap);
            assert_eq!(fate(&mut place, &loss(604, 3)), Fate::AfterGap { lost: 600, count: 4 });
        }
        let mut known = JournalPlace { id: 1, next: 7, told: None };
        begin(&mut known, &start);
        assert_eq!(known.next, 7, "something is here already");
    }

    #[test]
    fn what_was_missing_and_comes_is_no_loss() {
        let mut place = JournalPlace { id: 1, next: 1, told: None };
        assert_eq!(fate(&mut place, &loss(6, 2)), Fate::Gap);
        assert_eq!(fate(&mut place, &loss(1, 5)), Fate::Counts { from: 1 });
        assert_eq!(fate(&mut place, &loss(6, 2)), Fate::Counts { from: 6 });
    }
}

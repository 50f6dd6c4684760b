//! What an ops center makes of a journal whose disk lost what it said it had, or has what it had long ago.

use super::*;

/// Histories of a disk in an ordinary run; `POTOROO_CUTS` asks for more.
const SEEDS: u64 = 10;

/// What an ops center has: of each journal the next number, and all inferences in the order they came.
#[derive(Debug, Default)]
struct Center {
    places: BTreeMap<String, u64>,
    inferences: Vec<u64>,
}

impl Center {
    fn take_all(&mut self, journal: &Journal) {
        while let Some(batch) = journal.next_batch(1) {
            for frame in frames(&batch.bytes).map(Result::unwrap) {
                let Header::Records(header) = &frame.header else {
                    let begins = (frame.header.journal().to_string(), frame.header.first());
                    self.places.entry(begins.0).or_insert(begins.1);
                    continue;
                };
                let place = self.places.entry(header.journal.to_string()).or_insert(1);
                assert!(header.first <= *place, "a gap before {header:?} at {place}");
                let rows = Rows::read(&frame).unwrap().unwrap();
                for row in (0..rows.len()).filter(|row| *place <= rows.sequence(*row)) {
                    let which = u64::try_from(rows.time_ms(row)).unwrap() - 1_700_000_000_000;
                    self.inferences.push(which);
                }
                *place = frame.header.next().max(*place);
            }
            journal.acknowledge(batch.journal, self.places[&batch.journal.to_string()]);
        }
    }
}

#[test]
fn a_tail_that_was_sent_and_lost_takes_no_new_inference_with_it() {
    for kept in [0, 1, 10, 19] {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path(), 1 << 20);
        let mut center = Center::default();
        for number in 0..20 {
            journal.record(inference(number, 1));
            assert!(journal.flush(LONG));
        }
        center.take_all(&journal);
        // The power goes, and the disk has not kept what it said it had.
        let after = copied(directory.path());
        let (path, _) = segments(after.path()).pop_first().unwrap();
        let path = after.path().join(path);
        let bytes = fs::read(&path).unwrap();
        let left: usize = frames(&bytes).take(kept).map(|frame| frame.unwrap().bytes.len()).sum();
        fs::write(&path, &bytes[..left]).unwrap();
        let mut last = open(after.path(), 1 << 20);
        let mut copies = Vec::new();
        for number in 20..30 {
            last.record(inference(number, 1));
            if number == 25 {
                assert!(last.flush(LONG));
                center.take_all(&last);
                // And again, with nothing lost.
                copies.push(copied(after.path()));
                last = open(copies[0].path(), 1 << 20);
            }
        }
        assert!(last.flush(LONG));
        center.take_all(&last);
        assert_eq!(center.inferences, (0..30).collect::<Vec<_>>(), "{kept} of 20 left");
    }
}

#[test]
fn a_journal_that_is_put_back_from_an_old_image_takes_no_new_inference_for_an_old_one() {
    for (sent_before, is_away) in [(0, false), (7, false), (20, false), (0, true), (20, true)] {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path(), 1 << 20);
        let mut center = Center::default();
        let record = |journal: &Journal, numbers: std::ops::Range<u64>| {
            for number in numbers {
                journal.record(inference(number, 1));
                assert!(journal.flush(LONG));
            }
        };
        record(&journal, 0..sent_before);
        center.take_all(&journal);
        record(&journal, sent_before..20);
        journal.close();
        let image = copied(directory.path());
        // It goes on, and the ops center has all of it.
        let journal = open(directory.path(), 1 << 20);
        record(&journal, 20..30);
        center.take_all(&journal);
        journal.close();
        // Twice, since nobody keeps from doing it again.
        let mut next = 30;
        for _ in 0..2 {
            let old = copied(image.path());
            let journal = open(old.path(), 1 << 20);
            record(&journal, next..next + 5);
            if is_away {
                journal.close();
                let journal = open(old.path(), 1 << 20);
                record(&journal, next + 5..next + 10);
                center.take_all(&journal);
                journal.close();
            } else {
                center.take_all(&journal);
                record(&journal, next + 5..next + 10);
                center.take_all(&journal);
                journal.close();
            }
            next += 10;
        }
        let found = center.inferences;
        assert_eq!(found, (0..50).collect::<Vec<_>>(), "{sent_before} sent, away: {is_away}");
    }
}

#[test]
fn a_start_after_a_clean_stop_is_told_as_a_beginning_and_writes_nothing_before_it_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 1 << 20);
    (0..10).for_each(|number| journal.record(inference(number, 1)));
    journal.close();
    let written = || fs::read(directory.path().join(journal.id().to_string()).join("eras")).ok();
    open(directory.path(), 1 << 20).close();
    assert_eq!((written(), segments(directory.path()).len()), (None, 1));
    let again = open(directory.path(), 1 << 20);
    (10..15).for_each(|number| again.record(inference(number, 1)));
    assert!(again.flush(LONG));
    assert!(written().is_some());
    let before = again.next_batch(1).unwrap();
    assert_eq!((before.journal, before.first), (journal.id(), 1));
    again.acknowledge(before.journal, 11);
    let heads = |journal: &Journal| -> Vec<(Option<LossReason>, u64, u64)> {
        let batch = journal.next_batch(1 << 20).unwrap();
        assert_eq!(batch.journal, journal.id());
        let facts = |header: Header| match &header {
            Header::Loss(loss) => (Some(loss.reason), loss.first, loss.count),
            Header::Records(batch) | Header::Summary(batch) => (None, batch.first, batch.count),
        };
        frames(&batch.bytes).map(|frame| facts(frame.unwrap().header)).collect()
    };
    assert_eq!(heads(&again), [(Some(LossReason::Start), 11, 0), (None, 11, 5)]);
    again.acknowledge(again.id(), 13);
    assert_eq!(heads(&again), [(None, 11, 5)], "what came in part comes again");
    // An ops center that was put back to before it knew the name is told where that begins.
    again.lacks(again.id(), 1);
    assert_eq!(heads(&again), [(Some(LossReason::Start), 11, 0), (None, 11, 5)]);
    again.lacks(again.id(), 11);
    assert_eq!(heads(&again), [(None, 11, 5)]);
    again.close();
}

/// Stops, power cuts, images and their putting back in any order, and an ops center that hears now and then.
#[test]
fn whatever_is_stopped_cut_and_put_back_what_is_on_the_disk_arrives_once_and_in_order() {
    let seeds = std::env::var("POTOROO_CUTS").map_or(SEEDS, |text| text.parse().unwrap());
    for seed in 0..seeds {
        let mut dice = Dice(seed * 31 + 7);
        let mut disk = tempfile::tempdir().unwrap();
        let mut journal = open(disk.path(), 1 << 20);
        let (mut center, mut next) = (Center::default(), 0);
        // What is on the disk or was sent from it, and the same of each image.
        let mut kept: Vec<u64> = Vec::new();
        let mut images: Vec<(tempfile::TempDir, Vec<u64>)> = Vec::new();
        let mut done = Vec::new();
        for _ in 0..40 {
            let what = dice.below(8);
            done.push(what);
            match what {
                0..3 => {
                    let count = 1 + dice.below(4);
                    (next..next + count).for_each(|number| journal.record(inference(number, 1)));
                    assert!(journal.flush(LONG));
                    kept.extend(next..next + count);
                    next += count;
                }
                3 => center.take_all(&journal),
                4 => {
                    journal.close();
                    journal = open(disk.path(), 1 << 20);
                }
                5 => {
                    let cut = copied(disk.path());
                    journal.close();
                    disk = cut;
                    journal = open(disk.path(), 1 << 20);
                }
                6 => {
                    if dice.below(2) == 0 {
                        journal.close();
                        images.push((copied(disk.path()), kept.clone()));
                        journal = open(disk.path(), 1 << 20);
                    } else {
                        images.push((copied(disk.path()), kept.clone()));
                    }
                }
                _ => {
                    let which = dice.below(images.len() as u64) as usize;
                    let Some((image, had)) = images.get(which) else { continue };
                    journal.close();
                    (disk, kept) = (copied(image.path()), had.clone());
                    journal = open(disk.path(), 1 << 20);
                }
            }
        }
        center.take_all(&journal);
        journal.close();
        let mut once = center.inferences.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), center.inferences.len(), "seed {seed}: twice, by {done:?}");
        let found: Vec<u64> =
            center.inferences.iter().copied().filter(|it| kept.contains(it)).collect();
        assert_eq!(found, kept, "seed {seed}, by {done:?}");
    }
}

#[test]
fn nothing_is_written_under_a_name_that_cannot_be_written_down_and_all_goes_on_once_it_can() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 1 << 20);
    journal.record(inference(0, 1));
    journal.close();
    let again = open(directory.path(), 1 << 20);
    let eras = directory.path().join(journal.id().to_string()).join("eras");
    fs::create_dir(&eras).unwrap();
    (1..4).for_each(|number| again.record(inference(number, 1)));
    assert!(again.flush(LONG));
    assert_eq!(again.state().lost[LossReason::Disk as usize], (LossReason::Disk, 3));
    fs::remove_dir(&eras).unwrap();
    (4..6).for_each(|number| again.record(inference(number, 1)));
    assert!(again.flush(LONG));
    assert!(eras.is_file());
    let mut received = Received::new();
    received.take_all(&again);
    assert_eq!(received.inferences(), [0, 4, 5]);
    assert_eq!(received.lost.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    again.close();
}

//! What an ops center makes of a journal whose disk lost what it said it had.

use super::*;

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

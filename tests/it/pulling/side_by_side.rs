//! Several blobs: some at once, the largest first, each once, and none begun that has no room.

use std::fs;
use std::sync::{Arc, Condvar, Mutex};

use potoroo::oci::{BLOB_BYTES_MAX, Descriptor, Digest, media_type};
use potoroo::registry::{Arrival, BLOBS_AT_ONCE, Error, Pushed, Retry, SPARE_BYTES, Transfer};

use super::{Asked, Fault, Link, QUICK, noise};
use crate::support::process::PATIENCE;

/// Lets nobody through before so many are there; what comes later goes by.
#[derive(Default)]
struct Crowd {
    there: Mutex<usize>,
    changed: Condvar,
}

impl Crowd {
    fn wait_for(&self, wanted: usize) {
        let mut there = self.there.lock().unwrap();
        *there += 1;
        self.changed.notify_all();
        let waited =
            self.changed.wait_timeout_while(there, PATIENCE, |there| *there < wanted).unwrap();
        assert!(!waited.1.timed_out(), "only {} are asked for at once", waited.0);
    }
}

#[test]
fn blobs_are_fetched_side_by_side_the_largest_first_and_each_once() {
    let crowd = Arc::new(Crowd::default());
    let plan = move |_: &Asked| {
        crowd.wait_for(BLOBS_AT_ONCE);
        vec![]
    };
    let sizes = [300, 100, 500, 200, 400];
    let mut contents: Vec<_> = (1..).zip(sizes).map(|(seed, size)| noise(seed, size)).collect();
    contents.push(contents[0].clone());
    let link = Link::to(&contents, plan);
    let mut whole = Vec::new();
    let remote = link.remote();
    let transfer = Transfer { remote: &remote, layout: &link.layout, retry: Retry::NEVER };
    let brought = transfer
        .bring(&link.blobs, &mut |blob, arrival| {
            if let Arrival::Whole(pushed) = arrival {
                whole.push((blob.size, pushed));
            }
        })
        .unwrap();
    link.is_whole();
    assert_eq!((brought.blobs, brought.bytes), (5, 1500));
    whole.sort_by_key(|(size, _)| *size);
    assert_eq!(whole, [100, 200, 300, 400, 500].map(|size| (size, Pushed::Sent)));
    // The first three are asked for in any order, but they are the three largest.
    let size_of = |target: &str| {
        let blob = link.blobs.iter().find(|blob| target.ends_with(&blob.digest.to_string()));
        blob.unwrap().size
    };
    let mut first: Vec<_> =
        link.proxy.asked()[..BLOBS_AT_ONCE].iter().map(|asked| size_of(&asked.target)).collect();
    first.sort_unstable();
    assert_eq!(first, [300, 400, 500]);
}

#[test]
fn what_one_blob_fails_by_is_told_and_the_others_are_kept_as_far_as_they_came() {
    let contents = [noise(1, 3_000), noise(2, 2_000), noise(3, 1_000)];
    let bad = Digest::of(&contents[1]).to_string();
    let link = Link::to(&contents, move |asked| {
        if asked.target.ends_with(&bad) { vec![Fault::Corrupt(7)] } else { vec![] }
    });
    let error = link.bring(QUICK).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { expected, .. }
        if expected == link.blobs[1].digest));
    assert!(!link.layout.has_blob(&link.blobs[1]).unwrap());
    for blob in [&link.blobs[0], &link.blobs[2]] {
        if link.layout.has_blob(blob).unwrap() {
            let _proof = link.layout.verify_blob(blob).unwrap();
        }
    }
}

#[test]
fn two_transfers_of_one_blob_wait_for_each_other_and_one_finds_it_there() {
    let link = Link::to(&[noise(1, 300_000)], |asked: &Asked| match asked.nth {
        0 => vec![Fault::Cut(100_000)],
        _ => vec![],
    });
    let brought = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| link.bring(QUICK).unwrap()));
        both.map(|one| one.join().unwrap())
    });
    link.is_whole();
    assert_eq!(brought[0].blobs + brought[1].blobs, 1, "{brought:?}");
    assert_eq!(link.proxy.bytes(), 300_000);
}

/// A thousand blobs of 64 GiB each: more than any disk under this test has.
fn more_than_there_is() -> Vec<Descriptor> {
    let blob = |n: u32| {
        Descriptor::new(media_type::MODEL_WEIGHT, Digest::of(&n.to_le_bytes()), BLOB_BYTES_MAX)
    };
    (0..1000).map(blob).collect()
}

#[test]
fn a_disk_that_is_too_small_is_told_with_its_figures_before_the_first_byte() {
    let mut link = Link::to(&[], |_| vec![]);
    link.blobs = more_than_there_is();
    // What has come of a blob is no longer needed.
    fs::create_dir(link.layout.root().join("partial")).unwrap();
    fs::write(link.partial(), [0; 1000]).unwrap();
    let error = link.bring(QUICK).unwrap_err();
    let sentence = error.to_string();
    let Error::NoSpace { directory, needed_bytes, free_bytes } = error else { panic!("{error:?}") };
    assert_eq!(needed_bytes, 1000 * BLOB_BYTES_MAX - 1000 + SPARE_BYTES);
    assert!(free_bytes < needed_bytes);
    assert_eq!(directory, link.layout.root());
    let shown = directory.display();
    let told = format!("{shown} has {free_bytes} bytes free, and {needed_bytes} are needed");
    assert_eq!(sentence, told);
    assert_eq!(link.proxy.asked().len(), 0);
}

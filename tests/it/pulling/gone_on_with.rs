//! A blob that was cut is gone on with, whoever cut it; what the registry sends is never trusted for it.

use std::fs;

use potoroo::registry::{Error, Retry};

use super::{Asked, Fault, Link, QUICK, noise};

const SIZE: usize = 200_000;

/// The first answer is cut after so many bytes, the others go through.
fn cut_once(at: u64) -> impl Fn(&Asked) -> Vec<Fault> {
    move |asked| if asked.nth == 0 { vec![Fault::Cut(at)] } else { vec![] }
}

/// The first answer is cut after half of the blob, and this happens to the second.
fn cut_then(second: Fault) -> impl Fn(&Asked) -> Vec<Fault> {
    move |asked| match asked.nth {
        0 => vec![Fault::Cut(SIZE as u64 / 2)],
        1 => vec![second.clone()],
        _ => vec![],
    }
}

#[test]
fn a_hundred_megabytes_over_a_link_that_is_cut_every_five_come_with_hardly_a_byte_twice() {
    const MB: usize = 1_000_000;
    let link = Link::to(&[noise(1, 100 * MB)], |_| vec![Fault::Cut(5 * MB as u64)]);
    let brought = link.bring(QUICK).unwrap();
    link.is_whole();
    let (through, size) = (link.proxy.bytes(), 100 * MB as u64);
    let twice = (through - size) as f64 / size as f64;
    assert!(twice < 0.06, "{through} bytes went through for {size}: {twice} of it twice");
    assert_eq!((brought.bytes, brought.retries), (through, 19));
}

#[test]
fn what_has_come_before_the_process_ended_is_not_fetched_again() {
    let link = Link::to(&[noise(1, SIZE)], cut_once(120_000));
    let error = link.bring(Retry::NEVER).unwrap_err();
    assert!(matches!(error, Error::Ended { got: 120_000, .. }), "{error:?}");
    assert!(!link.layout.has_blob(&link.blobs[0]).unwrap());
    assert_eq!(link.layout.partial_bytes(&link.blobs[0].digest).unwrap(), 120_000);
    link.bring(Retry::NEVER).unwrap();
    link.is_whole();
    assert_eq!(link.proxy.firsts(), [None, Some(120_000)]);
    assert_eq!(link.proxy.bytes(), SIZE as u64);
}

#[test]
fn a_blob_that_is_there_is_not_asked_for_and_one_that_rotted_is_fetched_anew() {
    let link = Link::to(&[noise(1, SIZE)], |_| vec![]);
    link.bring(Retry::NEVER).unwrap();
    link.bring(Retry::NEVER).unwrap();
    assert_eq!(link.proxy.firsts(), [None]);
    fs::write(link.layout.blob_path(&link.blobs[0].digest), noise(2, SIZE)).unwrap();
    link.bring(Retry::NEVER).unwrap();
    link.is_whole();
    assert_eq!(link.proxy.firsts(), [None, None]);
}

/// From which byte on each request wants the blob.
type Firsts<'a> = &'a [Option<u64>];

/// Each is what a power cut, a full disk or another program can leave under the name of a part.
#[test]
fn a_part_that_is_damaged_costs_one_whole_download_and_no_error() {
    let sound = noise(1, SIZE);
    let cases: [(&str, Vec<u8>, Firsts<'_>); 5] = [
        ("zeros at its end", [&sound[..90_000], &[0; 10_000]].concat(), &[Some(100_000), None]),
        ("other bytes", noise(2, 100_000), &[Some(100_000), None]),
        ("whole but other", noise(2, SIZE), &[None]),
        ("too long", noise(1, SIZE + 8), &[None]),
        ("whole", sound.clone(), &[]),
    ];
    for (case, part, asked) in cases {
        let link = Link::to(std::slice::from_ref(&sound), |_| vec![]);
        fs::create_dir(link.partial().parent().unwrap()).unwrap();
        fs::write(link.partial(), part).unwrap();
        link.bring(Retry::NEVER).unwrap_or_else(|error| panic!("{case}: {error}"));
        link.is_whole();
        assert_eq!(link.proxy.firsts(), asked, "{case}");
    }
}

#[test]
fn an_answer_that_is_not_the_rest_that_was_asked_for_costs_one_whole_download_and_no_error() {
    let unsatisfiable = crate::support::scripted::raw(416, &[("content-length", "0")], b"");
    let cases = [
        ("another beginning", Fault::Replaced("bytes 100000-", "bytes 100001-")),
        ("another total", Fault::Replaced("/200000", "/200001")),
        ("no range", Fault::Replaced("Content-Range", "X-Range")),
        ("unsatisfiable", Fault::Instead(unsatisfiable)),
    ];
    for (case, fault) in cases {
        let link = Link::to(&[noise(1, SIZE)], cut_then(fault));
        link.bring(QUICK).unwrap_or_else(|error| panic!("{case}: {error}"));
        link.is_whole();
        assert_eq!(link.proxy.firsts(), [None, Some(100_000), None], "{case}");
    }
}

#[test]
fn a_registry_that_does_no_ranges_is_taken_from_the_beginning() {
    let link = Link::to(&[noise(1, SIZE)], cut_then(Fault::Without("range")));
    link.bring(QUICK).unwrap();
    link.is_whole();
    assert_eq!(link.proxy.firsts(), [None, Some(100_000)]);
    assert_eq!(link.proxy.bytes(), 100_000 + SIZE as u64);
}

#[test]
fn a_registry_that_does_no_ranges_and_is_always_cut_is_given_up() {
    let plan = |_: &Asked| vec![Fault::Without("range"), Fault::Cut(100_000)];
    let link = Link::to(&[noise(1, SIZE)], plan);
    let error = link.bring(QUICK).unwrap_err();
    assert!(matches!(error, Error::Ended { got: 100_000, .. }), "{error:?}");
    // The first attempt brought bytes, and the others none that were new.
    assert_eq!(link.proxy.asked().len(), 1 + QUICK.attempts_max as usize);
}

#[test]
fn a_byte_that_is_changed_on_its_way_costs_one_whole_download() {
    let link = Link::to(&[noise(1, SIZE)], cut_then(Fault::Corrupt(7)));
    link.bring(QUICK).unwrap();
    link.is_whole();
    assert_eq!(link.proxy.firsts(), [None, Some(100_000), None]);
}

#[test]
fn a_blob_that_is_always_changed_on_its_way_is_refused_and_nothing_of_it_is_kept() {
    let plan = |asked: &Asked| match asked.nth {
        0 => vec![Fault::Cut(100_000)],
        _ => vec![Fault::Corrupt(7)],
    };
    let link = Link::to(&[noise(1, SIZE)], plan);
    let error = link.bring(QUICK).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    assert_eq!(link.proxy.firsts(), [None, Some(100_000), None]);
    assert!(!link.layout.has_blob(&link.blobs[0]).unwrap());
    assert_eq!(link.layout.partial_bytes(&link.blobs[0].digest).unwrap(), 0);
}

#[test]
fn a_part_that_nobody_wants_any_more_can_be_found_and_discarded() {
    let link = Link::to(&[noise(1, SIZE)], cut_once(100_000));
    link.bring(Retry::NEVER).unwrap_err();
    let digest = link.blobs[0].digest;
    assert_eq!(link.layout.partial_blobs().unwrap(), [digest]);
    link.layout.discard_partial(&digest).unwrap();
    link.layout.discard_partial(&digest).unwrap();
    assert_eq!(link.layout.partial_blobs().unwrap(), []);
}

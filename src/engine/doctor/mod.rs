//! `potoroo-engine doctor`: examines what an engine needs, and says what to do about what is missing.
//!
//! It goes from the near to the far: settings, the persistent directory, the device, the port, the
//! network, the registry, the ops center, and what the pipeline shows for itself. Each part gives findings and needs no other part. It
//! changes nothing that an engine keeps; what it writes for a trial is its own and gone at once.

mod device;
mod edge;
mod finding;
mod journal;
mod keeping;
mod network;
mod port;
mod shown;

pub(super) use device::memory_free;

use super::config::Partial;
use crate::clock::{Clock, DeviceClock};
use crate::exit::{Exit, Failure};
use crate::logging::announce;
use crate::oci::Source;
use crate::registry::{Fetched, Shelf};
use finding::{Finding, Level, Report};
use shown::Shown;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long the whole examination may take: a person waits for it.
const EXAMINATION_MAX: Duration = Duration::from_secs(90);

/// Where a part puts what it found.
type Found<'a> = &'a mut dyn FnMut(Finding);

/// Examines, and prints a line for each finding, or all of them as JSON.
///
/// # Errors
/// [`Exit::Failed`] when something was found that keeps the engine from serving.
pub fn doctor(variables: Vec<(String, String)>, as_json: bool) -> Result<(), Failure> {
    let (sender, findings) = mpsc::channel();
    // On a thread of its own, so that a system call that hangs does not keep the answer back: a
    // dead network share can, and no time-out reaches it.
    let examined = std::thread::Builder::new().name("doctor".into()).spawn(move || {
        examine(&variables, &mut |finding| {
            let _ = sender.send(finding);
        });
    });
    let mut examined = Some(examined.map_err(|error| Failure::new(Exit::Failed, error))?);
    let until = Instant::now() + EXAMINATION_MAX;
    let mut report = Report::default();
    loop {
        let next = findings.recv_timeout(until.saturating_duration_since(Instant::now()));
        let (finding, is_last) = match next {
            Ok(finding) => (finding, false),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                match examined.take().map(std::thread::JoinHandle::join) {
                    Some(Err(_)) => (broken(report.last()), true),
                    Some(Ok(())) | None => break,
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => (unfinished(report.last()), true),
        };
        if !as_json {
            announce(&finding.lines());
        }
        report.add(finding);
        if is_last {
            break;
        }
    }
    if as_json {
        announce(&report.json());
    }
    match report.failed().as_slice() {
        [] => Ok(()),
        failed => {
            let sentence = format!("the engine cannot serve like this: {}", failed.join(", "));
            Err(Failure::new(Exit::Failed, sentence).hint("do what is said beside each `fail`"))
        }
    }
}

fn unfinished(last: Option<&str>) -> Finding {
    let seconds = EXAMINATION_MAX.as_secs();
    let after = last.unwrap_or("the beginning");
    Finding::fail(
        "time",
        format!("the examination was ended after {seconds} s: what comes after `{after}` hangs"),
        "look at the disk and the name servers: neither answers in time",
    )
}

/// A fault of the doctor's own must not look like the end of a list without faults.
fn broken(last: Option<&str>) -> Finding {
    let after = last.unwrap_or("the beginning");
    Finding::fail(
        "doctor",
        format!("the examination itself broke after `{after}`"),
        "report it as a fault of the program, with the line that stands on standard error",
    )
}

fn examine(variables: &[(String, String)], found: Found<'_>) {
    let settings = Partial::read(variables);
    found(settings_read(&settings));
    for warning in &settings.warnings {
        found(Finding::warn("settings", warning.clone(), "correct it, or leave it out"));
    }
    clock(found);
    let stored = settings.persist.as_deref().map(|directory| keeping::examine(directory, found));
    if stored.is_none() {
        found(Finding::fail(
            "persist",
            "there is no directory to keep models in: no volume at /persist, and HOME is not set",
            "mount a volume at /persist, or set POTOROO_PERSIST",
        ));
    }
    if let Some(directory) = &settings.persist {
        journal::examine(directory, settings.journal.as_ref(), found);
    }
    device::examine(settings.cpus, settings.kernels, found);
    port::examine(settings.listen, settings.certificate.as_deref(), found);
    let shown = match &settings.source {
        None => None,
        Some(Source::Layout { path, version }) => {
            layout(path, version.as_ref(), found).map(|(shelf, fetched)| {
                let is_whole = true;
                Shown { fetched, place: None, shelf: Some(shelf), is_whole }
            })
        }
        Some(source @ Source::Registry(reference)) => {
            let kept = stored.as_ref().and_then(|stored| stored.keeps(source, found));
            let reached = network::examine(&settings, reference, &mut |finding| {
                found(if kept.is_some() { finding.softened() } else { finding });
            });
            let shelf = stored.as_ref().and_then(keeping::Stored::shelf);
            match (reached, kept) {
                (Some((remote, fetched)), _) => {
                    let is_whole = stored.as_ref().is_some_and(|it| it.has_all(&fetched.manifest));
                    Some(Shown { fetched, place: Some(remote), shelf, is_whole })
                }
                (None, Some(fetched)) => {
                    Some(Shown { fetched, place: None, shelf, is_whole: true })
                }
                (None, None) => None,
            }
        }
    };
    let mut fits = true;
    if let Some(Shown { fetched, .. }) = &shown {
        let manifest = &fetched.manifest;
        let blobs = || manifest.layers.iter().chain([&manifest.config]);
        fits = device::memory(manifest.layers.iter().map(|layer| layer.size).sum(), found);
        let is_fetched = matches!(settings.source, Some(Source::Registry(_)));
        if let (Some(stored), true) = (stored, is_fetched) {
            let missing = blobs().filter(|blob| !stored.has(&blob.digest));
            stored.space(missing.map(|blob| blob.size).sum(), found);
        }
    }
    edge::examine(settings.bundle.as_ref(), settings.persist.as_deref(), found);
    // Last, since models are loaded for it.
    if let (Some(shown), Some(source)) = (shown, &settings.source) {
        shown::signatures(&settings, source, &shown, found);
        shown::answers(&settings, source, shown, fits, found);
    }
}

fn settings_read(settings: &Partial) -> Finding {
    match settings.problems.as_slice() {
        [] => {
            let by = match (&settings.source, &settings.credentials, &settings.login_file) {
                (Some(Source::Layout { .. }) | None, _, _) => String::new(),
                (_, None, _) => ", anonymous".to_owned(),
                (_, Some(it), None) => format!(", as {:?}", it.username),
                (_, Some(it), Some(file)) => {
                    format!(", as {:?} by the login in {}", it.username, file.display())
                }
            };
            let source = settings.source.as_ref().map(ToString::to_string).unwrap_or_default();
            Finding::ok("settings", format!("all can be read; the pipeline is {source}{by}"))
        }
        problems => Finding::fail(
            "settings",
            problems.join("; "),
            "correct them: `potoroo-engine --help` lists every setting",
        ),
    }
}

/// A clock that is before this program; against others it is held where one answers.
fn clock(found: Found<'_>) {
    let now = DeviceClock.since_epoch();
    let text = crate::clock::rfc3339(now);
    found(if now < crate::clock::RELEASED {
        Finding::fail(
            "clock",
            format!("this device's clock says {text}, which is before this program was made"),
            "set the clock: no certificate and no token holds before that",
        )
    } else {
        Finding::ok("clock", format!("this device's clock says {text}"))
    });
}

/// The pipeline in an image layout, every blob read through.
fn layout(
    path: &std::path::Path,
    version: Option<&crate::oci::Version>,
    found: Found<'_>,
) -> Option<(Shelf, Fetched)> {
    let read = || {
        let shelf = Shelf::open(path)?;
        let fetched = shelf.manifest(version)?;
        for blob in fetched.manifest.layers.iter().chain([&fetched.manifest.config]) {
            let _proof = shelf.verify_blob(blob)?;
        }
        Ok::<_, crate::registry::Error>((shelf, fetched))
    };
    match read() {
        Ok((shelf, fetched)) => {
            let count = fetched.manifest.layers.len();
            let path = path.display();
            let sentence =
                format!("the layout {path} has it, whole and verified (layers: {count})");
            found(Finding::ok("pipeline", sentence));
            Some((shelf, fetched))
        }
        Err(error) => {
            found(Finding::fail("pipeline", crate::exit::chain(&error), error.hint()));
            None
        }
    }
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes.div_ceil(KIB)),
        MIB.. => format!("{} MiB", bytes.div_ceil(MIB)),
    }
}

/// The worst that a part of the examination can say of a number that should be large enough.
fn enough(have: u64, need: u64, lacking: Level) -> Level {
    if have < need { lacking } else { Level::Ok }
}

//! Publishes from record to registry: there, again the same, refused, tried again, picked up.

use super::*;
use crate::clock::DeviceClock;
use crate::oci::{Descriptor, Digest, Reference, media_type};
use crate::ops::Login;
use crate::ops::access::Guard;
use crate::ops::address::Address;
use crate::ops::distribution::{Admission, Repositories, Verdict};
use crate::ops::edges::Pullers;
use crate::ops::home::Home;
use crate::ops::logs::Logs;
use crate::ops::models::Models;
use crate::ops::settings::{External, LogsKept, Settings};
use crate::ops::store::{NewEdge, NewPipelineVersion, NewPublish, Store, User};
use crate::registry::{Layout, Secret};
use std::net::TcpListener;
use tempfile::TempDir;

const VERSION: &str = "3b49fba8-94d8-4fca-aecc-c75257fd16c6";

/// A center with one pipeline version, and the directory that it is in.
struct Stage {
    center: Arc<Center>,
    version_id: i64,
    workspace: i64,
    directory: TempDir,
}

fn settings(directory: &TempDir, registry: Option<&str>) -> Settings {
    let registry = registry.map(|host| External {
        host: host.parse().unwrap(),
        prefix: "team".to_owned(),
        login: Box::new(Login::default()),
    });
    Settings {
        data: directory.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        url: Some("https://ops.example.com".to_owned()),
        tls: None,
        plain_http: false,
        registry,
        engine_url: None,
        report_seconds: 60,
        signing: None,
        trusted_proxies: Vec::new(),
        logs: LogsKept { days: 1, bytes: 1 << 20, edge_bytes_per_s: 8 << 20 },
        admin: None,
    }
}

fn center(settings: Settings) -> Arc<Center> {
    let home = Home::open(&settings.data).unwrap();
    let store = Arc::new(Store::open(&home.records()).unwrap());
    let logs = Logs::open(&home.logs(), store.clone(), settings.logs).unwrap();
    let address = Address::of(&settings, settings.listen).unwrap();
    let repositories = Repositories::create(&home.blobs()).unwrap();
    let models = Models::open(&home, "no checker here".into()).unwrap();
    let (desk, clock) = (Desk::default(), Arc::new(DeviceClock));
    let guard = Guard::new().unwrap();
    let streams = Arc::default();
    Arc::new(Center {
        settings,
        home,
        store,
        logs,
        drift: Default::default(),
        guard,
        models,
        address,
        repositories,
        desk,
        streams,
        clock,
    })
}

impl Stage {
    fn new(registry: Option<&str>) -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let center = center(settings(&directory, registry));
        let model = b"a model's file";
        let sha = Digest::of(model);
        let layout = Layout::create(&center.home.blobs()).unwrap();
        let blob = Descriptor::of(media_type::MODEL_WEIGHT, model);
        layout.put_blob_from(&blob, &mut model.as_slice()).unwrap();
        let key = serde_json::json!({ "name": "m", "version": "v", "sha": sha.hex() });
        let config = serde_json::json!({
            "id": "fraud", "version": VERSION, "models": [key],
            "steps": [{"ModelInference": {"models": [key]}}],
        });
        let (workspace, version_id) = center
            .store
            .write(|tx| {
                let (id, email) = ("ann".to_owned(), "ann@example.com".to_owned());
                let (is_admin, is_enabled) = (false, true);
                tx.add_user(&User { id, email, is_admin, is_enabled, created_ms: 1 }, None)?;
                let workspace = tx.add_workspace("ann's", "ann", 1)?;
                let pipeline = tx.pipeline_named(workspace, "fraud", "ann", 1)?;
                let version = tx.add_pipeline_version(&NewPipelineVersion {
                    pipeline,
                    version: VERSION,
                    definition: "{}",
                    config: &config.to_string(),
                    by: "ann",
                    now_ms: 1,
                })?;
                Ok::<_, StoreError>((workspace, version))
            })
            .unwrap();
        Stage { center, version_id, workspace, directory }
    }

    fn ask(&self, replaces: &[i64]) -> i64 {
        let new = NewPublish {
            version_id: self.version_id,
            by: "ann",
            engine_config: ENGINE_CONFIG_DEFAULT,
            replaces,
            now_ms: 1,
        };
        self.center.store.write(|tx| tx.add_publish(&new)).unwrap()
    }

    fn publish(&self, id: i64) -> Publish {
        let found: Result<_, StoreError> = self.center.store.read(|tx| tx.publish(id));
        found.unwrap().unwrap()
    }

    /// One attempt at each publish that is due.
    fn work_off(&self) {
        loop {
            let next: Result<_, StoreError> = self.center.store.read(|tx| tx.next_publish());
            match next.unwrap() {
                Some(publish) if until_due(&publish, self.center.now_ms()).is_none() => {
                    attempt(&self.center, &publish).unwrap();
                }
                Some(_) | None => return,
            }
        }
    }

    fn edge(&self, name: &str, publish_id: i64) {
        let new = NewEdge {
            id: name,
            name,
            publish_id,
            tags: &[],
            cpus: 4.0,
            memory: "3Gi",
            by: "ann",
            now_ms: 2,
        };
        self.center.store.write(|tx| tx.add_edge(&new)).unwrap();
    }
}

#[test]
fn the_same_version_published_again_has_the_same_digests_in_the_built_in_registry() {
    let stage = Stage::new(None);
    let (first, second) = (stage.ask(&[]), stage.ask(&[]));
    stage.work_off();
    let [first, second] = [first, second].map(|id| stage.publish(id));
    assert_eq!((first.status, &first.error), (PublishStatus::Published, &None));
    let place = first.place.unwrap();
    assert_eq!(Some(&place), second.place.as_ref());
    let repository = format!("ops.example.com/workspace-{}", stage.workspace);
    assert_eq!(place.pipeline_url, format!("{repository}/pipelines/fraud:{VERSION}"));
    assert_eq!(place.chart, format!("{repository}/charts/fraud"));
    assert_eq!(place.chart_version, format!("0.0.1-{VERSION}"));
    assert!(place.chart_reference.starts_with(&format!("{repository}/charts@sha256:")));
    let reference: Reference = place.pipeline_url.parse().unwrap();
    let layout = stage.center.repositories.find(&reference.repository).unwrap().unwrap();
    let found = layout.manifest(&reference.version).unwrap();
    assert_eq!(found.digest.to_string(), place.digest);
    let _proof = layout.verify_blob(&found.manifest.layers[0]).unwrap();
}

#[test]
fn what_a_process_that_ended_was_at_is_picked_up() {
    let stage = Stage::new(None);
    let id = stage.ask(&[]);
    stage.center.store.write(|tx| tx.begin_publish(id, 1)).unwrap();
    let Stage { center: before, directory, .. } = stage;
    drop(before);
    let center = center(settings(&directory, None));
    let worker = Worker::start(Arc::clone(&center)).unwrap();
    let status = || {
        let found: Result<_, StoreError> = center.store.read(|tx| tx.publish(id));
        found.unwrap().unwrap().status
    };
    while status() != PublishStatus::Published {
        std::thread::yield_now();
    }
    assert!(worker.stop(Duration::from_secs(60)));
}

#[test]
fn a_publish_that_is_asked_for_while_the_worker_sleeps_is_worked_on_at_the_bell() {
    let stage = Stage::new(None);
    let worker = Worker::start(Arc::clone(&stage.center)).unwrap();
    let id = stage.ask(&[]);
    stage.center.desk.ring();
    while stage.publish(id).status != PublishStatus::Published {
        std::thread::yield_now();
    }
    assert!(worker.stop(Duration::from_secs(60)));
}

#[test]
fn a_registry_that_is_away_is_tried_again_later_and_given_up_at_last() {
    // A port that was ours a moment ago, and where nobody listens now.
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let stage = Stage::new(Some(&host));
    let id = stage.ask(&[]);
    stage.work_off();
    let waiting = stage.publish(id);
    assert_eq!((waiting.status, waiting.attempts), (PublishStatus::Pending, 1));
    let error = waiting.error.clone().unwrap();
    assert!(error.contains(&host) && error.contains("; next: "), "{error}");
    assert!(until_due(&waiting, stage.center.now_ms()).is_some());
    for _ in 1..RETRY.attempts_max {
        attempt(&stage.center, &stage.publish(id)).unwrap();
    }
    let given_up = stage.publish(id);
    assert_eq!((given_up.status, given_up.attempts), (PublishStatus::Error, 8));
}

#[test]
fn a_publish_waits_no_longer_than_a_registry_may_ask_when_the_clock_was_set_back() {
    let stage = Stage::new(None);
    let id = stage.ask(&[]);
    stage.center.store.write(|tx| tx.postpone_publish(id, "away", 5_000, 6_000)).unwrap();
    let publish = stage.publish(id);
    assert_eq!(until_due(&publish, 5_000), Some(Duration::from_secs(1)));
    assert_eq!(until_due(&publish, 6_000), None);
    assert_eq!(until_due(&publish, -86_400_000), None);
}

#[test]
fn a_model_whose_file_is_gone_is_told_with_what_to_do() {
    let stage = Stage::new(None);
    let layout = Layout::open(&stage.center.home.blobs()).unwrap();
    layout.discard_blob(&Digest::of(b"a model's file")).unwrap();
    let id = stage.ask(&[]);
    stage.work_off();
    let publish = stage.publish(id);
    let error = publish.error.unwrap();
    assert_eq!(publish.status, PublishStatus::Error);
    assert!(error.contains("`m`") && error.contains("upload"), "{error}");
}

#[test]
fn the_edges_of_a_replaced_publish_move_when_the_new_one_is_there() {
    let stage = Stage::new(None);
    let old = stage.ask(&[]);
    stage.work_off();
    stage.edge("a", old);
    stage.edge("b", old);
    stage.center.store.write(|tx| tx.remove_edge("b", 3)).unwrap();
    let new = stage.ask(&[old]);
    let edge = || {
        let found: Result<_, StoreError> = stage.center.store.read(|tx| tx.edge_by_name("a"));
        found.unwrap().unwrap()
    };
    assert_eq!(edge().publish_id, old);
    stage.work_off();
    assert_eq!((edge().publish_id, edge().came_from), (new, Some(old)));
}

#[test]
fn a_worker_that_is_to_stop_ends_a_push_and_leaves_it_for_the_next_start() {
    let stage = Stage::new(None);
    let id = stage.ask(&[]);
    stage.center.desk.stop();
    let watch = AtDesk(Arc::clone(&stage.center));
    assert!(watch.moved(1).is_err());
    let worker = Worker::start(Arc::clone(&stage.center)).unwrap();
    assert!(worker.stop(Duration::from_secs(60)));
    assert_eq!(stage.publish(id).status, PublishStatus::Pending);
}

#[test]
fn an_edge_pulls_its_own_pipeline_until_it_is_removed() {
    let stage = Stage::new(None);
    let id = stage.ask(&[]);
    stage.work_off();
    stage.edge("a", id);
    let password = Secret::new("ptp_secret".to_owned());
    let hash = crate::ops::access::hashed(password.reveal());
    stage.center.store.write(|tx| tx.add_pull_credential("edge-a", &hash, "a", 2)).unwrap();
    let pullers = Pullers(Arc::clone(&stage.center));
    let asked = |username: &str, password: &Secret, repository: &str| {
        pullers.admit(username, password, Some(&repository.parse().unwrap()))
    };
    let own = format!("workspace-{}/pipelines/fraud", stage.workspace);
    let chart = format!("workspace-{}/charts/fraud", stage.workspace);
    let other = format!("workspace-{}/pipelines/other", stage.workspace);
    let elsewhere = "workspace-99/pipelines/fraud";
    let wrong = Secret::new("ptp_wrong".to_owned());
    for (username, password, repository, verdict) in [
        ("edge-a", &password, own.as_str(), Verdict::Admitted),
        ("edge-a", &password, &chart, Verdict::Admitted),
        ("edge-a", &password, &other, Verdict::Denied),
        ("edge-a", &password, elsewhere, Verdict::Denied),
        ("edge-a", &wrong, &own, Verdict::Unknown),
        ("edge-b", &password, &own, Verdict::Unknown),
    ] {
        assert_eq!(asked(username, password, repository), verdict, "{username} {repository}");
    }
    stage.center.store.write(|tx| tx.remove_edge("a", 3)).unwrap();
    assert_eq!(asked("edge-a", &password, &own), Verdict::Unknown);
}

#[test]
fn a_disk_that_cannot_be_written_ends_the_publish_and_not_the_worker() {
    let stage = Stage::new(None);
    let id = stage.ask(&[]);
    // Something else lies where the repository should be.
    let blobs = stage.center.home.blobs();
    std::fs::remove_dir_all(blobs.join("repositories")).unwrap();
    std::fs::write(blobs.join("repositories"), "not a directory").unwrap();
    stage.work_off();
    assert_eq!(stage.publish(id).status, PublishStatus::Error);
}

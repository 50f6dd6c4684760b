//! Kills of the ops center while models come in and publishes go out: every byte that was acknowledged is there.

use crate::support::edge::Random;
use crate::support::fixture;
use crate::support::founded::{Center, Client};
use crate::support::publishing::{Author, Saved};
use potoroo::oci::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// Kills of an ordinary run; `POTOROO_KILLS` asks for more.
const KILLS: u64 = 50;

/// A kill strikes so long after the writers began at the latest: some uploads and publishes take as long.
const LONGEST_MS: u64 = 250;

/// Bytes that each file has beside the model's: several parts' worth.
const PADDING: usize = 200_000;

/// The parts that a file is sent in.
const PARTS: usize = 4;

/// What was answered.
#[derive(Default)]
struct Ledger {
    /// Model versions, by number, with the digest of what was sent.
    versions: BTreeMap<i64, String>,
    /// Uploads that were begun and not finished: what is sent, and how much of it was acknowledged.
    parts: BTreeMap<String, (Vec<u8>, usize)>,
    /// Publishes.
    publishes: Vec<i64>,
}

/// A model that loads and that nobody has sent before: a field that readers skip is at its end.
fn model(random: &mut Random) -> Vec<u8> {
    let mut bytes = std::fs::read(fixture("models/fraud.onnx")).unwrap();
    bytes.extend([0xfa, 0x7f]); // field 2047, of a length
    let mut length = PADDING;
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend((0..PADDING).map(|_| random.below(256) as u8));
    bytes
}

fn hex(bytes: &[u8]) -> String {
    Digest::of(bytes).hex()
}

/// The answer in JSON, or nothing where the center was killed meanwhile.
fn sent(client: &Client, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<Value> {
    let reply = client.try_send(method, &format!("/v1/api/{path}"), kind, body).ok()?;
    assert!(reply.status < 300, "{method} {path}: {} {}", reply.status, reply.text());
    Some(reply.json())
}

fn posted(client: &Client, path: &str, body: &Value) -> Option<Value> {
    sent(client, "POST", path, "application/json", body.to_string().as_bytes())
}

fn version_of(answer: &Value) -> i64 {
    answer["insert_models"]["returning"][0]["models"][0]["id"].as_i64().unwrap()
}

/// Sends whole files until the center does not answer.
fn send_whole(author: &Author, random: &mut Random, ledger: &Mutex<Ledger>) -> Option<()> {
    loop {
        let bytes = model(random);
        let path = format!(
            "models/upload_stream?filename=m.onnx&name=whole&workspace_id={}",
            author.workspace
        );
        let answer = sent(&author.client, "POST", &path, "application/octet-stream", &bytes)?;
        ledger.lock().unwrap().versions.insert(version_of(&answer), hex(&bytes));
    }
}

/// Sends files in parts until the center does not answer.
fn send_parts(author: &Author, random: &mut Random, ledger: &Mutex<Ledger>) -> Option<()> {
    loop {
        let bytes = model(random);
        let order = json!({
            "workspace_id": author.workspace, "name": "parts", "size_bytes": bytes.len(),
        });
        let id = posted(&author.client, "uploads", &order)?["id"].as_str().unwrap().to_owned();
        ledger.lock().unwrap().parts.insert(id.clone(), (bytes, 0));
        go_on(author, &id, ledger)?;
    }
}

/// Sends what is missing of an upload, and finishes it.
fn go_on(author: &Author, id: &str, ledger: &Mutex<Ledger>) -> Option<()> {
    let (bytes, mut from) = ledger.lock().unwrap().parts[id].clone();
    while from < bytes.len() {
        let to = (from + bytes.len() / PARTS).min(bytes.len());
        let range = format!("bytes {from}-{}/{}", to - 1, bytes.len());
        let client = author.client.clone().with("Content-Range", &range);
        let kind = "application/octet-stream";
        let answer = sent(&client, "PUT", &format!("uploads/{id}"), kind, &bytes[from..to])?;
        from = answer["received_bytes"].as_u64().unwrap() as usize;
        assert_eq!(from, to);
        ledger.lock().unwrap().parts.get_mut(id).unwrap().1 = from;
    }
    let finish = json!({ "sha256": hex(&bytes) });
    let answer = posted(&author.client, &format!("uploads/{id}/finish"), &finish)?;
    let mut ledger = ledger.lock().unwrap();
    ledger.parts.remove(id);
    ledger.versions.insert(version_of(&answer), hex(&bytes));
    Some(())
}

/// Asks for publishes until the center does not answer.
fn publish(author: &Author, saved: &Saved, ledger: &Mutex<Ledger>) -> Option<()> {
    loop {
        let order = json!({ "pipeline_version_id": saved.id });
        let asked = posted(&author.client, "pipelines/publish", &order)?;
        let id = asked["id"].as_i64().unwrap();
        ledger.lock().unwrap().publishes.push(id);
        loop {
            let status =
                posted(&author.client, "pipelines/get_publish_status", &json!({ "id": id }))?;
            if status["status"] == "Published" {
                break;
            }
        }
    }
}

/// Holds what a center says of an upload that was cut against what it had acknowledged.
fn look_at(author: &Author, id: &str, ledger: &Mutex<Ledger>) {
    let state = author.client.get(&format!("/v1/api/uploads/{id}")).ok();
    let mut ledger = ledger.lock().unwrap();
    let (bytes, acknowledged) = ledger.parts.get_mut(id).unwrap();
    let received = state["received_bytes"].as_u64().unwrap() as usize;
    // A part whose answer was lost may be there as well.
    assert!((*acknowledged..=bytes.len()).contains(&received), "{state}, not {acknowledged}");
    *acknowledged = received;
}

/// The blob of each model version has the bytes that were sent.
fn blobs_are_whole(author: &Author, data: &Path, versions: &BTreeMap<i64, String>) {
    for (id, sha) in versions {
        let version = author.post("models/get_version", &json!({ "id": id })).ok();
        assert_eq!(&version["sha"], sha, "{version}");
        let blob = data.join("blobs/blobs/sha256").join(sha);
        let bytes = std::fs::read(&blob).unwrap_or_else(|error| panic!("{blob:?}: {error}"));
        assert_eq!(&hex(&bytes), sha);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn what_was_acknowledged_of_uploads_and_publishes_is_there_after_any_kill() {
    let mut center = Center::start();
    let author = Author::of(&center);
    let saved = author.save("fraud", "fraud.onnx");
    let ledger = Mutex::new(Ledger::default());
    let kills = std::env::var("POTOROO_KILLS").ok().and_then(|kills| kills.parse().ok());
    let mut random = Random::new(11);
    let mut went_on = 0;
    for kill in 0..kills.unwrap_or(KILLS) {
        let author = Author::of(&center);
        let cut: Vec<String> = ledger.lock().unwrap().parts.keys().cloned().collect();
        std::thread::scope(|scope| {
            let (author, ledger, saved) = (&author, &ledger, &saved);
            scope.spawn(move || send_whole(author, &mut Random::new(1_000 + kill), ledger));
            scope.spawn(move || send_parts(author, &mut Random::new(2_000 + kill), ledger));
            scope.spawn(move || publish(author, saved, ledger));
            std::thread::sleep(Duration::from_millis(random.below(LONGEST_MS)));
            center.process.signal("KILL");
        });
        center = center.started_again();
        let author = Author::of(&center);
        let now: Vec<String> = ledger.lock().unwrap().parts.keys().cloned().collect();
        for id in &now {
            look_at(&author, id, &ledger);
        }
        // One that lived through this kill, too, goes on to its end.
        if let Some(id) = cut.first().filter(|id| now.contains(id)) {
            go_on(&author, id, &ledger).unwrap();
            went_on += 1;
        }
    }
    let author = Author::of(&center);
    let Ledger { versions, publishes, parts } = ledger.into_inner().unwrap();
    blobs_are_whole(&author, &center.data, &versions);
    for id in &publishes {
        let publish = author.ended(*id);
        assert_eq!(publish["status"], "Published", "{publish}");
    }
    println!(
        "{} model versions and {} publishes, none lost; {went_on} cut uploads went on, {} are still open",
        versions.len(),
        publishes.len(),
        parts.len()
    );
}

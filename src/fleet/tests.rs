//! Messages are on the wire as the golden files have them, to the byte, and are read back.

use super::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

const SESSION: &str = "0190a5b2-c3d4-4e5f-8a7b-00112233aabb";
const INSTANCE: &str = "11111111-2222-4333-8444-555555555555";
const BOOT: &str = "6a9b1c2d-0000-4000-8000-00000000b007";

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn device() -> Device {
    Device { fingerprint: Some("1f".repeat(32)), host: Some("press-4".to_owned()) }
}

fn engine() -> EngineFacts {
    let text = str::to_owned;
    EngineFacts { version: text("0.1.0"), arch: text("aarch64"), os: text("linux") }
}

fn facts() -> SessionFacts {
    SessionFacts { serial: 7, expires_ms: 1_764_950_400_000, time_ms: 1_764_345_600_000 }
}

fn contact() -> Contact {
    Contact {
        session: Some(id(SESSION)),
        serial: 7,
        instance: id(INSTANCE),
        boot: id(BOOT),
        monotonic_ms: 61_250,
        time_ms: 86_400_123,
    }
}

/// Compares with the golden file and reads that back; `POTOROO_GOLDEN=write` writes it anew.
fn golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, message: &T) {
    let text = serde_json::to_string_pretty(message).unwrap() + "\n";
    let expected = golden_text(name, &text);
    assert_eq!(text, expected, "{name}");
    assert_eq!(&serde_json::from_str::<T>(&expected).unwrap(), message, "{name}");
}

fn golden_text(name: &str, text: &str) -> String {
    let path = format!("{}/tests/golden/fleet/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("POTOROO_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(&path, text).unwrap();
    }
    std::fs::read_to_string(&path).unwrap()
}

#[test]
fn messages_are_as_the_golden_files_have_them() {
    let join = JoinRequest {
        token: "3148ada5-285a-4fca-b3b8-b50a48d7511b".to_owned(),
        edge: "press-4".to_owned(),
        public_key: PublicKey([7; 32]),
        device: device(),
        engine: engine(),
    };
    golden("join.json", &join);
    let joined = Joined { edge: "press-4".to_owned(), session: id(SESSION), facts: facts() };
    golden("joined.json", &joined);
    let report = Report {
        device: device(),
        engine: engine(),
        uptime_s: 3600,
        running: Some(Running {
            pipeline_url: "ops.example:9090/pipelines/fraud:3b49fba8-94d8-4fca-aecc-c75257fd16c6"
                .to_owned(),
            pipeline: "fraud".to_owned(),
            version: "3b49fba8-94d8-4fca-aecc-c75257fd16c6".to_owned(),
            digest: format!("sha256:{}", "ab".repeat(32)),
        }),
        counters: Counters { inferences: 12_000, failures: 3, refused: 5 },
        journal: Some(JournalState {
            journal: id("22222222-2222-4333-8444-555555555555"),
            waiting_records: 40,
            waiting_bytes: 81_920,
            lost: 2,
            oldest_ms: Some(1_764_345_000_000),
        }),
        disk: Some(Amount { free_bytes: 8 << 30, total_bytes: None }),
        memory: Some(Amount { free_bytes: 512 << 20, total_bytes: Some(1 << 30) }),
        temperature_c: Some(51.5),
        assignment: Some(AssignmentReport {
            id: "17".to_owned(),
            state: AssignmentState::Reverted,
            reason: Some("9 of the first 100 requests failed".to_owned()),
        }),
        leaving: false,
    };
    golden("report.json", &report);
    // An engine of before told all that it did not answer as failures.
    let before = serde_json::to_string(&report).unwrap().replace(",\"refused\":5", "");
    let Report { counters, .. } = serde_json::from_str(&before).unwrap();
    assert_eq!(counters, Counters { inferences: 12_000, failures: 3, refused: 0 });
    let watch = Watch {
        requests: 100,
        seconds_max: 600,
        failed_share_max: 0.05,
        nan_share_max: 0.01,
        check_share_max: None,
    };
    let wanted = Assignment {
        id: "18".to_owned(),
        pipeline_url: "ops.example:9090/pipelines/fraud:bf70eaf7-8c11-4b46-b751-916a43b1a555"
            .to_owned(),
        publish_id: 12,
        replaces: Some(11),
        watch,
    };
    golden(
        "report_answer.json",
        &ReportAnswer { facts: facts(), wanted: Some(wanted), interval_s: 60 },
    );
    golden("logs_answer.json", &LogsAnswer { journal: id(INSTANCE), next: 4001 });
}

#[test]
fn what_is_signed_is_as_the_golden_file_has_it() {
    let signed = contact().message("POST", REPORT_PATH, b"{}");
    assert_eq!(signed, golden_text("signed.txt", &signed));
    let unjoined = Contact { session: None, serial: 0, ..contact() };
    assert!(unjoined.message("POST", JOIN_PATH, b"").contains("\n-\n0\n"));
}

#[test]
fn every_refusal_has_a_sentence_with_a_next_step() {
    let mut table = String::new();
    let mut sentences = BTreeSet::new();
    for code in Code::all() {
        assert_eq!(Code::of_name(code.name()), Some(code));
        assert!(sentences.insert(code.sentence()), "{code:?}");
        assert!(code.sentence().contains(": "), "{code:?} names no next step");
        table.push_str(&format!("{} {}\n  {}\n", code.status(), code.name(), code.sentence()));
    }
    assert_eq!(table, golden_text("refusals.txt", &table));
    golden("refusal.json", &Refusal::new(Code::TokenUsed, 1_764_345_600_000));
}

#[test]
fn headers_are_read_as_they_are_written_and_in_one_form_only() {
    let mut headers: Vec<(&'static str, String)> = contact().headers().into();
    headers.push((header::SIGNATURE, Signature([9; 64]).to_string()));
    let read = |headers: &[(&'static str, String)]| {
        Contact::read(|name| {
            headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        })
    };
    assert_eq!(read(&headers).unwrap(), (contact(), Signature([9; 64])));
    for at in 0..headers.len() {
        let mut less = headers.clone();
        let (name, _) = less.remove(at);
        assert_eq!(read(&less).unwrap_err(), ContactError::Missing(name));
    }
    for wrong in ["+7", "07", "-1", "", "99999999999999999999"] {
        let mut other = headers.clone();
        other[1].1 = wrong.to_owned();
        assert!(matches!(read(&other), Err(ContactError::Malformed { .. })), "{wrong}");
    }
}

#[test]
fn a_reader_ignores_what_a_later_version_adds_and_a_join_request_shows_no_token() {
    let text = r#"{"serial":1,"expires_ms":2,"time_ms":3,"interval_s":60,"new":{"a":1}}"#;
    let answer: ReportAnswer = serde_json::from_str(text).unwrap();
    assert_eq!(answer.wanted, None);
    let request = std::fs::read_to_string("tests/golden/fleet/join.json").unwrap();
    let request: JoinRequest = serde_json::from_str(&request).unwrap();
    assert!(!format!("{request:?}").contains("3148ada5"));
}

#[test]
fn a_state_of_an_assignment_has_the_name_that_it_has_in_json() {
    for name in
        ["received", "fetching", "proving", "switched", "watching", "settled", "failed", "reverted"]
    {
        let state = AssignmentState::of_name(name).unwrap();
        assert_eq!(serde_json::to_value(state).unwrap(), name);
        assert_eq!(state.name(), name);
    }
    assert_eq!(AssignmentState::of_name("done"), None);
}

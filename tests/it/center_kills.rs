//! Power cuts of the ops center: killed at any moment, what it had answered is there at the next start.

use crate::support::edge::Random;
use crate::support::founded::{Center, Client};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

/// Kills of an ordinary run; `POTOROO_KILLS` asks for more.
const KILLS: u64 = 100;

/// Who writes at once.
const WRITERS: u64 = 3;

/// What was answered, and what was asked and may have been done.
#[derive(Default)]
struct Ledger {
    /// Workspaces that were made, by name, with their numbers.
    workspaces: BTreeSet<(String, i64)>,
    /// Tokens that were made and not taken back, by name and text.
    tokens: BTreeSet<(String, String)>,
    /// Numbers of tokens that were taken back, with their texts.
    revoked: BTreeSet<String>,
    /// Names that were asked for.
    asked: BTreeSet<String>,
}

/// Makes workspaces and tokens, and takes some of these back, until an answer does not come.
fn write(client: &Client, writer: u64, round: u64, ledger: &Mutex<Ledger>) {
    let post = |path: &str, body: &Value| -> Option<Value> {
        let body = body.to_string();
        let reply = client.try_send("POST", path, "application/json", body.as_bytes()).ok()?;
        Some(reply.ok())
    };
    for nth in 0.. {
        let name = format!("r{round}-{writer}-{nth}");
        ledger.lock().unwrap().asked.insert(name.clone());
        let Some(made) = post("/v1/api/workspaces/create", &json!({ "workspace_name": name }))
        else {
            return;
        };
        let id = made["workspace_id"].as_i64().unwrap();
        ledger.lock().unwrap().workspaces.insert((name.clone(), id));
        if nth % 4 != 0 {
            continue;
        }
        let Some(made) = post("/v1/api/tokens/create", &json!({ "name": name })) else { return };
        let text = made["token"].as_str().unwrap().to_owned();
        if nth % 8 == 0 {
            ledger.lock().unwrap().tokens.insert((name, text));
            continue;
        }
        match post("/v1/api/tokens/revoke", &json!({ "id": made["id"] })) {
            Some(_) => ledger.lock().unwrap().revoked.insert(text),
            // Taken back or not: nobody was told.
            None => return,
        };
    }
}

/// Each round writes from several clients at once, and kills the center at a moment that a seeded
/// number tells. The next start must open the records as they are, with all that was answered and
/// nothing that was not asked.
#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn what_was_answered_is_there_after_a_kill_at_any_moment() {
    let kills = std::env::var("POTOROO_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut center = Center::start();
    let mut random = Random::new(6);
    let ledger = Mutex::new(Ledger::default());
    for round in 0..kills {
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (client, ledger) = (center.client(), &ledger);
                scope.spawn(move || write(&client, writer, round, ledger));
            }
            std::thread::sleep(Duration::from_millis(random.below(60)));
            center.process.signal("KILL");
        });
        center = center.started_again();
        let known = ledger.lock().unwrap();
        let list = center.post("/v1/api/workspaces/list", &json!({})).ok();
        let found: BTreeSet<(String, i64)> = list["workspaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap().to_owned(), one["id"].as_i64().unwrap()))
            .collect();
        let lost: Vec<_> = known.workspaces.difference(&found).collect();
        assert!(lost.is_empty(), "kill {round}: {lost:?} are lost");
        let mut unasked = found.iter().filter(|(name, _)| !known.asked.contains(name));
        assert_eq!(unasked.next().map(|(name, _)| name.as_str()), Some("default"));
        assert_eq!(unasked.next(), None, "kill {round}");
        // Of this round's tokens, each that was answered; of all, some.
        let holds =
            |text: &String| Client::new(&center.address, Some(text)).get("/v1/api/users/me").status;
        let this = format!("r{round}-");
        for (name, text) in known.tokens.iter().filter(|(name, _)| name.starts_with(&this)) {
            assert_eq!(holds(text), 200, "kill {round}: the token {name} is lost");
        }
        let some =
            known.revoked.iter().nth(random.below(known.revoked.len().max(1) as u64) as usize);
        if let Some(text) = some {
            assert_eq!(holds(text), 401, "kill {round}: a token holds again");
        }
    }
    let Ledger { workspaces, tokens, revoked, .. } = ledger.into_inner().unwrap();
    // Each change has its line in the audit: they are one transaction.
    let mut noted = 0;
    let mut before = i64::MAX;
    loop {
        let path = format!("/v1/api/audit?action=workspace.create&limit=1000&before={before}");
        let page = center.get(&path).ok();
        noted += page["entries"].as_array().unwrap().len();
        let Some(next) = page["next"].as_i64() else { break };
        before = next;
    }
    let list = center.post("/v1/api/workspaces/list", &json!({})).ok();
    assert_eq!(noted, list["workspaces"].as_array().unwrap().len() - 1);
    println!(
        "{kills} kills; answered and there: {} workspaces, {} tokens, {} taken back",
        workspaces.len(),
        tokens.len(),
        revoked.len()
    );
}

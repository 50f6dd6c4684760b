//! Rollouts over real records: waves, limits, edges that are silent, and ways back.

use super::*;
use crate::fleet::{Assignment, AssignmentReport, AssignmentState, Watch};
use crate::ops::store::{
    EdgesAsked, NewAssignment, NewEdge, NewPipelineVersion, NewPublish, NewRollout, PublishPlace,
    RolloutState, Store, StoreError, Tx, User,
};
use tempfile::TempDir;

/// How long a wave waits here, milliseconds.
const WAVE_MS: i64 = 60_000;

/// Records of edges `e1`, `e2`, … that run the publish `old`, and a publish `new`.
struct Stage {
    store: Store,
    old: i64,
    new: i64,
    workspace: i64,
    _home: TempDir,
}

impl Stage {
    fn with(edges: usize) -> Stage {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("records.db")).unwrap();
        let (old, new, workspace) = store
            .write(|tx| {
                let (id, email) = ("ann".to_owned(), "ann@example.com".to_owned());
                let (is_admin, is_enabled) = (false, true);
                tx.add_user(&User { id, email, is_admin, is_enabled, created_ms: 1 }, None)?;
                let workspace = tx.add_workspace("ann's", "ann", 1)?;
                let (old, new) = (publish(tx, workspace, "a")?, publish(tx, workspace, "b")?);
                for edge in 1..=edges {
                    tx.add_edge(&NewEdge {
                        id: &format!("id-{edge}"),
                        name: &format!("e{edge}"),
                        publish_id: old,
                        tags: &[],
                        cpus: 1.0,
                        memory: "1Gi",
                        by: "ann",
                        now_ms: 1,
                    })?;
                }
                Ok::<_, StoreError>((old, new, workspace))
            })
            .unwrap();
        Stage { store, old, new, workspace, _home: home }
    }

    fn tx<T>(&self, change: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
        self.store.write(change).unwrap()
    }

    /// A rollout of `new` to all edges in waves of these sizes.
    fn start(&self, sizes: &[Amount], failures_max: i64) -> i64 {
        self.tx(|tx| {
            let edges = tx.edges(&EdgesAsked { count_max: 100, ..EdgesAsked::default() })?;
            let plan = Plan::of(sizes, edges.len());
            let id = tx.add_rollout(&NewRollout {
                workspace: self.workspace,
                publish: self.new,
                waves: plan.waves() as i64,
                wave_ms_max: WAVE_MS,
                failures_max,
                sends_back: true,
                watch: Watch::DEFAULT,
                by: "ann",
                now_ms: 10,
            })?;
            for (edge, wave) in edges.iter().zip(plan.places()) {
                tx.add_rollout_edge(id, &edge.id, wave)?;
            }
            advance(tx, id, 10)?;
            Ok(id)
        })
    }

    /// The edge of that number reports, with nothing to say of an assignment.
    fn hears(&self, edge: usize, now_ms: i64) -> Option<Assignment> {
        self.tx(|tx| contact(tx, &format!("id-{edge}"), None, now_ms))
    }

    /// The edge of that number says how the assignment that it was told of went.
    fn says(&self, edge: usize, state: AssignmentState, now_ms: i64) -> Option<Assignment> {
        let id = self.hears(edge, now_ms).expect("nothing is wanted").id;
        let reason = (state != AssignmentState::Settled).then(|| "it does not load".to_owned());
        let said = AssignmentReport { id, state, reason };
        self.tx(|tx| contact(tx, &format!("id-{edge}"), Some(&said), now_ms))
    }

    fn rollout(&self, id: i64) -> (RolloutState, i64, Option<String>) {
        let rollout = self.tx(|tx| tx.rollout(id)).unwrap();
        (rollout.state, rollout.wave, rollout.reason)
    }

    /// How each edge fares, in the order of their names.
    fn standings(&self, id: i64) -> Vec<String> {
        let mut edges = self.tx(|tx| tx.rollout_edges(id));
        edges.sort_by(|one, other| one.name.cmp(&other.name));
        edges.iter().map(|edge| standing(edge).to_owned()).collect()
    }

    /// The publishes that the edges are to run, in the order of their names.
    fn publishes(&self) -> Vec<i64> {
        let edges = self.tx(|tx| tx.edges(&EdgesAsked { count_max: 100, ..EdgesAsked::default() }));
        edges.iter().map(|edge| edge.publish_id).collect()
    }
}

fn publish(tx: &Tx<'_>, workspace: i64, name: &str) -> Result<i64, StoreError> {
    let pipeline = tx.pipeline_named(workspace, "fraud", "ann", 1)?;
    let version_id = tx.add_pipeline_version(&NewPipelineVersion {
        pipeline,
        version: name,
        definition: "{}",
        config: "{}",
        by: "ann",
        now_ms: 1,
    })?;
    let id = tx.add_publish(&NewPublish {
        version_id,
        by: "ann",
        engine_config: "{}",
        replaces: &[],
        now_ms: 1,
    })?;
    tx.finish_publish(id, &place(name), 1, 1)?;
    Ok(id)
}

fn place(name: &str) -> PublishPlace {
    let text = str::to_owned;
    PublishPlace {
        pipeline_url: format!("ops.example/pipelines/fraud:{name}"),
        engine_url: text("engine"),
        chart_reference: text("chart"),
        chart: text("chart"),
        chart_version: text("1"),
        digest: text("sha256:0"),
    }
}

const SETTLED: AssignmentState = AssignmentState::Settled;
const FAILED: AssignmentState = AssignmentState::Failed;
const REVERTED: AssignmentState = AssignmentState::Reverted;

#[test]
fn a_wave_begins_when_the_one_before_has_settled() {
    let stage = Stage::with(4);
    let id = stage.start(&[Amount::Count(1), Amount::Count(1)], 0);
    let wanted = stage.hears(1, 11).unwrap();
    assert_eq!(wanted.pipeline_url, "ops.example/pipelines/fraud:b");
    assert_eq!((wanted.publish_id, wanted.replaces), (stage.new, Some(stage.old)));
    assert_eq!(stage.hears(2, 11), None, "its wave has not begun");
    stage.says(1, AssignmentState::Watching, 12);
    assert_eq!(stage.hears(2, 13), None, "the first is still watched");
    assert_eq!(stage.says(1, SETTLED, 14), None);
    stage.says(2, SETTLED, 15);
    assert_eq!(stage.standings(id), ["settled", "settled", "assigned", "assigned"]);
    stage.says(4, SETTLED, 16);
    assert_eq!(stage.rollout(id).0, RolloutState::Running);
    stage.says(3, SETTLED, 17);
    assert_eq!(stage.rollout(id), (RolloutState::Done, 3, None));
    assert_eq!(stage.publishes(), [stage.new; 4]);
}

#[test]
fn one_failure_too_many_halts_and_sends_all_back() {
    let stage = Stage::with(5);
    let id = stage.start(&[Amount::Count(1), Amount::Count(3)], 1);
    stage.says(1, SETTLED, 11);
    stage.says(2, FAILED, 12);
    assert_eq!(stage.rollout(id).0, RolloutState::Running, "one may fail");
    assert_eq!(stage.publishes(), [stage.new, stage.old, stage.new, stage.new, stage.old]);
    stage.says(3, REVERTED, 13);
    let (state, wave, reason) = stage.rollout(id);
    assert_eq!((state, wave), (RolloutState::Halted, 2));
    let expected = "2 edges failed, and 1 may: the first is `e2`, it does not load";
    assert_eq!(reason.as_deref(), Some(expected));
    // The one that settled and the one under way go back, the one of the last wave never went.
    assert_eq!(stage.standings(id), ["going_back", "failed", "reverted", "going_back", "waiting"]);
    assert_eq!(stage.publishes(), [stage.old; 5]);
    for edge in [1, 4] {
        let wanted = stage.hears(edge, 14).unwrap();
        assert_eq!((wanted.publish_id, wanted.watch), (stage.old, Watch::NONE));
        stage.says(edge, SETTLED, 15);
    }
    assert_eq!(stage.standings(id), ["sent_back", "failed", "reverted", "sent_back", "waiting"]);
    assert_eq!(stage.hears(5, 16), None);
}

#[test]
fn an_edge_that_is_not_heard_of_is_late_and_gets_it_when_it_comes() {
    let stage = Stage::with(3);
    let id = stage.start(&[Amount::Count(2)], 0);
    stage.says(1, SETTLED, 11);
    assert_eq!(stage.hears(3, 10 + WAVE_MS - 1), None);
    let wanted = stage.hears(3, 10 + WAVE_MS).unwrap();
    assert_eq!(wanted.publish_id, stage.new);
    stage.says(3, SETTLED, 20 + WAVE_MS);
    assert_eq!(stage.rollout(id).0, RolloutState::Done);
    assert_eq!(stage.hears(2, 10 * WAVE_MS).unwrap().publish_id, stage.new);
    stage.says(2, SETTLED, 10 * WAVE_MS);
    assert_eq!(stage.standings(id), ["settled"; 3]);
}

#[test]
fn a_paused_rollout_begins_no_wave_and_goes_on_when_it_is_resumed() {
    let stage = Stage::with(2);
    let id = stage.start(&[Amount::Count(1)], 0);
    stage.tx(|tx| tx.set_rollout_state(id, RolloutState::Paused, None, 11));
    stage.says(1, SETTLED, 12);
    assert_eq!(stage.hears(2, 10 * WAVE_MS), None);
    stage.tx(|tx| {
        tx.set_rollout_state(id, RolloutState::Running, None, 13)?;
        advance(tx, id, 13)
    });
    assert!(stage.hears(2, 14).is_some());
}

#[test]
fn an_abort_leaves_those_that_have_settled_where_that_is_wanted() {
    let stage = Stage::with(2);
    let id = stage.start(&[Amount::Count(2)], 0);
    stage.says(1, SETTLED, 11);
    stage.tx(|tx| {
        let rollout = tx.rollout(id)?.unwrap();
        end(tx, &rollout, RolloutState::Aborted, "enough", false, Some("ann"), 12)
    });
    assert_eq!(stage.standings(id), ["settled", "going_back"]);
    assert_eq!(stage.publishes(), [stage.new, stage.old]);
}

#[test]
fn an_edge_that_is_removed_is_not_waited_for() {
    let stage = Stage::with(3);
    let id = stage.start(&[Amount::Count(1), Amount::Count(1)], 0);
    stage.tx(|tx| {
        tx.remove_edge("id-1", 11)?;
        tx.remove_edge("id-2", 11)?;
        advance(tx, id, 12)
    });
    assert_eq!(stage.standings(id), ["removed", "removed", "assigned"]);
}

#[test]
fn what_an_edge_says_of_what_has_ended_or_is_anothers_changes_nothing() {
    let stage = Stage::with(2);
    let id = stage.start(&[Amount::Count(2)], 1);
    let wanted = stage.hears(1, 11).unwrap();
    stage.says(1, SETTLED, 12);
    for (edge, state) in [("id-1", FAILED), ("id-2", FAILED)] {
        let said = AssignmentReport { id: wanted.id.clone(), state, reason: None };
        stage.tx(|tx| contact(tx, edge, Some(&said), 13));
    }
    assert_eq!(stage.standings(id), ["settled", "assigned"]);
}

#[test]
fn a_publish_that_replaces_another_is_assigned_to_its_edges() {
    let stage = Stage::with(2);
    let third = stage.tx(|tx| {
        let version_id = tx.publish(stage.old)?.unwrap().version_id;
        let id = tx.add_publish(&NewPublish {
            version_id,
            by: "ann",
            engine_config: "{}",
            replaces: &[stage.old],
            now_ms: 20,
        })?;
        assert_eq!(tx.finish_publish(id, &place("c"), 1, 21)?, 2);
        Ok(id)
    });
    let wanted = stage.hears(1, 22).unwrap();
    assert_eq!((wanted.publish_id, wanted.replaces), (third, Some(stage.old)));
    stage.says(1, REVERTED, 23);
    assert_eq!(stage.publishes(), [stage.old, third]);
    assert_eq!(stage.hears(1, 24), None, "it is not told again of what it took back");
}

#[test]
fn the_newest_assignment_counts_and_its_id_is_a_uuid() {
    let stage = Stage::with(1);
    let assign = |publish| {
        let (edge, rollout, watch, by, now_ms) = ("id-1", None, Watch::DEFAULT, "ann", 30);
        stage.tx(|tx| tx.assign(&NewAssignment { edge, publish, rollout, watch, by, now_ms }))
    };
    let first = assign(stage.new);
    let second = assign(stage.old);
    assert!(second.parse::<crate::fleet::Id>().is_ok(), "{second}");
    assert_eq!(second.as_bytes()[14], b'4');
    assert_eq!(stage.hears(1, 31).unwrap().id, second);
    let history = stage.tx(|tx| tx.assignments_of("id-1", 10));
    let states: Vec<_> = history.iter().map(|it| (it.id.as_str(), it.state.as_str())).collect();
    assert_eq!(states, [(second.as_str(), "assigned"), (first.as_str(), "replaced")]);
}

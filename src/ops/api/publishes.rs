//! Publishes: asked for, looked after, and listed.

use super::edges::EdgeView;
use super::listed::Listed;
use super::moment::Moment;
use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::edges;
use crate::ops::publishes::{ENGINE_CONFIG_BYTES_MAX, ENGINE_CONFIG_DEFAULT, Needs, Progress};
use crate::ops::store::{
    EdgesAsked, NewPublish, Publish, PublishStatus, PublishesAsked, StoreError, Tx,
};
use crate::registry::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/api/pipelines/publish",
        need: Need::SignedIn,
        answer: publish,
    },
    Route {
        method: "POST",
        path: "/v1/api/pipelines/get_publish_status",
        need: Need::SignedIn,
        answer: status,
    },
    Route {
        method: "POST",
        path: "/v1/api/pipelines/list_publishes_for_pipeline",
        need: Need::SignedIn,
        answer: list,
    },
    Route {
        method: "POST",
        path: "/v1/api/pipelines/list_publishes",
        need: Need::SignedIn,
        answer: list,
    },
];

/// Publishes that wait to be pushed; one takes seconds to minutes, so these are hours of work.
const UNFINISHED_MAX: i64 = 1_000;

/// Publishes that one may replace: all those of a pipeline in years.
const REPLACES_MAX: usize = 1_000;

/// Publishes in one answer, and edges beside them: some 10 MB of JSON.
const LISTED_MAX: i64 = 10_000;

/// A publish in the original's JSON and order of keys, and what is ours after it.
#[derive(Debug, Serialize)]
pub(super) struct PublishView<'a> {
    id: i64,
    pipeline_version_id: i64,
    pipeline_version_name: &'a str,
    status: &'static str,
    created_at: Moment,
    updated_at: Moment,
    created_by: &'a str,
    pipeline_url: Option<&'a str>,
    engine_url: Option<&'a str>,
    helm: Option<HelmView<'a>>,
    engine_config: &'a RawValue,
    error: Option<&'a str>,
    user_images: [(); 0],
    docker_run_variables: BTreeMap<&'static str, &'a str>,
    pipeline_name: &'a str,
    workspace_id: i64,
    workspace_name: &'a str,
    replaces: Vec<ReplacedView>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    edge_bundles: BTreeMap<String, String>,
    created_on_version: &'static str,
    digest: Option<&'a str>,
    bytes_done: i64,
    bytes_total: i64,
    attempts: i64,
    last_error: Option<&'a str>,
    /// What the edge that was just added pulls with; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_credentials: Option<CredentialsView<'a>>,
}

#[derive(Debug, Serialize)]
struct HelmView<'a> {
    reference: &'a str,
    chart: &'a str,
    version: &'a str,
    values: BTreeMap<&'static str, &'a str>,
}

#[derive(Debug, Clone, Serialize)]
struct ReplacedView {
    id: i64,
    pipeline_name: String,
    pipeline_version_name: String,
}

#[derive(Debug, Serialize)]
struct CredentialsView<'a> {
    username: &'a str,
    password: &'a str,
}

impl<'a> PublishView<'a> {
    /// The view of a publish, with how far it is if it is being worked on.
    pub(super) fn of<T: AsRef<str>>(
        publish: &'a Publish<T>,
        progress: Option<Progress>,
    ) -> Result<Self, StoreError> {
        let malformed = |_| StoreError::Malformed { what: "a publish's engine_config" };
        let error = publish.error.as_ref().map(AsRef::as_ref);
        let place = publish.place.as_ref();
        let is_there = publish.status == PublishStatus::Published;
        let done = if is_there { publish.bytes_total } else { 0 };
        let progress = progress.filter(|_| !is_there);
        let failed = publish.status == PublishStatus::Error;
        Ok(PublishView {
            id: publish.id,
            pipeline_version_id: publish.version_id,
            pipeline_version_name: publish.version.as_ref(),
            status: publish.status.name(),
            created_at: Moment { ms: publish.created_ms },
            updated_at: Moment { ms: publish.updated_ms },
            created_by: publish.created_by.as_ref(),
            pipeline_url: place.map(|place| place.pipeline_url.as_ref()),
            engine_url: place.map(|place| place.engine_url.as_ref()),
            helm: place.map(|place| HelmView {
                reference: place.chart_reference.as_ref(),
                chart: place.chart.as_ref(),
                version: place.chart_version.as_ref(),
                values: BTreeMap::new(),
            }),
            engine_config: serde_json::from_str(publish.engine_config.as_ref())
                .map_err(malformed)?,
            error: error.filter(|_| failed),
            user_images: [],
            docker_run_variables: BTreeMap::new(),
            pipeline_name: publish.pipeline.as_ref(),
            workspace_id: publish.workspace_id,
            workspace_name: publish.workspace.as_ref(),
            replaces: Vec::new(),
            edge_bundles: BTreeMap::new(),
            created_on_version: env!("CARGO_PKG_VERSION"),
            digest: place.map(|place| place.digest.as_ref()),
            bytes_done: progress.map_or(done, |it| it.bytes_done),
            bytes_total: progress.map_or(publish.bytes_total, |it| it.bytes_total),
            attempts: publish.attempts,
            last_error: error.filter(|_| !failed),
            pull_credentials: None,
        })
    }

    /// The same with what an edge that was just added is given.
    pub(super) fn with_edge(
        mut self,
        bundle: &'a Secret,
        pull: Option<(&'a str, &'a Secret)>,
    ) -> Self {
        self.docker_run_variables.insert("EDGE_BUNDLE", bundle.reveal());
        if let Some(helm) = &mut self.helm {
            helm.values.insert("edgeBundle", bundle.reveal());
        }
        self.pull_credentials = pull
            .map(|(username, password)| CredentialsView { username, password: password.reveal() });
        self
    }
}

/// A publish as it is asked for.
#[derive(Debug, Default, Deserialize)]
pub(in crate::ops) struct PublishAsked {
    /// The number of the pipeline version.
    pub pipeline_version_id: i64,
    /// What the engine is to have; the original's defaults without it.
    #[serde(default)]
    pub engine_config: Option<Box<RawValue>>,
    /// Publishes whose edges it takes over.
    #[serde(default)]
    pub replaces: Option<Vec<i64>>,
}

fn publish(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let order = asked.json()?;
    let record = order_publish(center, asked, order)?;
    let replaces = center.store.read(|tx| replaced(tx, &record))?;
    let view = PublishView { replaces, ..PublishView::of(&record, None)? };
    Ok(answer(202, &view))
}

/// Records a publish that the worker then makes.
///
/// # Errors
/// What cannot be published, and by whom not.
pub(in crate::ops) fn order_publish(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    order: PublishAsked,
) -> Result<Publish, Problem> {
    let PublishAsked { pipeline_version_id: version_id, engine_config, replaces } = order;
    let engine_config = engine_config.as_ref().map(|config| config.get());
    let engine_config = engine_config.unwrap_or(ENGINE_CONFIG_DEFAULT);
    if engine_config.len() > ENGINE_CONFIG_BYTES_MAX {
        let sentence = format!("engine_config may have {ENGINE_CONFIG_BYTES_MAX} bytes: send less");
        return Err(Problem::bad("engine_config", sentence));
    }
    Needs::read(engine_config)
        .map_err(|error| Problem::bad("engine_config", crate::exit::chain(&error)))?;
    let mut replaces = replaces.unwrap_or_default();
    replaces.sort_unstable();
    replaces.dedup();
    if replaces.len() > REPLACES_MAX {
        let sentence = format!("replaces may name {REPLACES_MAX} publishes: name fewer");
        return Err(Problem::bad("replaces", sentence));
    }
    let record = center.store.write(|tx| {
        let unknown = || Problem::unknown("pipeline version", version_id);
        let version = tx.version_to_publish(version_id)?.ok_or_else(unknown)?;
        let workspace = version.workspace_id;
        seen(asked.may(tx, workspace, Role::Publisher), unknown)?;
        for id in &replaces {
            let replaced = tx.publish(*id)?.filter(|it| it.workspace_id == workspace);
            replaced.ok_or_else(|| Problem::unknown("publish", id))?;
        }
        if tx.unfinished_publishes()? >= UNFINISHED_MAX {
            let sentence = format!(
                "{UNFINISHED_MAX} publishes are waiting to be pushed: wait until some are there"
            );
            return Err(
                Problem::new(429, "too_many", sentence).with_header("Retry-After", "60".to_owned())
            );
        }
        let by = asked.caller()?.user.id.clone();
        let id = tx.add_publish(&NewPublish {
            version_id,
            by: &by,
            engine_config,
            replaces: &replaces,
            now_ms: asked.now_ms,
        })?;
        let detail = json!({ "publish": id, "version": version.version, "replaces": replaces });
        asked.note(tx, "pipeline.publish", Some(workspace), &version.pipeline, detail)?;
        tx.publish(id)?.ok_or_else(|| Problem::unknown("publish", id))
    })?;
    center.desk.ring();
    Ok(record)
}

/// What may not be seen is told as what is not there.
pub(in crate::ops) fn seen(
    may: Result<(), Problem>,
    unknown: impl FnOnce() -> Problem,
) -> Result<(), Problem> {
    may.map_err(|problem| if problem.code() == 404 { unknown() } else { problem })
}

/// The publishes that this one replaces, with their names.
fn replaced<T: AsRef<str>>(
    tx: &Tx<'_>,
    publish: &Publish<T>,
) -> Result<Vec<ReplacedView>, StoreError> {
    let replaces = publish.replaces.as_ref();
    if replaces == "[]" {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = serde_json::from_str(replaces)
        .map_err(|_| StoreError::Malformed { what: "a publish's replaces" })?;
    let mut views = Vec::new();
    for id in ids {
        views.extend(tx.publish(id)?.map(|it| ReplacedView {
            id: it.id,
            pipeline_name: it.pipeline,
            pipeline_version_name: it.version,
        }));
    }
    Ok(views)
}

#[derive(Deserialize)]
struct StatusAsked {
    #[serde(alias = "publish_id", alias = "pipeline_publish_id")]
    id: i64,
    #[serde(default)]
    include_replace_bundles: Option<bool>,
}

fn status(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let StatusAsked { id, include_replace_bundles } = asked.json()?;
    let wants_bundles = include_replace_bundles.unwrap_or_default();
    let (publish, replaces, moved) = center.store.read(|tx| {
        let publish = visible(tx, asked, id, Role::Viewer)?;
        let replaces = replaced(tx, &publish)?;
        let moved = if wants_bundles {
            let of_this =
                EdgesAsked { publish: Some(id), count_max: LISTED_MAX, ..EdgesAsked::default() };
            tx.edges(&of_this)?.into_iter().filter(|edge| edge.came_from.is_some()).collect()
        } else {
            Vec::new()
        };
        Ok::<_, Problem>((publish, replaces, moved))
    })?;
    let mut edge_bundles = BTreeMap::new();
    if let Some(place) = &publish.place {
        for edge in moved {
            let bundle = edges::bundle(
                &center.address,
                &edge.name,
                crate::fleet::KEPT_TOKEN,
                place,
                publish.workspace_id,
            )?;
            edge_bundles.insert(edge.name, bundle.reveal().to_owned());
        }
    }
    let view = PublishView::of(&publish, center.desk.progress(id))?;
    Ok(answer(200, &PublishView { replaces, edge_bundles, ..view }))
}

/// The publish of that number, if the caller has at least this role in its workspace.
pub(in crate::ops) fn visible(
    tx: &Tx<'_>,
    asked: &Asked<'_, '_, '_>,
    id: i64,
    least: Role,
) -> Result<Publish, Problem> {
    let unknown = || Problem::unknown("publish", id);
    let publish = tx.publish(id)?.ok_or_else(unknown)?;
    seen(asked.may(tx, publish.workspace_id, least), unknown)?;
    Ok(publish)
}

#[derive(Deserialize)]
struct ListAsked {
    #[serde(default)]
    pipeline_id: Option<i64>,
    #[serde(default)]
    workspace_id: Option<i64>,
    /// Ours: as many at most, the newest first.
    #[serde(default)]
    limit: Option<i64>,
    /// Ours: those older than this one.
    #[serde(default)]
    before: Option<i64>,
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ListAsked { pipeline_id, workspace_id, limit, before } = asked.json()?;
    let count = limit.unwrap_or(LISTED_MAX);
    if !(1..=LISTED_MAX).contains(&count) {
        return Err(Problem::bad("limit", format!("limit is {count}: it takes 1 to {LISTED_MAX}")));
    }
    let caller = asked.caller()?;
    let member = (!caller.user.is_admin).then_some(caller.user.id.as_str());
    center.store.read(|tx| {
        let mut listed = Listed::of("publishes");
        // One more is looked at: whether `before` is needed for the rest.
        let (mut left, mut last, mut next_before) = (count, None, None);
        let wanted = PublishesAsked {
            member,
            pipeline: pipeline_id,
            workspace: workspace_id,
            before,
            count_max: count + 1,
        };
        tx.each_publish(&wanted, |publish| {
            if left == 0 {
                next_before = last;
                return Ok(());
            }
            (left, last) = (left - 1, Some(publish.id));
            let progress = center.desk.progress(publish.id);
            let replaces = replaced(tx, publish)?;
            listed.push(&PublishView { replaces, ..PublishView::of(publish, progress)? });
            Ok::<_, Problem>(())
        })?;
        listed.then("edges");
        let wanted = EdgesAsked {
            member,
            pipeline: pipeline_id,
            workspace: workspace_id,
            count_max: LISTED_MAX,
            ..EdgesAsked::default()
        };
        tx.each_edge(&wanted, |edge| {
            listed.push(&EdgeView::of(center, edge, asked.now_ms));
            Ok::<_, Problem>(())
        })?;
        Ok(listed.answer("next_before", next_before.as_ref()))
    })
}

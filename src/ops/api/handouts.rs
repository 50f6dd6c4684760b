//! Handouts: how a publish is run on a device, as commands and files ready to paste.

use super::edges::edge_named;
use super::publishes::visible;
use super::{Asked, Need, Problem, Route, answer};
use crate::fleet::Bundle;
use crate::http::server::Response;
use crate::oci::Reference;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::chart::Helm;
use crate::ops::handout::Handout;
use crate::ops::publishes::Needs;
use crate::ops::store::Publish;
use crate::registry::Secret;
use serde::{Deserialize, Serialize};

pub(super) const ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/v1/api/edges/commands",
    need: Need::SignedIn,
    answer: commands,
}];

/// Where the bundle of an edge goes, when only whoever added the edge knows it.
const BUNDLE_BLANK: &str = "{edge bundle here}";

#[derive(Deserialize)]
struct CommandsAsked {
    /// An edge, whose handout reports to this ops center.
    #[serde(default)]
    name: Option<String>,
    /// The bundle that was given when it was added; it is kept nowhere here.
    #[serde(default)]
    edge_bundle: Option<String>,
    /// A publish, for a handout without an edge.
    #[serde(default, alias = "id")]
    publish_id: Option<i64>,
}

/// All commands and files of one publish; those with observability where there is a bundle.
#[derive(Serialize)]
pub(in crate::ops) struct CommandsView {
    pub docker_run: Option<String>,
    pub docker_run_without_observability: String,
    pub compose: Option<String>,
    pub compose_without_observability: String,
    pub helm: Option<String>,
    pub helm_values: Option<String>,
    pub helm_values_without_observability: Option<String>,
    pub systemd_unit: String,
    pub systemd_environment: Option<String>,
    pub systemd_environment_without_observability: String,
    pub process: Option<String>,
    pub process_without_observability: String,
}

fn commands(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let CommandsAsked { name, edge_bundle, publish_id } = asked.json()?;
    let (publish, edge) = center.store.read(|tx| {
        let (id, edge) = match (&name, publish_id) {
            (Some(name), _) => {
                let edge = edge_named(tx, asked, name, Role::Viewer)?;
                (edge.publish_id, Some(edge))
            }
            (None, Some(id)) => (id, None),
            (None, None) => {
                let sentence = "name is missing: give the name of an edge, or a publish_id";
                return Err(Problem::bad("body", sentence));
            }
        };
        Ok((visible(tx, asked, id, Role::Viewer)?, edge))
    })?;
    let bundle = match (&edge, edge_bundle) {
        (None, _) => None,
        (Some(_), None) => Some(blank_bundle()),
        (Some(edge), Some(text)) => {
            let wrong = |sentence: String| Problem::bad("edge_bundle", sentence);
            let bundle = Bundle::parse(&text).map_err(|error| wrong(error.to_string()))?;
            if bundle.value("EDGE_NAME") != Some(&edge.name) {
                let sentence = format!("the bundle is of another edge than `{}`", edge.name);
                return Err(wrong(sentence));
            }
            Some(Secret::new(text.split_ascii_whitespace().collect()))
        }
    };
    Ok(answer(200, &commands_of(&publish, bundle.as_ref())?))
}

/// What stands for the bundle where nobody but who added the edge knows it.
pub(in crate::ops) fn blank_bundle() -> Secret {
    Secret::new(BUNDLE_BLANK.to_owned())
}

/// The commands of a publish, with this bundle where one is given.
///
/// # Errors
/// When the publish is not there yet.
pub(in crate::ops) fn commands_of(
    publish: &Publish,
    bundle: Option<&Secret>,
) -> Result<CommandsView, Problem> {
    let Some(place) = &publish.place else {
        let (id, status) = (publish.id, publish.status.name());
        let sentence = format!("publish {id} is {status}: wait until it is Published");
        return Err(Problem::conflict("not_published", sentence));
    };
    let records = |what: String| Problem::new(500, "records", what);
    let needs =
        Needs::read(&publish.engine_config).map_err(|error| records(crate::exit::chain(&error)))?;
    let pipeline: Reference =
        place.pipeline_url.parse().map_err(|error| records(format!("{error}")))?;
    let chart = Helm {
        reference: place.chart_reference.clone(),
        chart: place.chart.clone(),
        version: place.chart_version.clone(),
    };
    let alone = Handout {
        engine_url: &place.engine_url,
        pipeline_url: &place.pipeline_url,
        registry: Some(&pipeline.registry),
        cpus: needs.cpus.whole(),
        edge_bundle: None,
        chart: Some(&chart),
    };
    let reporting = bundle.map(|bundle| Handout { edge_bundle: Some(bundle), ..alone });
    let unit = alone.systemd();
    Ok(CommandsView {
        docker_run: reporting.as_ref().map(Handout::docker_run),
        docker_run_without_observability: alone.docker_run(),
        compose: reporting.as_ref().map(Handout::compose),
        compose_without_observability: alone.compose(),
        helm: alone.helm(),
        helm_values: reporting.as_ref().and_then(Handout::helm_values),
        helm_values_without_observability: alone.helm_values(),
        systemd_unit: unit.unit,
        systemd_environment: reporting.as_ref().map(|handout| handout.systemd().environment),
        systemd_environment_without_observability: unit.environment,
        process: reporting.as_ref().map(Handout::process),
        process_without_observability: alone.process(),
    })
}

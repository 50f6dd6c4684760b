//! Registry settings: where publishes go, how it was told, and a button that tries it.

use super::page::{Frame, Section, page};
use super::pieces::csrf_field;
use crate::exit;
use crate::http::server::Response;
use crate::ops::api::{Asked, Need, Problem, Route};
use crate::ops::center::Center;
use crate::ops::publishes::Destination;
use crate::ops::settings::External;
use crate::registry::Action;
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/settings", need: Need::Admin, answer: show },
    Route { method: "POST", path: "/settings/test", need: Need::Admin, answer: test },
];

/// The repository that is asked for in a test; nothing is written there.
const PROBE: (&str, &str) = ("potoroo-registry-test", "none");

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, &html! {})
}

fn shown(center: &Center, asked: &Asked<'_, '_, '_>, told: &Markup) -> Result<Response, Problem> {
    let settings = &center.settings;
    let engine = Destination::of(center, 1).engine(center);
    let content = html! {
        div.head { h1 { "Registry settings" } }
        p.lead { "They are told when the ops center starts, so that no form can send publishes elsewhere: " code { "potoroo-ops serve --help" } " has each of them." }
        (told)
        section.card {
            h2 { "Where publishes go" }
            dl.facts {
                @match &settings.registry {
                    Some(external) => { (facts_of(external)) }
                    None => {
                        div { dt { "Registry" } dd { "the built-in one, at " code { (center.address) "/v2/" } } }
                        div { dt { "Who pulls" } dd { "each edge with a login of its own; members with a token" } }
                        div { dt { "Another one" } dd { "start with " code { "--registry HOST[/PATH]" } " and " code { "OCI_USERNAME" } ", " code { "OCI_PASSWORD" } " in the environment" } }
                    }
                }
                div { dt { "Engine image" } dd { @match &engine { Ok(engine) => code { (engine) }, Err(error) => span.wrongly { (error) } } } }
                div { dt { "Signatures" } dd { @if settings.signing.is_some() { "each publish is signed" } @else { "publishes are not signed; " code { "--sign KEY" } " signs them" } } }
            }
            form method="post" action="/settings/test" {
                (csrf_field(asked))
                button { "Test the registry" }
            }
        }
        section.card {
            h2 { "How it is reached" }
            dl.facts {
                div { dt { "Address" } dd { code { (center.address) } } }
                div { dt { "Listens on" } dd { code { (settings.listen) } @if settings.tls.is_some() { ", with TLS" } } }
                div { dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) } }
                div { dt { "API" } dd { a href="/v1/api/docs" { "its paths" } ", " a href="/v1/api/openapi.json" { "OpenAPI" } } }
            }
        }
    };
    let frame = Frame {
        title: "Registry settings",
        section: Section::Settings,
        workspace: None,
        fault: None,
    };
    page(center, asked, &frame, &content)
}

fn facts_of(external: &External) -> Markup {
    let login = &external.login;
    html! {
        div { dt { "Registry" } dd { code { (external.host) } } }
        div { dt { "Path" } dd { @if external.prefix.is_empty() { span.quiet { "none" } } @else { code { (external.prefix) } } } }
        div { dt { "User" } dd {
            @match &login.credentials {
                Some(credentials) => code { (credentials.username) },
                None => span.quiet { "none told; the logins of docker and podman are looked at" },
            }
        } }
        div { dt { "Without TLS" } dd { @if login.plain_http.is_empty() { "no" } @else { "yes" } } }
    }
}

fn test(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let tried = tried(center);
    let told = match &tried {
        Ok(sentence) => html! { div.told role="status" { (sentence) } },
        Err(sentence) => {
            html! { div.fault role="alert" { strong { "The registry cannot be used. " } (sentence) } }
        }
    };
    shown(center, asked, &told)
}

/// What came of it: the login is shown as a push shows it, and nothing is pushed.
fn tried(center: &Center) -> Result<String, String> {
    let Some(external) = &center.settings.registry else {
        let layout = crate::disk::free_bytes(&center.home.blobs());
        let free = layout.map_err(|error| exit::chain(&error))?;
        let gigabytes = free / 1_000_000_000;
        return Ok(format!(
            "The built-in registry is there, and its disk has {gigabytes} GB free."
        ));
    };
    let (name, tag) = PROBE;
    let reference = Destination::of(center, 1).pipeline(name, tag);
    let reference = reference.map_err(|error| exit::chain(&error))?;
    let host = &external.host;
    match external.login.remote(&reference).login(Action::Push) {
        Ok(()) => Ok(format!("{host} answers, and takes the login of this ops center.")),
        Err(error) => Err(exit::chain(&error)),
    }
}

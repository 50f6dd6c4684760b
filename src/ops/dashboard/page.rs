//! The frame of every page: workspace selector, navigation, who is signed in, and what a browser may do.

use super::assets::{ICON, SCRIPT, STYLE};
use super::pieces::csrf_field;
use crate::http::server::{Request, Response};
use crate::ops::api::{Asked, Problem};
use crate::ops::center::Center;
use crate::ops::store::{StoreError, Workspace};
use maud::{DOCTYPE, Markup, html};

/// The cookie that remembers which workspace was looked at last; no secret, and only ever a number.
const WORKSPACE_COOKIE: &str = "potoroo_workspace";

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Pipelines,
    Models,
    Edges,
    Rollouts,
    Guide,
    Workspaces,
    Users,
    Account,
    Audit,
    Settings,
}

/// What a page has beside its content.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// What it is about.
    pub(super) title: &'a str,
    /// Where it belongs.
    pub(super) section: Section,
    /// The workspace that it is about, if it is about one.
    pub(super) workspace: Option<i64>,
    /// What was wrong with the form that was sent.
    pub(super) fault: Option<&'a Problem>,
}

/// A page for who is signed in.
///
/// # Errors
/// When the records cannot be read.
pub(super) fn page(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    frame: &Frame<'_>,
    content: &Markup,
) -> Result<Response, Problem> {
    let caller = asked.caller()?;
    let workspaces = seen(center, asked)?;
    let remembered = remembered(asked);
    let current = frame.workspace.or_else(|| current(&workspaces, remembered));
    let csrf = asked.csrf();
    let csrf = csrf.as_ref().map_or("", |csrf| csrf.reveal());
    let body = html! {
        body data-csrf=(csrf) {
            a.skip href="#main" { "Skip to the content" }
            div.frame {
                header.side {
                    a.brand href="/" { img src=(ICON.path) alt="" width="26" height="26"; "potoroo" }
                    (selector(&workspaces, current))
                    (navigation(frame.section, current, caller.user.is_admin))
                    div.who {
                        span { span.quiet { "Signed in as " } (caller.user.email) }
                        form method="post" action="/sign-out" {
                            (csrf_field(asked))
                            button.second.small { "Sign out" }
                        }
                    }
                }
                main id="main" tabindex="-1" {
                    @if let Some(problem) = frame.fault { (alert(problem.msg())) }
                    (content)
                    p id="said" class="quiet" role="status" {}
                }
            }
        }
    };
    let status = frame.fault.map_or(200, Problem::code);
    let mut response = document(status, frame.title, &body);
    if let Some(workspace) = frame.workspace
        && remembered != Some(workspace)
    {
        let cookie = format!("{WORKSPACE_COOKIE}={workspace}; Path=/; HttpOnly; SameSite=Lax");
        response = response.with_header("Set-Cookie", cookie);
    }
    Ok(response)
}

/// A page for anyone, with nothing about it.
pub(super) fn plain(status: u16, title: &str, fault: Option<&str>, content: &Markup) -> Response {
    let body = html! {
        body.plain {
            main id="main" {
                p { a.brand href="/" { img src=(ICON.path) alt="" width="26" height="26"; "potoroo" } }
                h1 { (title) }
                @if let Some(sentence) = fault { (alert(sentence)) }
                (content)
            }
        }
    };
    document(status, title, &body)
}

/// The page of a request that is not answered as asked. Who is not signed in is asked to be so, and
/// brought back to what they wanted to see.
pub(in crate::ops) fn refused(problem: &Problem, request: &Request<'_, '_>) -> Response {
    if problem.code() == 401 && ["GET", "HEAD"].contains(&request.method()) {
        let query = request.query().map_or(String::new(), |query| format!("?{query}"));
        let next = crate::http::percent::encoded(&format!("{}{query}", request.path()), b"/");
        return super::see_other(&format!("/sign-in?next={next}"));
    }
    let title = match problem.code() {
        401 => "Sign in first",
        403 => "Not allowed",
        404 => "Not found",
        500.. => "Something is wrong with the ops center",
        _ => "Not done",
    };
    let content = html! { p { a.button.second href="/" { "To the start" } } };
    problem.dressed(plain(problem.code(), title, Some(problem.msg()), &content))
}

fn document(status: u16, title: &str, body: &Markup) -> Response {
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · potoroo" }
                link rel="icon" href=(ICON.path) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path);
                script src=(SCRIPT.path) defer {}
            }
            (body)
        }
    };
    // Only what is our own is fetched and run, and nothing that stands in the page itself. The referrer
    // stays within the site: with `no-referrer` browsers post `Origin: null`, whoever wrote the page.
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                  connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    Response::new(status, "text/html; charset=utf-8", html.into_string())
        .with_header("Content-Security-Policy", policy.to_owned())
        .with_header("Referrer-Policy", "same-origin".to_owned())
        .with_header("Cache-Control", "no-store".to_owned())
}

fn alert(sentence: &str) -> Markup {
    html! { div.fault role="alert" { strong { "That did not work. " } (sentence) } }
}

fn selector(workspaces: &[Workspace], current: Option<i64>) -> Markup {
    html! {
        form.choose method="get" action="/workspaces/open" {
            label for="workspace" { "Workspace" }
            div {
                select id="workspace" name="workspace" data-go {
                    @for workspace in workspaces {
                        option value=(workspace.id) selected[Some(workspace.id) == current] { (workspace.name) }
                    }
                }
                button.second.small { "Open" }
            }
        }
    }
}

fn navigation(section: Section, workspace: Option<i64>, is_admin: bool) -> Markup {
    let entry = |own: Section, place: &str, words: &str| {
        let is_here = (own == section).then_some("page");
        html! { li { a href=(place) aria-current=[is_here] { (words) } } }
    };
    html! {
        nav aria-label="Main" {
            @if let Some(workspace) = workspace {
                ul {
                    (entry(Section::Pipelines, &format!("/workspaces/{workspace}/pipelines"), "Pipelines"))
                    (entry(Section::Models, &format!("/workspaces/{workspace}/models"), "Models"))
                    (entry(Section::Edges, &format!("/workspaces/{workspace}/edges"), "Edges"))
                    (entry(Section::Rollouts, &format!("/workspaces/{workspace}/rollouts"), "Rollouts"))
                }
            }
            ul {
                (entry(Section::Guide, "/guide", "First steps"))
                (entry(Section::Workspaces, "/workspaces", "Workspaces"))
                (entry(Section::Account, "/account", "Account and tokens"))
                @if is_admin {
                    (entry(Section::Users, "/users", "Users"))
                    (entry(Section::Audit, "/audit", "Audit"))
                    (entry(Section::Settings, "/settings", "Registry settings"))
                }
            }
        }
    }
}

/// The workspaces that the caller sees.
pub(super) fn seen(center: &Center, asked: &Asked<'_, '_, '_>) -> Result<Vec<Workspace>, Problem> {
    let user = &asked.caller()?.user;
    let member = (!user.is_admin).then_some(user.id.as_str());
    let found: Result<Vec<Workspace>, StoreError> = center.store.read(|tx| tx.workspaces(member));
    Ok(found?.into_iter().filter(|workspace| !workspace.is_archived).collect())
}

/// The workspace that was looked at last, or else the first.
pub(super) fn current(workspaces: &[Workspace], remembered: Option<i64>) -> Option<i64> {
    let known = workspaces.iter().find(|workspace| Some(workspace.id) == remembered);
    known.or(workspaces.first()).map(|workspace| workspace.id)
}

/// The workspace that the browser's cookie names.
pub(super) fn remembered(asked: &Asked<'_, '_, '_>) -> Option<i64> {
    let mut pairs =
        asked.request.header("Cookie")?.split(';').filter_map(|it| it.trim().split_once('='));
    pairs.find(|(name, _)| *name == WORKSPACE_COOKIE)?.1.parse().ok()
}

//! The page of `GET /`: what runs here, how a program asks it, and a form to try it, without any
//! script.

mod form;
mod html;
mod record;
mod sample;

pub(super) use form::FormError;

use super::infer::{Answered, Form, Inferences};
use super::link::{Phase, Status};
use super::metrics::Stage;
use super::proof::Proof;
use super::refusal::Problem;
use super::slot::Slot;
use crate::codec::{InputFormat, OutputFormat};
use crate::http::server::{Request, Response};
use crate::oci::excerpt;
use crate::pipeline::ModelKey;
use crate::tensor::{Dimension, Port};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use html::Html;
use sha2::{Digest as _, Sha256};
use std::time::Instant;

const TEMPLATE: &str = include_str!("page/page.html");

const STYLE: &str = include_str!("page/page.css");

/// Inputs or outputs of one model that the page lists; a reader has had enough by then.
const PORTS_MAX: usize = 32;

/// The page, as far as it is the same for every client.
#[derive(Debug)]
pub(super) struct Page {
    pipeline: String,
    version: Html,
    takes: Html,
    gives: Html,
    models: Html,
    /// What the known answers came to.
    proof: Html,
    /// A word about it at the top, where it is bad.
    differs: Html,
    /// What the form says about rows.
    hint: Html,
    /// What the commands' file holds, where they send one.
    file: Html,
    /// A row of zeros, if one is short enough to be read.
    sample: Option<String>,
    /// How the engine is spoken to: `http` or `https`.
    scheme: &'static str,
    /// The header that lets a browser use our style and nothing else.
    policy: String,
}

/// What one client sees.
struct View<'a> {
    /// The name under which the client found the engine.
    host: &'a str,
    ready: bool,
    /// What the form holds.
    rows: &'a str,
    answer: Html,
    /// How the link to the ops center stands, where there is one.
    link: Option<&'a Status>,
}

impl Page {
    /// The page for the pipeline in `slot`, which is asked by `scheme`.
    pub(super) fn new(slot: &Slot, scheme: &'static str) -> Page {
        let inputs = slot.flow.inputs();
        let version = match slot.definition.version.as_str() {
            "" => Html::of("not told by the artifact"),
            version => Html::default().code(version),
        };
        let models = slot.flow.links().fold(Html::default(), |models, (key, link)| {
            models.piece(&model(key, &link.inputs(), link.outputs()))
        });
        let sample = sample::row(inputs);
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'"
        );
        Page {
            pipeline: slot.definition.name.clone(),
            version,
            takes: signature(inputs),
            gives: signature(slot.flow.outputs()),
            models,
            proof: proof(&slot.proof),
            differs: differs(&slot.proof),
            hint: hint(inputs, sample.is_some()),
            file: if sample.is_some() { Html::default() } else { file(inputs) },
            sample,
            scheme,
            policy,
        }
    }

    /// Shows the page, or infers the rows that its form posts and shows it with the answer.
    ///
    /// # Errors
    /// As those of an inference; a browser is shown them on the page.
    pub(super) fn answer(
        &self,
        request: &mut Request<'_, '_>,
        inferences: &Inferences,
        ready: bool,
        link: Option<Status>,
    ) -> Result<Response, Problem> {
        let host = sample::host(request.header("host")).to_owned();
        let sample = self.sample.as_deref().unwrap_or_default();
        let show = |status, rows: &str, answer| {
            self.response(status, &View { host: &host, ready, rows, answer, link: link.as_ref() })
        };
        match request.method() {
            "GET" | "HEAD" => Ok(show(200, sample, Html::default())),
            "POST" => {
                let start = Instant::now();
                let body = posted(request, inferences).map_err(|problem| {
                    problem.on_page(|status, why| show(status, sample, refused(status, why)))
                })?;
                let typed = String::from_utf8_lossy(&body).into_owned();
                let form = Form::Record(OutputFormat::Records);
                let mut client_left = || request.client_has_left();
                let format = InputFormat::PandasRecords;
                match inferences.infer(format, body, &form, &mut client_left) {
                    Ok(Answered { bytes, record, input }) => {
                        inferences.timed(Stage::Whole, start);
                        let shown = show(200, &typed, answered(&bytes));
                        Ok(inferences.keep(record, input, shown))
                    }
                    Err(problem) => {
                        Err(problem
                            .on_page(|status, why| show(status, &typed, refused(status, why))))
                    }
                }
            }
            method => Err(Problem::method(method, "GET, HEAD, POST")),
        }
    }

    fn response(&self, status: u16, view: &View<'_>) -> Response {
        Response::new(status, "text/html; charset=utf-8", self.render(view).into_bytes())
            .with_header("Content-Security-Policy", self.policy.clone())
            .with_header("X-Content-Type-Options", "nosniff".to_owned())
            // To other sites nothing, to ourselves the origin: it tells our form from a foreign one.
            .with_header("Referrer-Policy", "same-origin".to_owned())
            .with_header("Cache-Control", "no-store".to_owned())
    }

    fn render(&self, view: &View<'_>) -> Html {
        let status = match view.ready {
            true => Html::default().markup("<span class=\"status\">Running</span>"),
            false => Html::default().markup("<span class=\"status stopping\">Stopping</span>"),
        };
        let row = self.sample.as_deref();
        let command = |path: &str| Html::of(&sample::curl(self.scheme, view.host, path, row));
        Html::fill(
            TEMPLATE,
            &[
                ("style", Html::default().markup(STYLE)),
                ("engine", Html::of(env!("CARGO_PKG_VERSION"))),
                ("pipeline", Html::of(&self.pipeline)),
                ("status", status),
                ("version", self.version.clone()),
                ("takes", self.takes.clone()),
                ("gives", self.gives.clone()),
                ("hint", self.hint.clone()),
                ("rows", Html::of(view.rows)),
                ("answer", view.answer.clone()),
                ("file", self.file.clone()),
                ("ask", command(&sample::pipeline_path(&self.pipeline))),
                ("infer", command("/infer")),
                ("models", self.models.clone()),
                ("proof", self.proof.clone()),
                ("differs", self.differs.clone()),
                ("link", view.link.map_or_else(Html::default, linked)),
            ],
        )
    }
}

/// The rows that the form posts.
fn posted(request: &mut Request<'_, '_>, inferences: &Inferences) -> Result<Vec<u8>, Problem> {
    let body = form::body(request)?;
    inferences.metrics.received(body.len());
    Ok(form::rows(&body)?)
}

/// What the known answers came to, in lines.
fn proof(proof: &Proof) -> Html {
    proof
        .lines()
        .iter()
        .fold(Html::default(), |lines, line| lines.markup("<p>").text(line).markup("</p>\n"))
}

/// What nobody should overlook who opens the page.
fn differs(proof: &Proof) -> Html {
    let said = match proof.failures() {
        0 => return Html::default(),
        1 => "1 output differs".to_owned(),
        many => format!("{many} outputs differ"),
    };
    Html::default()
        .markup("<div><dt>Known answers</dt><dd><a class=\"status stopping\" href=\"#known\">")
        .text(&said)
        .markup("</a></dd></div>\n")
}

/// How the link to the ops center stands.
fn linked(status: &Status) -> Html {
    let class = match status.phase {
        Phase::Joined => "<div><dt>Ops center</dt><dd><span class=\"status\">",
        Phase::Joining
        | Phase::Unreached
        | Phase::Clock
        | Phase::Refused(_)
        | Phase::Disk
        | Phase::NoIdentity => "<div><dt>Ops center</dt><dd><span class=\"status stopping\">",
    };
    Html::default().markup(class).text(&status.told()).markup("</span></dd></div>\n")
}

fn answered(record: &[u8]) -> Html {
    Html::default()
        .markup("<section class=\"answer\" id=\"answer\">\n<h3>Answer</h3>\n<pre><code>")
        .text(&record::indented(&String::from_utf8_lossy(record)))
        .markup("</code></pre>\n</section>")
}

fn refused(status: u16, why: &str) -> Html {
    Html::default()
        .markup("<section class=\"refused\" id=\"answer\" role=\"alert\">\n<h3>Refused, status ")
        .text(&status.to_string())
        .markup("</h3>\n<p>")
        .text(why)
        .markup("</p>\n</section>")
}

/// What goes in or comes out, in a line: `name` and type for each.
fn signature(ports: &[Port]) -> Html {
    let mut line = Html::default();
    for (index, port) in ports.iter().take(PORTS_MAX).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        line = line.markup(comma).code(&excerpt(&port.name)).markup(" ");
        line = line.markup("<span class=\"type\">").text(port.element.onnx_name());
        line = line.text(&shape(&port.dimensions)).markup("</span>");
    }
    line.piece(&more(ports.len()))
}

/// How many ports are not listed.
fn more(ports: usize) -> Html {
    match ports.saturating_sub(PORTS_MAX) {
        0 => Html::default(),
        more => Html::of(&format!(" and {more} more")),
    }
}

/// `[batch, 29]`.
fn shape(dimensions: &[Dimension]) -> String {
    let extents: Vec<String> = dimensions.iter().map(|one| excerpt(&one.to_string())).collect();
    format!("[{}]", extents.join(", "))
}

/// What a row holds: each column with the shape of its values.
fn each_row(inputs: &[Port]) -> Html {
    let mut html = Html::default().markup("Each row has ");
    for (index, port) in inputs.iter().take(PORTS_MAX).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        html = html.markup(comma).code(&excerpt(&port.name)).markup(" with ");
        html = match sample::row_dimensions(port) {
            [] => html.markup("one value"),
            row => html.markup("values of shape ").text(&shape(row)),
        };
    }
    html.piece(&more(inputs.len())).markup(".")
}

/// What the form says about the rows it takes.
fn hint(inputs: &[Port], shown: bool) -> Html {
    let hint = Html::default().markup("A list of rows as pandas writes them. ");
    let hint = hint.piece(&each_row(inputs));
    match shown {
        true => hint,
        false => hint.markup(" Such a row is too long to be shown here."),
    }
}

/// What the Arrow file of the commands holds, where they send one.
fn file(inputs: &[Port]) -> Html {
    Html::default()
        .markup("<p>A row is too long to be typed, so the commands send a file: ")
        .markup("<code>rows.arrow</code>, an Arrow IPC file. ")
        .piece(&each_row(inputs))
        .markup("</p>\n")
}

/// One model of the pipeline: its identity, and a table of what it takes and gives.
fn model(key: &ModelKey, inputs: &[Port], outputs: &[Port]) -> Html {
    let html = Html::default()
        .markup("<article>\n<h3>")
        .text(&key.name)
        .markup("</h3>\n<dl>\n<div><dt>Version</dt><dd>")
        .code(&key.version)
        .markup("</dd></div>\n<div><dt>SHA-256</dt><dd>")
        .code(&key.sha.hex())
        .markup("</dd></div>\n</dl>\n<table>\n<thead><tr><th scope=\"col\">")
        .markup("<span class=\"unseen\">Direction</span></th><th scope=\"col\">Name</th>")
        .markup("<th scope=\"col\">Type</th><th scope=\"col\">Shape</th></tr></thead>\n<tbody>\n");
    ports(ports(html, "in", inputs), "out", outputs).markup("</tbody>\n</table>\n</article>\n")
}

fn ports(mut html: Html, direction: &'static str, ports: &[Port]) -> Html {
    for port in ports.iter().take(PORTS_MAX) {
        html = html.markup("<tr><th scope=\"row\">").markup(direction).markup("</th><td>");
        html = html.code(&excerpt(&port.name)).markup("</td><td>");
        html = html.text(port.element.onnx_name()).markup("</td><td>");
        html = html.text(&shape(&port.dimensions)).markup("</td></tr>\n");
    }
    if PORTS_MAX < ports.len() {
        html = html.markup("<tr><td colspan=\"4\">").piece(&more(ports.len()));
        html = html.markup("</td></tr>\n");
    }
    html
}

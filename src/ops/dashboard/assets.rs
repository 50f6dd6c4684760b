//! Style, script and icon of the pages: inside the program, under names that follow from their bytes.

use crate::http::server::Response;
use crate::oci::Digest;
use crate::ops::api::{Asked, Need, Problem, Route};
use crate::ops::center::Center;
use std::sync::LazyLock;

pub(super) const ROUTES: &[Route] =
    &[Route { method: "GET", path: "/assets/{name}", need: Need::Nobody, answer: asset }];

/// Hexadecimal digits of a digest in a name: enough that no two versions of a file share one.
const DIGEST_DIGITS: usize = 12;

/// A file that pages name.
#[derive(Debug)]
pub(super) struct Asset {
    /// `/assets/0123456789ab.css`
    pub(super) path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn of(ending: &str, content_type: &'static str, bytes: &'static [u8]) -> Asset {
        let digest = Digest::of(bytes).hex();
        let path = format!("/assets/{}.{ending}", &digest[..DIGEST_DIGITS]);
        Asset { path, content_type, bytes }
    }
}

/// How the pages look.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of("css", "text/css; charset=utf-8", include_bytes!("assets/dashboard.css"))
});

/// What makes them handier.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::of("js", "text/javascript; charset=utf-8", include_bytes!("assets/dashboard.js"))
});

/// What stands in a browser's tab.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("svg", "image/svg+xml", include_bytes!("assets/icon.svg")));

fn asset(_: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let path = asked.request.path();
    let known = [&STYLE, &SCRIPT, &ICON];
    let Some(found) = known.into_iter().find(|asset| asset.path == path) else {
        let sentence =
            "there is no such file: load the page again, which names those of this version";
        return Err(Problem::new(404, "unknown_path", sentence));
    };
    // Under this name there are never other bytes.
    Ok(Response::new(200, found.content_type, found.bytes)
        .with_header("Cache-Control", "public, max-age=31536000, immutable".to_owned()))
}

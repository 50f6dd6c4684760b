//! A store that other tools read and write too, after a pull in pieces and in the middle of one.

use std::process::Command;

use potoroo::http::client::Timeouts;
use potoroo::oci::{Descriptor, Manifest, Version, media_type};
use potoroo::registry::{Layout, Retry, Transfer, Transport};

use super::{QUICK, noise, push};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::process::run;
use crate::support::registry::{Auth, Registry};

#[test]
fn skopeo_reads_what_came_in_pieces_and_what_it_adds_is_read_here() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("a/b", None);
    let config = push(&remote, b"{}");
    let models = [push(&remote, &noise(1, 200_000)), push(&remote, &noise(2, 150_000))];
    let manifest = |model: &Descriptor| Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: Some(media_type::PIPELINE.to_owned()),
        config: config.clone(),
        layers: vec![model.clone()],
        annotations: [].into(),
    };
    for (tag, model) in ["v1", "v2"].into_iter().zip(&models) {
        let version = Version::Tag(tag.parse().unwrap());
        remote.push_manifest(&version, &manifest(model).to_bytes()).unwrap();
    }
    let proxy = FaultProxy::start(&registry.host().to_string(), |asked| match asked.nth {
        0 | 2 => vec![Fault::Cut(100_000)],
        _ => vec![],
    });
    let remote = proxy.remote(Transport::new(Timeouts::EDGE, Vec::new()), "a/b", None);
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let bring = |blob: &Descriptor, retry| {
        let transfer = Transfer { remote: &remote, layout: &layout, retry };
        transfer.bring(std::slice::from_ref(blob), &mut |_, _| {})
    };
    bring(&models[0], QUICK).unwrap();
    bring(&models[1], Retry::NEVER).unwrap_err();
    bring(&config, QUICK).unwrap();
    let v1 = layout.put_manifest(&"v1".parse().unwrap(), &manifest(&models[0]).to_bytes()).unwrap();

    let store = format!("oci:{}", directory.path().display());
    let skopeo = |arguments: &[&str]| run(Command::new("skopeo").args(arguments)).success().stdout;
    let raw = skopeo(&["inspect", "--raw", &format!("{store}:v1")]);
    assert_eq!(raw.as_bytes(), manifest(&models[0]).to_bytes());
    let from = format!("docker://{}/a/b:v2", registry.host());
    skopeo(&["copy", "--insecure-policy", "--src-tls-verify=false", &from, &format!("{store}:v2")]);

    let layout = Layout::open(directory.path()).unwrap();
    let find = |tag: &str| layout.manifest(&Version::Tag(tag.parse().unwrap())).unwrap();
    assert_eq!(find("v1").digest, v1.digest);
    assert_eq!(find("v2").manifest, manifest(&models[1]));
    let _proof = layout.verify_blob(&models[1]).unwrap();
    // Its part is of no use any more: the next transfer finds the blob and asks for nothing.
    let asked = proxy.asked().len();
    bring(&models[1], Retry::NEVER).unwrap();
    assert_eq!(proxy.asked().len(), asked);
    assert_eq!(layout.partial_blobs().unwrap(), []);
}

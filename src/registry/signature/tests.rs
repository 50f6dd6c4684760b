//! Signatures that hold, and what each other one is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};
use serde_json::{Value, json};

use super::bundle::SIGNED;
use super::{
    Attached, Flaw, Form, KeyError, Keyring, KeyringError, PublicKey, SIGNATURES_MAX, Vouched,
    attached, bundle_manifest, check, envelope_bytes, statement, tag_manifest, write_block,
    write_bundle, write_payload,
};
use crate::oci::{Descriptor, Digest, Repository, media_type};
use crate::registry::Layout;

const P256_BEGINS: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P384_BEGINS: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
const EDWARDS_BEGINS: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// One who signs.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    fn spki(&self) -> Vec<u8> {
        [P256_BEGINS, self.0.public_key().as_ref()].concat()
    }

    fn keys(&self) -> Keyring {
        PublicKey::from_der(&self.spki()).unwrap().into()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    fn tag(&self, payload: &[u8]) -> Attached {
        tag_manifest(None, payload.to_vec(), &self.sign(payload))
    }

    fn bundle(&self, statement: &[u8]) -> Attached {
        let id = *self.keys().keys()[0].id();
        let signature = self.sign(&envelope_bytes(statement));
        bundle_manifest(&subject(), write_bundle(statement, &signature, &id))
    }
}

fn subject() -> Descriptor {
    Descriptor::of(media_type::MANIFEST, b"the manifest")
}

fn digest() -> Digest {
    subject().digest
}

fn verdict(signer: &Signer, found: &[Attached], name: &str) -> Result<Vouched, Vec<Flaw>> {
    let name: Repository = name.parse().unwrap();
    check(&signer.keys(), found, Vec::new(), &digest(), Some(&name)).map_err(|it| it.flaws)
}

#[test]
fn both_forms_hold_by_the_key_that_made_them() {
    let (signer, other) = (Signer::new(), Signer::new());
    for found in [
        signer.tag(&write_payload("ghcr.io/a/fraud", &digest())),
        signer.bundle(&statement("ghcr.io/a/fraud", &digest())),
    ] {
        let vouched = verdict(&signer, std::slice::from_ref(&found), "mirror/fraud").unwrap();
        assert_eq!(vouched, Vouched { key: signer.keys().keys()[0].short(), form: found.form });
        let form = found.form;
        assert_eq!(verdict(&other, &[found], "fraud"), Err(vec![Flaw::OtherKey { form }]));
    }
}

#[test]
fn the_payload_is_cosigns_to_the_byte() {
    let expected = format!(
        "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"ghcr.io/a/b\"}},\"image\":\
         {{\"docker-manifest-digest\":\"{}\"}},\"type\":\"cosign container image signature\"}},\
         \"optional\":null}}",
        digest()
    );
    assert_eq!(String::from_utf8(write_payload("ghcr.io/a/b", &digest())).unwrap(), expected);
}

#[test]
fn a_signature_of_something_else_does_not_hold() {
    let signer = Signer::new();
    let another = Digest::of(b"another");
    let found = another.to_string();
    let payload = String::from_utf8(write_payload("a/fraud", &digest())).unwrap();
    let stated = String::from_utf8(statement("a/fraud", &digest())).unwrap();
    let (tag, bundle) = (Form::Tag, Form::Bundle);
    let kind = "atomic container signature";
    let provenance = "https://slsa.dev/provenance/v1";
    let name = |form, found: &str| Flaw::OtherName {
        form,
        found: found.to_owned(),
        expected: "fraud".to_owned(),
    };
    let cases = [
        (
            signer.tag(&write_payload("a/fraud", &another)),
            Flaw::OtherDigest { form: tag, found: found.clone() },
        ),
        (signer.bundle(&statement("a/fraud", &another)), Flaw::OtherDigest { form: bundle, found }),
        (
            signer.tag(payload.replace("cosign container image signature", kind).as_bytes()),
            Flaw::OtherKind { form: tag, found: kind.to_owned() },
        ),
        (
            signer.bundle(stated.replace(SIGNED, provenance).as_bytes()),
            Flaw::OtherKind { form: bundle, found: provenance.to_owned() },
        ),
        (signer.tag(&write_payload("r.io/a/pricing", &digest())), name(tag, "r.io/a/pricing")),
        (
            signer.bundle(&statement("r.io:5000/fraud2:v1", &digest())),
            name(bundle, "r.io:5000/fraud2:v1"),
        ),
    ];
    for (attached, flaw) in cases {
        assert_eq!(verdict(&signer, &[attached], "x/fraud"), Err(vec![flaw]));
    }
    // A statement need not name its subject.
    let unnamed = stated.replace("\"name\":\"a/fraud\",", "");
    assert!(verdict(&signer, &[signer.bundle(unnamed.as_bytes())], "fraud").is_ok());
}

#[test]
fn damage_is_told_as_damage_or_as_another_key() {
    let signer = Signer::new();
    let good = signer.tag(&write_payload("fraud", &digest()));
    let told = |change: &dyn Fn(&mut Attached)| {
        let mut changed = good.clone();
        change(&mut changed);
        verdict(&signer, &[changed], "fraud").unwrap_err()[0].to_string()
    };
    assert!(told(&|it| it.layers.clear()).contains("has no layer"));
    assert!(told(&|it| it.layers[0].0.annotations.clear()).contains("without the annotation"));
    assert!(told(&|it| it.layers[0].1.push(b' ')).contains("by another key, or was changed"));
    assert!(
        told(&|it| {
            it.layers[0].0.annotations.values_mut().for_each(|value| *value = "!".to_owned());
        })
        .contains("not base64")
    );
    let mut changed = signer.tag(b"{}");
    assert!(
        verdict(&signer, &[changed.clone()], "fraud").unwrap_err()[0].to_string().contains("JSON")
    );
    changed.layers.extend(good.layers.clone());
    assert!(verdict(&signer, &[changed], "fraud").is_ok(), "the second one holds");
}

#[test]
fn each_broken_bundle_is_told_why() {
    let signer = Signer::new();
    let good = signer.bundle(&statement("fraud", &digest()));
    let told = |change: &dyn Fn(&mut Value)| {
        let mut changed = good.clone();
        let mut bundle: Value = serde_json::from_slice(&changed.layers[0].1).unwrap();
        change(&mut bundle);
        changed.layers[0].1 = bundle.to_string().into_bytes();
        verdict(&signer, &[changed], "fraud").unwrap_err()[0].to_string()
    };
    let envelope = |name: &'static str, value: Value| {
        move |it: &mut Value| it["dsseEnvelope"][name] = value.clone()
    };
    for (found, expected) in [
        (told(&|it| *it = json!([])), "not JSON of a bundle's shape"),
        (told(&|it| it["mediaType"] = json!("text/plain")), "calls itself `text/plain`"),
        (
            told(&|it| it["verificationMaterial"] = json!({"certificate": {"rawBytes": ""}})),
            "with a certificate, and only keys are checked",
        ),
        (told(&|it| it["dsseEnvelope"] = Value::Null), "no statement in a DSSE envelope"),
        (told(&envelope("payloadType", json!("x"))), "holds `x`, expected"),
        (told(&envelope("signatures", json!([]))), "has 0 signatures, expected one"),
        (told(&envelope("payload", json!("!"))), "text that is not base64"),
        (told(&envelope("payload", json!(STANDARD.encode("{}")))), "no in-toto statement"),
        (
            told(&envelope(
                "payload",
                json!(STANDARD.encode(statement("fraud", &Digest::of(b"")))),
            )),
            "by another key, or was changed",
        ),
    ] {
        assert!(found.contains(expected), "{found}: expected {expected}");
    }
}

#[test]
fn signatures_travel_through_a_layout_and_too_many_are_not_looked_at() {
    let signer = Signer::new();
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let tag = signer.tag(&write_payload("fraud", &digest()));
    let bundle = signer.bundle(&statement("fraud", &digest()));
    let put = |one: &Attached| layout.put_attached(&digest(), one).unwrap();
    for one in [&tag, &bundle, &bundle] {
        put(one);
    }
    assert_eq!(attached(&layout, &digest()).unwrap(), (vec![tag.clone(), bundle], Vec::new()));
    assert_eq!(attached(&layout, &Digest::of(b"another")).unwrap(), (Vec::new(), Vec::new()));

    let mut many = tag;
    for _ in 0..SIGNATURES_MAX {
        many = tag_manifest(Some(&many), b"p".to_vec(), b"s");
    }
    put(&many);
    let (found, flaws) = attached(&layout, &digest()).unwrap();
    assert_eq!((found.len(), flaws), (1, vec![Flaw::TooMany { found: SIGNATURES_MAX + 1 }]));
}

#[test]
fn a_signature_that_is_not_whole_is_a_flaw_and_not_an_end() {
    let signer = Signer::new();
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let tag = signer.tag(&write_payload("fraud", &digest()));
    let bundle = signer.bundle(&statement("fraud", &digest()));
    layout.put_attached(&digest(), &tag).unwrap();
    layout.put_attached(&digest(), &bundle).unwrap();
    layout.discard_blob(&tag.layers[0].0.digest).unwrap();
    let (found, flaws) = attached(&layout, &digest()).unwrap();
    assert_eq!(found, [bundle]);
    assert!(
        flaws[0].to_string().starts_with("the signature under the tag cannot be read: the blob"),
        "{flaws:?}"
    );
}

#[test]
fn keys_of_each_kind_verify_and_others_are_refused_by_name() {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P384_SHA384_ASN1_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let p384 = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let key = PublicKey::from_der(&[P384_BEGINS, p384.public_key().as_ref()].concat()).unwrap();
    assert!(key.verifies(b"m", p384.sign(&random, b"m").unwrap().as_ref()));

    let edwards = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let key = [EDWARDS_BEGINS, edwards.public_key().as_ref()].concat();
    let key = PublicKey::from_der(&key).unwrap();
    assert!(key.verifies(b"m", edwards.sign(b"m").as_ref()));
    assert!(!key.verifies(b"n", edwards.sign(b"m").as_ref()));

    let spki = Signer::new().spki();
    let mut curve = spki.clone();
    curve[22] = 0x0a;
    assert_eq!(PublicKey::from_der(&curve), Err(KeyError::Curve));
    let mut algorithm = spki.clone();
    algorithm[12] = 0x02;
    assert_eq!(PublicKey::from_der(&algorithm), Err(KeyError::Algorithm));
    for length in 0..spki.len() {
        assert!(PublicKey::from_der(&spki[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_keyring_reads_several_keys_of_a_file_or_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let block = |signer: &Signer| write_block("PUBLIC KEY", &signer.spki());
    let (one, two) = (Signer::new(), Signer::new());
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let both = write("both.txt", &(block(&one) + &block(&two) + &block(&one)));
    assert_eq!(Keyring::read(&both).unwrap().keys().len(), 2);
    let error = Keyring::read(directory.path()).unwrap_err();
    assert!(matches!(error, KeyringError::Empty { .. }), "{error:?}");
    write("new.pub", &block(&one));
    write("old.pem", &block(&two));
    write(".hidden.pub", "no key");
    assert_eq!(Keyring::read(directory.path()).unwrap().keys().len(), 2);

    let private = write("a.pub", &write_block("ENCRYPTED SIGSTORE PRIVATE KEY", b"x"));
    let error = Keyring::read(directory.path()).unwrap_err();
    assert!(matches!(&error, KeyringError::Private { path } if *path == private), "{error:?}");
    for (text, expected) in [
        ("", "holds no public key"),
        ("-----BEGIN PUBLIC KEY-----\n", "is not PEM text"),
        (&write_block("CERTIFICATE", b"x"), "holds a block `CERTIFICATE`"),
        (&write_block("PUBLIC KEY", b"x"), "cannot be used"),
        (&"x".repeat(70_000), "cannot be taken for a key"),
    ] {
        let error = Keyring::read(&write("wrong", text)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

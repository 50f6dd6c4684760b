//! A small token service: Basic credentials in, a signed JSON web token out.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::listener::{Listener, header};
use super::scripted::raw;

/// The end of every token: the first second of 2100. No test is about the registry's clock.
const EXPIRES: u64 = 4_102_444_800;

/// Whom the service knows, and what they may do.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    /// The one user.
    pub(crate) username: &'static str,
    /// The user's password.
    pub(crate) password: &'static str,
    /// The actions granted to the user.
    pub(crate) user_may: &'static [&'static str],
    /// The actions granted to whom has no name.
    pub(crate) anyone_may: &'static [&'static str],
    /// The life in seconds that the answer tells.
    pub(crate) expires_in: u64,
    /// The key under which the answer has the token.
    pub(crate) key: &'static str,
}

/// The running service (the distribution project's token specification, ES256, `x5c`).
pub(crate) struct TokenServer {
    listener: Listener,
    certificate: String,
    scopes: Arc<Mutex<Vec<String>>>,
}

impl TokenServer {
    pub(crate) const SERVICE: &'static str = "test registry";
    pub(crate) const ISSUER: &'static str = "test issuer";

    pub(crate) fn start(policy: Policy) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let signer = Signer::new(&signing_key, cert.der());
        let scopes = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&scopes);
        let listener = Listener::start(move |mut stream, head| {
            let target = head.split(' ').nth(1).unwrap_or_default();
            let query = parameters(target);
            let find = |name| query.iter().find(|(it, _)| it == name).map(|(_, value)| value);
            let scope = find("scope").cloned().unwrap_or_default();
            heard.lock().unwrap().push(scope.clone());
            let answer = match allowed(&policy, header(&head, "authorization")) {
                Some(may) if find("service").is_some_and(|it| it == Self::SERVICE) => {
                    let token = signer.token(&access(&scope, may));
                    let body = json!({ policy.key: token, "expires_in": policy.expires_in });
                    raw(200, &[("content-type", "application/json")], body.to_string().as_bytes())
                }
                Some(_) | None => raw(401, &[], b"{}"),
            };
            let _ = stream.write_all(&answer);
        });
        Self { listener, certificate: cert.pem(), scopes }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> std::net::SocketAddr {
        self.listener.address()
    }

    /// The address that the registry names in its challenge.
    pub(crate) fn realm(&self) -> String {
        format!("http://{}/token", self.listener.address())
    }

    /// The certificate that the registry trusts tokens by.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The scopes asked for so far, one a token.
    pub(crate) fn scopes(&self) -> Vec<String> {
        self.scopes.lock().unwrap().clone()
    }
}

/// What the asker may do; `None` when the credentials are wrong.
fn allowed(policy: &Policy, authorization: Option<&str>) -> Option<&'static [&'static str]> {
    let Some(authorization) = authorization else { return Some(policy.anyone_may) };
    let right = STANDARD.encode(format!("{}:{}", policy.username, policy.password));
    (authorization == format!("Basic {right}")).then_some(policy.user_may)
}

/// The part of a scope `repository:NAME:ACTIONS` that is granted.
fn access(scope: &str, may: &[&str]) -> Value {
    let parts: Vec<_> = scope.splitn(3, ':').collect();
    let [kind, name, actions] = parts[..] else { return json!([]) };
    let actions: Vec<_> = actions.split(',').filter(|action| may.contains(action)).collect();
    json!([{ "type": kind, "name": name, "actions": actions }])
}

struct Signer {
    key: EcdsaKeyPair,
    header: String,
    random: SystemRandom,
}

impl Signer {
    fn new(key: &KeyPair, certificate: &[u8]) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = key.serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random);
        let x5c = [STANDARD.encode(certificate)];
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": x5c }).to_string();
        Self { key: key.unwrap(), header: URL_SAFE_NO_PAD.encode(header), random }
    }

    fn token(&self, access: &Value) -> String {
        let claims = json!({
            "iss": TokenServer::ISSUER, "sub": "test", "aud": TokenServer::SERVICE,
            "exp": EXPIRES, "nbf": 0, "iat": 0, "jti": "1", "access": access,
        });
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The parameters of a request target, decoded.
fn parameters(target: &str) -> Vec<(String, String)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pair = |it: &str| {
        let (name, value) = it.split_once('=')?;
        Some((name.to_owned(), decoded(value)))
    };
    query.split('&').filter_map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        match hex.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok()) {
            Some(byte) => (bytes, rest) = ([bytes, vec![byte]].concat(), &after[2..]),
            None => (bytes, rest) = ([bytes, vec![*first]].concat(), after),
        }
    }
    String::from_utf8(bytes).unwrap()
}

//! What a bundle says of the ops center: its host, the edge's name, and the token to join by.

use super::environment::Environment;
use crate::fleet::Bundle;
use crate::oci::RegistryHost;
use crate::registry::Secret;

/// The ops center that an edge reports to.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Where it is.
    pub host: RegistryHost,
    /// Whether it is spoken to without TLS: on this machine, or by `POTOROO_PLAIN_HTTP`.
    pub is_plain: bool,
    /// The edge's name.
    pub edge: String,
    /// The token to join by.
    pub token: Secret,
    /// How much the journal may take of the link, bytes a second; as much as there is without it.
    pub send_bytes_per_second: Option<u64>,
}

/// Bytes in a KiB, in which the setting counts.
const KIB: u64 = 1 << 10;

/// The largest pace that can be set, KiB a second: 1 GiB, more than a board's network brings.
const SEND_KIB_MAX: u64 = 1 << 20;

impl Environment {
    /// The ops center that the bundle names. A bundle that names none stops no engine.
    pub(super) fn link(
        &mut self,
        bundle: Option<&Bundle>,
        plain_http: &[RegistryHost],
        tls_only: &[RegistryHost],
    ) -> Option<LinkConfig> {
        const SEND: &str = "POTOROO_SEND_KIB";
        let expected = format!("a whole number of KiB a second from 1 to {SEND_KIB_MAX}");
        let pace = self.parsed::<u64>(SEND, &expected);
        if pace.is_some_and(|kib| !(1..=SEND_KIB_MAX).contains(&kib)) {
            self.problems.push(super::malformed(SEND, &expected));
        }
        let bundle = bundle?;
        let values =
            ["OPSCENTER_HOST", "EDGE_NAME", "JOIN_TOKEN"].map(|key| (key, bundle.value(key)));
        if let Some((key, _)) = values.iter().find(|(_, value)| value.is_none()) {
            self.warnings.push(format!(
                "EDGE_BUNDLE has no {key}: nothing is reported; copy the bundle of the ops center again"
            ));
        }
        let [host, edge, token] = values.map(|(_, value)| value);
        let (host, edge, token) = (host?, edge?, token?);
        let bare = host.strip_prefix("https://").unwrap_or(host);
        let is_tls = bare != host;
        let host: RegistryHost = match bare.trim_end_matches('/').parse() {
            Ok(host) => host,
            Err(error) => {
                let problem = format!(
                    "OPSCENTER_HOST of EDGE_BUNDLE is no host, nothing is reported: {error}"
                );
                self.warnings.push(problem);
                return None;
            }
        };
        let may_be_plain = host.is_loopback() || plain_http.contains(&host);
        Some(LinkConfig {
            is_plain: may_be_plain && !is_tls && !tls_only.contains(&host),
            host,
            edge: edge.to_owned(),
            token: Secret::new(token.to_owned()),
            send_bytes_per_second: pace.map(|kib| kib * KIB),
        })
    }
}

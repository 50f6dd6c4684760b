//! The handout for a bare device: a unit of systemd, and the file with its secrets.

use super::{Handout, is_plain};

/// Where the file with the secrets lies.
const SECRETS: &str = "/etc/potoroo/engine.env";

/// The two files of a device without containers.
#[derive(Clone, PartialEq, Eq)]
pub struct Systemd {
    /// `/etc/systemd/system/potoroo-engine.service`
    pub unit: String,
    /// `/etc/potoroo/engine.env`, which only root may read: login and bundle.
    pub environment: String,
}

/// Its second file may have a bundle in it.
impl std::fmt::Debug for Systemd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Systemd").field("unit", &self.unit).finish_non_exhaustive()
    }
}

impl Handout<'_> {
    /// The unit, under a user of its own that may write nowhere but below `/var/lib/potoroo`, where
    /// models and the session of an edge are kept.
    #[must_use]
    pub fn systemd(&self) -> Systemd {
        let mut settings = vec![set("PIPELINE_URL", self.pipeline_url)];
        settings.extend(self.registry.map(|registry| set("OCI_REGISTRY", &registry.to_string())));
        settings.push(set("CONFIG_CPUS", &self.cpus.to_string()));
        let settings = settings.join("\n");
        // A layout may lie in somebody's home.
        let home = if self.mounted().is_some() { "read-only" } else { "yes" };
        let unit = format!(
            "[Unit]
Description=potoroo engine
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
{settings}
Environment=POTOROO_PERSIST=%S/potoroo
# Login and edge bundle, in a file that only root may read.
EnvironmentFile=-{SECRETS}
ExecStart=/usr/local/bin/potoroo-engine
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
DynamicUser=yes
StateDirectory=potoroo
StateDirectoryMode=0700
CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome={home}
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0077

[Install]
WantedBy=multi-user.target
"
        );
        let mut environment = String::new();
        if self.registry.is_some() {
            environment.push_str("OCI_USERNAME=\nOCI_PASSWORD=\n");
        }
        if let Some(bundle) = self.bundle() {
            environment.push_str(&format!("EDGE_BUNDLE={bundle}\n"));
        }
        Systemd { unit, environment }
    }
}

/// One variable of a unit; `%`, quotes and backslashes would mean something else in it.
fn set(name: &str, value: &str) -> String {
    if is_plain(value) {
        return format!("Environment={name}={value}");
    }
    let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
    format!("Environment=\"{name}={value}\"")
}

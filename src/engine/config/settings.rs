//! Every environment variable of the engine, as `--help` and the README show it.

/// One environment variable of the engine, as `--help` and the README show it.
#[derive(Debug)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub meaning: &'static str,
}

/// Every variable that the engine reads. Those of the contract come first.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "PIPELINE_URL",
        default: "(required)",
        meaning: "The published pipeline: `registry/repository:tag`, `…@sha256:…`, or \
                  `oci-layout:PATH:TAG` for a directory or a tar file.",
    },
    Setting {
        name: "OCI_REGISTRY",
        default: "registry of PIPELINE_URL",
        meaning: "The registry that the credentials are for; they go to no other host.",
    },
    Setting {
        name: "OCI_USERNAME",
        default: "(anonymous)",
        meaning: "The registry's user name, `_json_key_base64` and its like included.",
    },
    Setting {
        name: "OCI_PASSWORD",
        default: "(anonymous)",
        meaning: "The registry's password or token.",
    },
    Setting {
        name: "CONFIG_CPUS",
        default: "the CPUs that cgroup and affinity allow",
        meaning: "Compute threads of the process, 1 to 1024; a fraction is rounded up.",
    },
    Setting {
        name: "EDGE_BUNDLE",
        default: "(none)",
        meaning: "The edge bundle of the ops center, base64. Its values win over the variables.",
    },
    Setting {
        name: "LOCAL_INFERENCE_STORAGE",
        default: "256Mi with EDGE_BUNDLE, else nothing is kept",
        meaning: "What the log of inferences may take on the disk, as `512Mi` or `1G`; the oldest \
                  go first. It turns `POST /logs` on.",
    },
    Setting {
        name: "PLATEAU_PAGE_SIZE",
        default: "1000",
        meaning: "Rows in a batch and on a page of the log, 1 to 10000.",
    },
    Setting { name: "DEBUG", default: "false", meaning: "`true` logs a line for each request." },
    Setting {
        name: "OCI_USERNAME_FILE",
        default: "(none)",
        meaning: "A file that holds `OCI_USERNAME`.",
    },
    Setting {
        name: "OCI_PASSWORD_FILE",
        default: "(none)",
        meaning: "A file that holds `OCI_PASSWORD`.",
    },
    Setting {
        name: "EDGE_BUNDLE_FILE",
        default: "(none)",
        meaning: "A file that holds `EDGE_BUNDLE`.",
    },
    Setting {
        name: "POTOROO_API_KEY",
        default: "(none)",
        meaning: "The key that clients show as `Authorization: Bearer KEY` or `X-API-Key: KEY`; \
                  `/healthz` and `/v2/health` need none.",
    },
    Setting {
        name: "POTOROO_API_KEY_FILE",
        default: "(none)",
        meaning: "A file that holds `POTOROO_API_KEY`.",
    },
    Setting {
        name: "POTOROO_LISTEN",
        default: "0.0.0.0:8080",
        meaning: "Address and port to listen on.",
    },
    Setting {
        name: "POTOROO_GRACE_SECONDS",
        default: "2",
        meaning: "After SIGTERM: how long the engine serves on while `/healthz` says 503, 0 to 3600.",
    },
    Setting {
        name: "POTOROO_REQUEST_SECONDS",
        default: "30",
        meaning: "How long an inference may wait and compute before it gets 503, 1 to 3600.",
    },
    Setting {
        name: "POTOROO_BATCH",
        default: "true",
        meaning: "Whether single rows that wait for a CPU in a long line compute together; an output \
                  may then differ in its last digit from what the row gives alone.",
    },
    Setting {
        name: "POTOROO_KERNELS",
        default: "true",
        meaning: "Whether nets of images and of words and recurrent layers run on the engine's own \
                  kernels; `false` is slower, and there to find out whether an answer is theirs. \
                  `-patches,-norms` leaves these off alone; `doctor` names them all.",
    },
    Setting {
        name: "POTOROO_PERSIST",
        default: "/persist, else $XDG_STATE_HOME/potoroo",
        meaning: "The persistent directory: fetched models are kept there. `/persist` counts where \
                  it exists and can be written.",
    },
    Setting {
        name: "POTOROO_LOG_SECONDS",
        default: "5",
        meaning: "How long an inference may wait in memory before it is written into the log, 1 to \
                  3600: what a power cut takes at most. Longer spares an SD card.",
    },
    Setting {
        name: "POTOROO_LOG_VALUE",
        default: "64Ki",
        meaning: "Bytes that one column may have in a row of the log, `8` to `2Mi`; longer values \
                  are left out, and named in `metadata.dropped`.",
    },
    Setting {
        name: "POTOROO_PLAIN_HTTP",
        default: "(none)",
        meaning: "Registries and ops centers, `host:port` with commas between, that are asked \
                  without TLS. Loopback needs no entry.",
    },
    Setting {
        name: "POTOROO_SIGNATURES",
        default: "off, or require with a key",
        meaning: "`require`: a pipeline without a signature by a trusted key does not run; `warn`: \
                  it runs and the log says so; `off`: nothing is checked.",
    },
    Setting {
        name: "POTOROO_SIGNATURE_KEY",
        default: "(none)",
        meaning: "The trusted public keys: a PEM file of one or several, as `cosign.pub`, or a \
                  directory of `*.pub` and `*.pem` files.",
    },
    Setting {
        name: "POTOROO_KNOWN_ANSWERS",
        default: "warn",
        meaning: "`require`: a pipeline that computes something else here than its known answers \
                  does not run; `warn`: it runs and log, page and metrics say so; `off`: they are \
                  not computed.",
    },
    Setting {
        name: "POTOROO_MEMORY",
        default: "warn",
        meaning: "`require`: a model for which the memory will hardly do is not loaded, and the \
                  pipeline before goes on; `warn`: it is loaded and the log has the numbers, unless \
                  its file alone is larger than what is free; `off`: nothing is estimated.",
    },
    Setting {
        name: "POTOROO_TLS_CERT",
        default: "(none)",
        meaning: "The server's certificate chain, a PEM file. With it the engine speaks TLS alone, \
                  and reads both files again when they change.",
    },
    Setting {
        name: "POTOROO_TLS_KEY",
        default: "(none)",
        meaning: "The private key of `POTOROO_TLS_CERT`, a PEM file.",
    },
    Setting {
        name: "POTOROO_CA_FILE",
        default: "(none)",
        meaning: "A PEM file with the certificates of further authorities: they are trusted beside \
                  the built-in ones, by registry, token service, ops center and proxy.",
    },
    Setting {
        name: "SSL_CERT_FILE",
        default: "(none)",
        meaning: "The same where `POTOROO_CA_FILE` is not set; one that cannot be used is told and \
                  left out.",
    },
    Setting {
        name: "HTTPS_PROXY",
        default: "(none)",
        meaning: "The proxy for hosts with TLS, `http://user:password@host:port`. This and the \
                  next three may be written in small letters; loopback is never asked by a proxy.",
    },
    Setting {
        name: "HTTP_PROXY",
        default: "(none)",
        meaning: "The proxy for hosts without TLS; it is asked to `CONNECT` too.",
    },
    Setting {
        name: "ALL_PROXY",
        default: "(none)",
        meaning: "The proxy for hosts that have none by the two before.",
    },
    Setting {
        name: "NO_PROXY",
        default: "(none)",
        meaning: "What is reached without a proxy, with commas between: `host` with all below it, \
                  `.domain`, `*.domain`, an address, `address/bits`, each but the last with `:port` \
                  if wanted, or `*`.",
    },
    Setting {
        name: "POTOROO_SEND_KIB",
        default: "as much as there is",
        meaning: "How much of the network the journal may take on its way to the ops center, KiB a \
                  second, 1 to 1048576.",
    },
    Setting {
        name: "REGISTRY_AUTH_FILE",
        default: "(none)",
        meaning: "A file of logins as podman keeps it. The first login for the registry is used \
                  where `OCI_USERNAME` and `OCI_PASSWORD` are not set.",
    },
    Setting {
        name: "DOCKER_CONFIG",
        default: "$HOME/.docker",
        meaning: "The directory of docker's `config.json`, or of a `.dockerconfigjson`, which is \
                  looked at next; the last is `$XDG_RUNTIME_DIR/containers/auth.json`.",
    },
];

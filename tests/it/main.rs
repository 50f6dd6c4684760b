//! One integration crate: the real binaries, a real registry, and the peers' own tools as clients.
//!
//! It reads as a table of contents; what each part needs is in `support`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(unreachable_pub, reason = "nothing of a test crate is reached from outside")]

mod support;

// The sources themselves: layers, doors, the map, what is compiled for size.
mod cold;
mod documented;
mod layers;
mod sources;

// The contract's story, end to end.
mod story;

// The same by the ops center, and what a kill leaves of publishes and uploads.
mod disk_faults;
mod publish_kills;
mod story_center;
mod upload_kills;
mod wrong_clocks;

// What we push to a real registry is what we pull, whoever we have to be.
mod registry_roundtrip;

// A registry that lies, stalls, cuts or sends us elsewhere is refused by name.
mod registry_faults;

// The registry that the ops center has of its own, to other tools and to our engine.
mod distribution;

// Over a link that is cut, stalls and lies, what has come is kept and the rest is fetched.
mod pulling;

// Registries by TLS of an own authority, by proxies, and with logins that other tools keep.
mod proxies;
mod secure_registry;

// What a device is told about itself, and what a supervisor asks.
mod doctor;

// Answers beside onnxruntime's, inputs by pyarrow and pandas.
mod inference;

// Models of scikit-learn and its kin beside onnxruntime, and nets in integers of 8 bits.
mod ml;
mod original;
mod quantised;

// An engine of another processor beside this machine's: cross/test says which.
mod cross;

// What was inferred, kept on the device.
mod journal;

// The other forms of answers, and the other protocol.
mod later_forms;

// Rows whose outputs are known, proven before anyone is answered.
mod known_answers;

// Several models, and what is held against their answers.
mod steps;

// What a person with a browser sees: of an engine, and of the ops center.
mod dashboard;
mod page;

// Python's and Node's HTTP clients, curl, and a client that sends all at once.
mod clients;

// How it counts, bounds its work, and stops.
mod service;

// What is refused, and how.
mod bad_input;
mod malformed;
mod memory;
mod start_faults;

// A start without a registry, another pipeline while one answers, a power cut at any moment.
mod kept_graphs;
mod kills;
mod offline_start;
mod switch;

// Edges that are told to run another publish, in waves, and go back by themselves.
mod rollouts;

// The store in an operator's hands.
mod store_commands;

// What the network can do to a running engine: after each fault it serves, and nothing is left.
mod faults;

// The ops center: who may do what, its backup, and power cuts.
mod access;
mod center_backup;
mod center_kills;

// Edges that join an ops center, and what kills and lost answers leave of it.
mod link;
mod link_kills;
mod link_offline;
mod link_refusals;
mod link_sending;
mod logs_center;

// How far what edges infer has moved, beside numpy.
mod drift;

// Who published it, and who may say so; and the way over an air gap.
mod air_gap;
mod referrers;
mod signatures;

// The chart of a publish, in the hands of Helm and of Kubernetes' schemas.
mod charts;

// The commands that a publish prints, as their readers take them.
mod garbage;
mod handouts;

// The images, by the contract's commands and files.
mod images;

// The engine as a service of systemd, and in the bounds that one sets.
mod units;
// Weights in files beside a model.
mod side_files;

// Publishing, and other tools on what was published.
mod publishing;

// The ops center: models and pipelines through its API, and what its document says of that.
mod models_api;
mod openapi;
mod pipelines_api;

// The same from a command line and from Python.
mod cli;
mod sdk;

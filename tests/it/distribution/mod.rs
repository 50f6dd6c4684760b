//! The built-in registry: what the specification has it say, who may hear it, and that real tools pull from it.

mod clients;
mod logins;
mod refusals;
mod writers;

mod pulling;

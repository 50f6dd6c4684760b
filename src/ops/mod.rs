//! The program that people use: the ops center, and the commands that publish, sign and carry pipelines.

mod access;
mod address;
mod api;
mod center;
mod client;
mod dashboard;
mod drift;
mod edges;
mod fleet;
mod garbage;
mod healthcheck;
mod home;
mod login;
mod logs;
mod models;
mod name;
mod pipelines;
mod publishes;
mod rollouts;
mod store;
mod trial;

pub mod backup;
pub mod chart;
pub mod cli;
pub mod distribution;
pub mod export;
pub mod handout;
pub mod keygen;
pub mod proxies;
pub mod publish;
pub mod serve;
pub mod settings;
pub mod sign;
pub mod surroundings;

pub use login::Login;

//! The program that people use: the ops center, and the commands that publish, sign and carry pipelines.

mod access;
mod api;
mod center;
mod home;
mod login;
mod store;

pub mod backup;
pub mod cli;
pub mod export;
pub mod keygen;
pub mod publish;
pub mod serve;
pub mod settings;
pub mod sign;
pub mod surroundings;

pub use login::Login;

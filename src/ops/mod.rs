//! The program that people use: today it publishes pipelines, to a registry or into a directory.

pub mod publish;
pub mod surroundings;

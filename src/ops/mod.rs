//! The program that people use: it publishes pipelines, signs them, and carries them over air gaps.

mod login;

pub mod chart;
pub mod export;
pub mod handout;
pub mod keygen;
pub mod publish;
pub mod sign;
pub mod surroundings;

pub use login::Login;

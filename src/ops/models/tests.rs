//! The files of models: whole or not at all, once for each digest, and never taken from another.

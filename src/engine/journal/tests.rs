//! A journal with real files: written, read, cut and full.

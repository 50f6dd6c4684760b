//! Malformed models: each is refused by a sentence, and none is more than an error.

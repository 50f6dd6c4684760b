//! Stretches of integers held against the operators that they come from: equal, not near.

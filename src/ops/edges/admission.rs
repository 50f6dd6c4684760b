//! Who may pull from the built-in registry: an edge what it runs, and a member of a workspace what is in it.

use crate::oci::{Digest, Repository};
use crate::ops::access::{Role, hashed};
use crate::ops::center::Center;
use crate::ops::distribution::{Admission, Verdict};
use crate::ops::publishes::{BUILT_IN_FOLDERS, built_in_prefix};
use crate::ops::store::StoreError;
use crate::registry::Secret;
use std::sync::Arc;

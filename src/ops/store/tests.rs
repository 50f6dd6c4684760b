//! The store's transactions: whole or not at all, and never over a later schema.

use super::*;
use crate::ops::store::access::User;

fn user(email: &str) -> User {
    let id = format!("id of {email}");
    User { id, email: email.to_owned(), is_admin: false, is_enabled: true, created_ms: 1 }
}

#[test]
fn a_change_that_fails_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&home.path().join("records.db")).unwrap();
    let failed: Result<(), StoreError> = store.write(|tx| {
        tx.add_user(&user("a@example.com"), None)?;
        tx.add_user(&user("A@example.com"), None)
    });
    assert!(matches!(failed, Err(StoreError::Taken(_))), "{failed:?}");
    let found: Result<_, StoreError> = store.read(|tx| tx.user("id of a@example.com"));
    assert_eq!(found.unwrap(), None);
}

#[test]
fn what_was_written_is_there_after_another_opening() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("records.db");
    let kept = user("a@example.com");
    let store = Store::open(&path).unwrap();
    store.write(|tx| tx.add_user(&kept, None)).unwrap();
    drop(store);
    let found: Result<_, StoreError> = Store::open(&path).unwrap().read(|tx| tx.user(&kept.id));
    assert_eq!(found.unwrap(), Some(kept));
}

#[test]
fn records_of_a_later_version_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("records.db");
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error}");
}

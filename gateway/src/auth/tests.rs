//! Logins against small configurations. Hashes are cheap ones, made for the test.

use super::*;

/// The hash of `press` with the least argon2id allows.
const CHEAP: &str =
    "$argon2id$v=19$m=8,t=1,p=1$YnVzYmFyLCB0ZXN0$8mzv5ZPeUXUiyOivm9LpbbE3naloa4K3wI/O3kmfyk8";

fn config(users: &str) -> Config {
    let text = users.replace("HASH", CHEAP);
    Config::parse(Some(("test.toml", &text)), &[]).unwrap_or_else(|report| panic!("{report}"))
}

fn authenticator(users: &str) -> Authenticator {
    Authenticator::new(&config(users)).unwrap()
}

const PRESS: &str = "[[users]]\nname = \"press4\"\npassword_hash = \"HASH\"\ntags = [\"line1\"]\n";

#[test]
fn the_right_password_gives_the_user() {
    let authenticator = authenticator(PRESS);
    for origin in [Origin::Loopback, Origin::Network] {
        let identity = authenticator.verify("press4", b"press", origin).unwrap();
        assert_eq!(identity.user.name, "press4");
        assert_eq!(identity.user.tags, ["line1"]);
    }
}

#[test]
fn every_refusal_is_the_same() {
    let users = format!("{PRESS}[[users]]\nname = \"nobody\"\npassword_hash = \"\"\n");
    let authenticator = authenticator(&users);
    for (name, password) in [
        ("press4", "Press"),
        ("press4", ""),
        ("unknown", "press"),
        ("", ""),
        ("nobody", ""),
        // The decoy's own password opens nothing.
        ("nobody", "press"),
    ] {
        let result = authenticator.verify(name, password.as_bytes(), Origin::Loopback);
        assert_eq!(result, Err(Refused), "{name:?} {password:?}");
    }
}

#[test]
fn guest_logs_in_from_this_machine_only() {
    let authenticator = Authenticator::new(&Config::default()).unwrap();
    assert!(
        authenticator
            .verify("guest", b"guest", Origin::Loopback)
            .is_ok()
    );
    assert_eq!(
        authenticator.verify("guest", b"guest", Origin::Network),
        Err(Refused)
    );
    assert_eq!(
        authenticator.verify("guest", b"wrong", Origin::Loopback),
        Err(Refused)
    );
}

#[test]
fn a_password_once_proved_is_not_hashed_again() {
    let authenticator = authenticator(PRESS);
    let account = &authenticator.accounts["press4"];
    assert!(!authenticator.is_proved(account, b"press"));
    authenticator
        .verify("press4", b"press", Origin::Network)
        .unwrap();
    assert!(authenticator.is_proved(account, b"press"));
    // While somebody else holds the slow path, who is proved gets through and nobody waits.
    let _slow = lock(&authenticator.slow_check);
    assert!(
        authenticator
            .verify("press4", b"press", Origin::Network)
            .is_ok()
    );
}

#[test]
fn a_wrong_password_proves_nothing_and_forgets_nothing() {
    let authenticator = authenticator(PRESS);
    let account = &authenticator.accounts["press4"];
    assert!(
        authenticator
            .verify("press4", b"wrong", Origin::Network)
            .is_err()
    );
    assert!(lock(&account.proved).is_none());
    authenticator
        .verify("press4", b"press", Origin::Network)
        .unwrap();
    assert!(
        authenticator
            .verify("press4", b"wrong", Origin::Network)
            .is_err()
    );
    assert!(authenticator.is_proved(account, b"press"));
}

#[test]
fn proofs_of_two_processes_differ() {
    let (first, second) = (authenticator(PRESS), authenticator(PRESS));
    assert_ne!(first.proof_key, second.proof_key);
}

#[test]
fn anonymous_clients_are_guest_and_local_unless_allowed() {
    let authenticator = Authenticator::new(&Config::default()).unwrap();
    let verify = |allowed, origin| authenticator.verify_anonymous(allowed, origin);
    let identity = verify(Anonymous::FromLoopback, Origin::Loopback).unwrap();
    assert_eq!(identity.user.name, "guest");
    assert_eq!(
        verify(Anonymous::FromLoopback, Origin::Network),
        Err(Refused)
    );
    assert!(verify(Anonymous::FromAnywhere, Origin::Network).is_ok());
}

#[test]
fn without_the_anonymous_user_nobody_is_anonymous() {
    let authenticator = authenticator(PRESS);
    let result = authenticator.verify_anonymous(Anonymous::FromAnywhere, Origin::Loopback);
    assert_eq!(result, Err(Refused));
}

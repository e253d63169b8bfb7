//! Logins against small configurations. Hashes are cheap ones, made for the test.

use routing::Access;

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

fn peer(is_loopback: bool) -> Peer {
    Peer {
        address: None,
        local: None,
        is_loopback,
    }
}

/// A login from another machine.
fn login(
    authenticator: &Authenticator,
    user: &str,
    password: &'static str,
) -> Result<Arc<Identity>, AuthError> {
    login_from(authenticator, user, password, peer(false))
}

fn login_from(
    authenticator: &Authenticator,
    user: &str,
    password: &'static str,
    peer: Peer,
) -> Result<Arc<Identity>, AuthError> {
    let (user, password) = (user.into(), password.into());
    let credentials = Credentials::Password { user, password };
    authenticator.authenticate(&credentials, &peer, Anonymous::FromLoopback)
}

#[test]
fn the_right_password_gives_the_user_with_its_rights() {
    let grant = "[[users.permissions]]\nvhost = \"/\"\nwrite = \"^amq\"\nread = \"topic$\"\n";
    let authenticator = authenticator(&format!("{PRESS}{grant}"));
    let identity = login(&authenticator, "press4", "press").unwrap();
    assert_eq!(
        (identity.user.as_str(), identity.default_vhost.as_str()),
        ("press4", "/")
    );
    assert!(identity.has_tag("line1") && !identity.has_tag("administrator"));
    assert!(identity.may_enter("/") && !identity.may_enter("other"));
    assert!(identity.may("/", Access::Write, "amq.topic"));
    assert!(!identity.may("/", Access::Write, "my.amq"));
    assert!(identity.may("/", Access::Read, "my.topic"));
    // Nothing was said of it.
    assert!(!identity.may("/", Access::Configure, "amq.topic"));
}

#[test]
fn every_wrong_login_gets_the_same_answer() {
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
        let result = login_from(&authenticator, name, password, peer(true)).map(|_| ());
        assert_eq!(
            result,
            Err(AuthError::BadCredentials),
            "{name:?} {password:?}"
        );
    }
}

#[test]
fn guest_logs_in_from_this_machine_only() {
    let authenticator = Authenticator::new(&Config::default()).unwrap();
    let identity = login_from(&authenticator, "guest", "guest", peer(true)).unwrap();
    assert!(identity.may("/", Access::Configure, "anything"));
    let refusal = |password| login(&authenticator, "guest", password).unwrap_err();
    assert_eq!(refusal("guest"), AuthError::LoopbackOnly);
    // Who does not know the password does not learn that it was the place.
    assert_eq!(refusal("wrong"), AuthError::BadCredentials);
}

#[test]
fn a_password_once_proved_is_not_hashed_again() {
    let authenticator = authenticator(PRESS);
    let account = &authenticator.accounts["press4"];
    assert!(!authenticator.is_proved(account, b"press"));
    login(&authenticator, "press4", "press").unwrap();
    assert!(authenticator.is_proved(account, b"press"));
    // While somebody else holds the slow path, who is proved gets through and nobody waits.
    let _slow = lock(&authenticator.slow_check);
    assert!(login(&authenticator, "press4", "press").is_ok());
}

#[test]
fn a_wrong_password_proves_nothing_and_forgets_nothing() {
    let authenticator = authenticator(PRESS);
    let account = &authenticator.accounts["press4"];
    assert!(login(&authenticator, "press4", "wrong").is_err());
    assert!(lock(&account.proved).is_none());
    login(&authenticator, "press4", "press").unwrap();
    assert!(login(&authenticator, "press4", "wrong").is_err());
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
    let login = |allowed, is_loopback| {
        let answer =
            authenticator.authenticate(&Credentials::Anonymous, &peer(is_loopback), allowed);
        answer.map(|identity| identity.user.clone())
    };
    assert_eq!(login(Anonymous::FromLoopback, true), Ok("guest".into()));
    assert_eq!(
        login(Anonymous::FromLoopback, false),
        Err(AuthError::AnonymousRefused)
    );
    assert_eq!(login(Anonymous::FromAnywhere, false), Ok("guest".into()));
}

#[test]
fn without_the_anonymous_user_nobody_is_anonymous() {
    let authenticator = authenticator(PRESS);
    let anonymous = Anonymous::FromAnywhere;
    let answer = authenticator.authenticate(&Credentials::Anonymous, &peer(true), anonymous);
    assert_eq!(answer.unwrap_err(), AuthError::AnonymousRefused);
}

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
async fn login(
    authenticator: &Authenticator,
    user: &str,
    password: &'static str,
) -> Result<Arc<Identity>, AuthError> {
    login_from(authenticator, user, password, peer(false)).await
}

async fn login_from(
    authenticator: &Authenticator,
    user: &str,
    password: &'static str,
    peer: Peer,
) -> Result<Arc<Identity>, AuthError> {
    let (user, password) = (user.into(), password.into());
    let credentials = Credentials::Password { user, password };
    authenticator
        .authenticate(credentials, peer, Anonymous::FromLoopback)
        .await
}

#[tokio::test]
async fn the_right_password_gives_the_user_with_its_rights() {
    let grant = "[[users.permissions]]\nvhost = \"/\"\nwrite = \"^amq\"\nread = \"topic$\"\n";
    let authenticator = authenticator(&format!("{PRESS}{grant}"));
    let identity = login(&authenticator, "press4", "press").await.unwrap();
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

#[tokio::test]
async fn every_wrong_login_gets_the_same_answer() {
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
        let refusal = login_from(&authenticator, name, password, peer(true))
            .await
            .unwrap_err();
        assert_eq!(refusal, AuthError::BadCredentials, "{name:?} {password:?}");
    }
    // All of them took as long.
    assert_eq!(authenticator.slow_checks(), 6);
}

#[tokio::test]
async fn guest_logs_in_from_this_machine_only() {
    let authenticator = Authenticator::new(&Config::default()).unwrap();
    let identity = login_from(&authenticator, "guest", "guest", peer(true))
        .await
        .unwrap();
    assert!(identity.may("/", Access::Configure, "anything"));
    let refusal = login(&authenticator, "guest", "guest").await.unwrap_err();
    assert_eq!(refusal, AuthError::LoopbackOnly);
    // Who does not know the password does not learn that it was the place.
    let refusal = login(&authenticator, "guest", "wrong").await.unwrap_err();
    assert_eq!(refusal, AuthError::BadCredentials);
}

#[tokio::test]
async fn a_password_once_proved_is_not_hashed_again() {
    let authenticator = authenticator(PRESS);
    let account = &authenticator.accounts["press4"];
    assert!(!authenticator.is_proved(account, b"press"));
    login(&authenticator, "press4", "press").await.unwrap();
    assert!(authenticator.is_proved(account, b"press"));
    // While somebody else holds the slow path, who is proved gets through and nobody waits.
    let _turn = authenticator.turn.lock().await;
    assert!(login(&authenticator, "press4", "press").await.is_ok());
    assert_eq!(authenticator.slow_checks(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_one_users_clients_costs_one_check() {
    let authenticator = Arc::new(authenticator(PRESS));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let authenticator = Arc::clone(&authenticator);
        clients.spawn(async move { login(&authenticator, "press4", "press").await.is_ok() });
    }
    assert!(clients.join_all().await.into_iter().all(|is_in| is_in));
    assert_eq!(authenticator.slow_checks(), 1);
}

#[tokio::test]
async fn who_hangs_up_while_waiting_waits_no_more() {
    let authenticator = authenticator(PRESS);
    let turn = authenticator.turn.lock().await;
    let gone = login(&authenticator, "unknown", "press");
    assert!(
        tokio::time::timeout(std::time::Duration::ZERO, gone)
            .await
            .is_err()
    );
    drop(turn);
    assert!(login(&authenticator, "press4", "press").await.is_ok());
    assert_eq!(authenticator.slow_checks(), 1);
}

#[tokio::test]
async fn a_wrong_password_proves_nothing_and_forgets_nothing() {
    let authenticator = authenticator(PRESS);
    let account = &authenticator.accounts["press4"];
    assert!(login(&authenticator, "press4", "wrong").await.is_err());
    assert!(lock(&account.proved).is_none());
    login(&authenticator, "press4", "press").await.unwrap();
    assert!(login(&authenticator, "press4", "wrong").await.is_err());
    assert!(authenticator.is_proved(account, b"press"));
}

#[test]
fn proofs_of_two_processes_differ() {
    let (first, second) = (authenticator(PRESS), authenticator(PRESS));
    assert_ne!(first.proof_key, second.proof_key);
}

#[tokio::test]
async fn anonymous_clients_are_guest_and_local_unless_allowed() {
    let authenticator = Authenticator::new(&Config::default()).unwrap();
    for (allowed, is_loopback, expected) in [
        (Anonymous::FromLoopback, true, Ok("guest".into())),
        (
            Anonymous::FromLoopback,
            false,
            Err(AuthError::AnonymousRefused),
        ),
        (Anonymous::FromAnywhere, false, Ok("guest".into())),
    ] {
        let answer = authenticator
            .authenticate(Credentials::Anonymous, peer(is_loopback), allowed)
            .await;
        assert_eq!(answer.map(|identity| identity.user.clone()), expected);
    }
}

#[tokio::test]
async fn without_the_anonymous_user_nobody_is_anonymous() {
    let authenticator = authenticator(PRESS);
    let anonymous = Anonymous::FromAnywhere;
    let answer = authenticator.authenticate(Credentials::Anonymous, peer(true), anonymous);
    assert_eq!(answer.await.unwrap_err(), AuthError::AnonymousRefused);
}

/// A login by SCRAM; returns the challenge as well.
fn scram_login(
    authenticator: &Authenticator,
    (user, password): (&str, &str),
    peer: Peer,
) -> (String, Result<SaslReply, AuthError>) {
    let mut exchange = None;
    let step = |is_first, data: String| SaslStep {
        mechanism: "SCRAM-SHA-256".into(),
        is_first,
        data: data.into(),
    };
    let first = step(true, format!("n,,n={user},r=abc"));
    let challenge = match authenticator.sasl(&mut exchange, &first, peer) {
        Ok(SaslReply::Challenge(challenge)) => String::from_utf8(challenge.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    };
    let last = step(false, scram::client_final(user, password, &challenge));
    let reply = authenticator.sasl(&mut exchange, &last, peer);
    assert!(exchange.is_none());
    (challenge, reply)
}

#[test]
fn scram_lets_in_who_knows_the_password() {
    let authenticator = Authenticator::new(&Config::default()).unwrap();
    let (_, reply) = scram_login(&authenticator, ("guest", "guest"), peer(true));
    let Ok(SaslReply::Done { identity, data }) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(identity.user.as_str(), "guest");
    assert!(data.starts_with(b"v="));
    let elsewhere = scram_login(&authenticator, ("guest", "guest"), peer(false)).1;
    assert_eq!(elsewhere.unwrap_err(), AuthError::LoopbackOnly);
}

#[test]
fn scram_compares_prepared_names_and_passwords() {
    // SASLprep makes "IX" of both names; the verifier is that of the prepared password.
    let verifier = crate::passwd::scram("\u{2168}pass\u{AD}").unwrap();
    let user = |name: &str| {
        format!(
            "[[users]]\nname = \"{name}\"\npassword_hash = \"HASH\"\nscram_sha256 = \"{verifier}\"\n"
        )
    };
    let authenticator = authenticator(&user("\u{2168}"));
    for name in ["IX", "I\u{AD}X", "\u{2168}"] {
        let (_, reply) = scram_login(&authenticator, (name, "IXpass"), peer(true));
        let Ok(SaslReply::Done { identity, .. }) = reply else {
            panic!("{name:?}: {reply:?}");
        };
        assert_eq!(identity.user.as_str(), "\u{2168}");
    }
    let (_, reply) = scram_login(&authenticator, ("ix", "IXpass"), peer(true));
    assert_eq!(reply.unwrap_err(), AuthError::BadCredentials);
}

#[test]
fn scram_does_not_tell_who_exists() {
    let authenticator = authenticator(PRESS);
    for user in ["press4", "nobody"] {
        let salt_of = |challenge: &str| challenge.split(',').nth(1).unwrap().to_owned();
        let (first, reply) = scram_login(&authenticator, (user, "press"), peer(true));
        assert_eq!(reply.unwrap_err(), AuthError::BadCredentials, "{user}");
        let (second, _) = scram_login(&authenticator, (user, "press"), peer(true));
        assert_eq!(salt_of(&first), salt_of(&second));
        assert_ne!(first, second);
    }
}

#[test]
fn a_step_without_a_first_one_proves_nothing() {
    let authenticator = authenticator(PRESS);
    let step = SaslStep {
        mechanism: "SCRAM-SHA-256".into(),
        is_first: false,
        data: "c=biws,r=abc,p=AAAA".into(),
    };
    let reply = authenticator.sasl(&mut None, &step, peer(true));
    assert_eq!(reply.unwrap_err(), AuthError::BadCredentials);
}

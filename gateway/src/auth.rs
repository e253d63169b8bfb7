//! Who a client is: names and passwords against the configured users.
//!
//! A password is checked with argon2id, which takes tens of milliseconds and megabytes by design.
//! Two things keep a storm of reconnecting clients from paying that each time: the last password
//! that was right is remembered per user, as a keyed hash under a key that lives as long as the
//! process, and slow checks run one at a time, so that who waited finds what the one before him
//! proved. Strangers thus cost at most one core, one thread and one hash's memory, however many
//! they are: who waits for his turn holds nothing, and who hangs up waits no more.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use blake2::Blake2sMac256;
use blake2::digest::{FixedOutput, KeyInit, Mac};
use bytes::Bytes;
use regex::Regex;
use routing::permission::key_pattern;
use routing::{
    AuthError, Credentials, Identity, Name, Peer, Permissions, SaslReply, SaslStep,
    TopicPermissions,
};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::task::spawn_blocking;

use crate::config::{Config, Permission, TopicPermission, User};

mod scram;

pub use scram::{Exchange, Verifier, prepare};

/// Whether a listener lets clients without credentials in from other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// `allow_anonymous = true`.
    FromAnywhere,
    /// The default.
    FromLoopback,
}

/// The configured users and what was proved about them.
#[derive(Debug)]
pub struct Authenticator {
    accounts: HashMap<String, Account>,
    /// Names as SASLprep leaves them, with the names as they are configured.
    prepared: HashMap<String, String>,
    anonymous: Option<Arc<Identity>>,
    /// Checked when there is no hash to check, so that the answer takes as long.
    decoy: String,
    proof_key: [u8; 32],
    /// Held by the one slow check that runs.
    turn: Arc<tokio::sync::Mutex<()>>,
    slow_checks: AtomicU64,
}

#[derive(Debug)]
struct Account {
    identity: Arc<Identity>,
    password_hash: Option<String>,
    verifier: Option<Verifier>,
    loopback_only: bool,
    proved: Mutex<Option<Proof>>,
}

/// A keyed hash of a password that was right.
type Tag = [u8; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proof(Tag);

impl Authenticator {
    /// Takes the users of a configuration.
    ///
    /// # Errors
    /// An I/O error if the system has no randomness for the key, or if a permission is no regular
    /// expression, which a [`Config`] that was checked does not have.
    pub fn new(config: &Config) -> io::Result<Self> {
        let mut accounts = HashMap::new();
        for user in &config.users {
            accounts.insert(user.name.clone(), Account::new(user)?);
        }
        let anonymous = accounts.get(&config.authentication.anonymous_user);
        let mut proof_key = [0; 32];
        getrandom(&mut proof_key, GetRandomFlags::empty())?;
        Ok(Self {
            anonymous: anonymous.map(|account| Arc::clone(&account.identity)),
            decoy: costliest_hash(&config.users),
            prepared: prepared(&config.users),
            accounts,
            proof_key,
            turn: Arc::default(),
            slow_checks: AtomicU64::new(0),
        })
    }

    /// Answers who a client is: at once if the same password was right before, else when its turn
    /// has come and tens of milliseconds have passed. May be dropped at any time.
    ///
    /// # Errors
    /// [`AuthError`]. Where it comes from is told only to who has the right password.
    pub async fn authenticate(
        &self,
        credentials: Credentials,
        peer: Peer,
        anonymous: Anonymous,
    ) -> Result<Arc<Identity>, AuthError> {
        match credentials {
            Credentials::Anonymous => {
                let is_allowed = peer.is_loopback || anonymous == Anonymous::FromAnywhere;
                let identity = self.anonymous.clone().filter(|_| is_allowed);
                identity.ok_or(AuthError::AnonymousRefused)
            }
            Credentials::Password { user, password } => {
                let account = self.accounts.get(user.as_str());
                let is_right = self.is_password_right(account, password).await;
                let account = account
                    .filter(|_| is_right)
                    .ok_or(AuthError::BadCredentials)?;
                if account.loopback_only && !peer.is_loopback {
                    return Err(AuthError::LoopbackOnly);
                }
                Ok(Arc::clone(&account.identity))
            }
        }
    }

    /// Who a configured user is, for clients that cannot prove anything.
    ///
    /// # Errors
    /// [`AuthError::BadCredentials`] if there is none of that name any more.
    pub fn user(&self, name: &str) -> Result<Arc<Identity>, AuthError> {
        let account = self.accounts.get(name).ok_or(AuthError::BadCredentials)?;
        Ok(Arc::clone(&account.identity))
    }

    /// Takes a step of SCRAM-SHA-256, which is quick: the slow part is the client's. `exchange` is
    /// what the step before left.
    ///
    /// # Errors
    /// [`AuthError`]; the exchange is over then.
    pub fn sasl(
        &self,
        exchange: &mut Option<Box<Exchange>>,
        step: &SaslStep,
        peer: Peer,
    ) -> Result<SaslReply, AuthError> {
        let message = std::str::from_utf8(&step.data).map_err(|_| AuthError::BadCredentials)?;
        if step.is_first {
            let nonce = scram::nonce().map_err(|_| AuthError::BadCredentials)?;
            let begun = Exchange::begin(message, &nonce, |user| self.verifier(user));
            let (begun, challenge) = begun.ok_or(AuthError::BadCredentials)?;
            *exchange = Some(Box::new(begun));
            return Ok(SaslReply::Challenge(challenge.into()));
        }
        let begun = exchange.take().ok_or(AuthError::BadCredentials)?;
        let proved = begun.finish(message).ok_or(AuthError::BadCredentials)?;
        let account = self.prepared_account(&proved.user);
        // Unknown users have a verifier that nobody can fit, but it is no proof of anything.
        let account = account.filter(|account| account.verifier.is_some());
        let account = account.ok_or(AuthError::BadCredentials)?;
        if account.loopback_only && !peer.is_loopback {
            return Err(AuthError::LoopbackOnly);
        }
        Ok(SaslReply::Done {
            identity: Arc::clone(&account.identity),
            data: proved.message.into(),
        })
    }

    /// A user's verifier; for one that does not exist, one that looks the same each time.
    fn verifier(&self, user: &str) -> Verifier {
        let known = self
            .prepared_account(user)
            .and_then(|account| account.verifier.clone());
        known.unwrap_or_else(|| {
            let seed: Tag = self.tag(user.as_bytes()).finalize_fixed().into();
            Verifier::decoy(&seed)
        })
    }

    fn prepared_account(&self, prepared: &str) -> Option<&Account> {
        self.accounts.get(self.prepared.get(prepared)?)
    }

    /// All who may log in, in no order.
    #[must_use]
    pub fn users(&self) -> Vec<Arc<Identity>> {
        let accounts = self.accounts.values();
        accounts
            .map(|account| Arc::clone(&account.identity))
            .collect()
    }

    /// How many passwords had to be hashed.
    #[must_use]
    pub fn slow_checks(&self) -> u64 {
        self.slow_checks.load(Ordering::Relaxed)
    }

    async fn is_password_right(&self, account: Option<&Account>, password: Bytes) -> bool {
        let is_proved =
            || account.is_some_and(|account| self.is_proved(account, password.as_ref()));
        if is_proved() {
            return true;
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if is_proved() {
            return true;
        }
        self.slow_checks.fetch_add(1, Ordering::Relaxed);
        let own_hash = account.and_then(|account| account.password_hash.clone());
        let hash = own_hash.clone().unwrap_or_else(|| self.decoy.clone());
        let candidate = password.clone();
        // The turn goes along and comes back: it ends with the hashing even if nobody waits for
        // it any more, and not before the proof is kept if somebody does.
        let check = spawn_blocking(move || {
            let verified = Argon2::default().verify_password(&candidate, hash.as_str());
            (verified.is_ok(), turn)
        });
        let Ok((true, _turn)) = check.await else {
            return false;
        };
        let (Some(account), Some(_)) = (account, own_hash) else {
            return false;
        };
        *lock(&account.proved) = Some(Proof(self.tag(&password).finalize_fixed().into()));
        true
    }

    /// In constant time, as far as the tag is concerned.
    fn is_proved(&self, account: &Account, password: &[u8]) -> bool {
        let proved = *lock(&account.proved);
        proved.is_some_and(|Proof(tag)| self.tag(password).verify_slice(&tag).is_ok())
    }

    fn tag(&self, password: &[u8]) -> Blake2sMac256 {
        Blake2sMac256::new(&self.proof_key.into()).chain_update(password)
    }
}

impl Account {
    fn new(user: &User) -> io::Result<Self> {
        Ok(Self {
            identity: Arc::new(identity(user).map_err(io::Error::other)?),
            password_hash: user.password_hash.clone(),
            verifier: user.scram_sha256.clone(),
            loopback_only: user.loopback_only,
            proved: Mutex::default(),
        })
    }
}

/// The names that SCRAM looks for. Where two become one, it is who is called just so.
fn prepared(users: &[User]) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for user in users {
        let Some(name) = prepare(&user.name) else {
            continue;
        };
        if name == user.name || !names.contains_key(name.as_ref()) {
            names.insert(name.into_owned(), user.name.clone());
        }
    }
    names
}

/// The user in the core's words.
fn identity(user: &User) -> Result<Identity, regex::Error> {
    let patterns = |permission: &Permission| {
        let patterns = Permissions {
            configure: Regex::new(&permission.configure)?,
            write: Regex::new(&permission.write)?,
            read: Regex::new(&permission.read)?,
        };
        Ok((Name::from(permission.vhost.as_str()), patterns))
    };
    Ok(Identity {
        user: user.name.as_str().into(),
        tags: user.tags.iter().map(|tag| tag.as_str().into()).collect(),
        default_vhost: user.default_vhost.as_str().into(),
        permissions: user
            .permissions
            .iter()
            .map(patterns)
            .collect::<Result<_, _>>()?,
        topic_permissions: user
            .topic_permissions
            .iter()
            .map(|permission| keys(user, permission))
            .collect::<Result<_, _>>()?,
    })
}

/// A topic permission in the core's words, by its virtual host and exchange.
fn keys(
    user: &User,
    permission: &TopicPermission,
) -> Result<((Name, Name), TopicPermissions), regex::Error> {
    let pattern = |text: &str| key_pattern(text, &user.name, &permission.vhost);
    let except = |text: &String| (!text.is_empty()).then(|| pattern(text)).transpose();
    let patterns = TopicPermissions {
        write: pattern(&permission.write)?,
        read: pattern(&permission.read)?,
        write_except: except(&permission.write_except)?,
        read_except: except(&permission.read_except)?,
    };
    let at = (
        Name::from(permission.vhost.as_str()),
        Name::from(permission.exchange.as_str()),
    );
    Ok((at, patterns))
}

/// A guard's value is whole at every instant, so a panic elsewhere cannot have left it broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hash that takes longest to check; without any user with a password, guest's.
fn costliest_hash(users: &[User]) -> String {
    let cost = |hash: &&String| {
        let params = PasswordHash::new(hash)
            .ok()
            .and_then(|hash| (&hash).try_into().ok());
        params.map(|params: argon2::Params| u64::from(params.m_cost()) * u64::from(params.t_cost()))
    };
    let hashes = users.iter().filter_map(|user| user.password_hash.as_ref());
    hashes
        .max_by_key(cost)
        .cloned()
        .unwrap_or_else(|| User::guest_hash().to_owned())
}

#[cfg(test)]
mod tests;

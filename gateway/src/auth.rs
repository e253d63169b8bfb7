//! Who a client is: names and passwords against the configured users.
//!
//! A password is checked with argon2id, which takes tens of milliseconds and megabytes by design.
//! Two things keep a storm of reconnecting clients from paying that each time: the last password
//! that was right is remembered per user, as a keyed hash under a key that lives as long as the
//! process, and slow checks run one at a time, so that who waited finds what the one before him
//! proved. Strangers thus cost at most one core and one hash's memory, however many they are.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use blake2::Blake2sMac256;
use blake2::digest::{FixedOutput, KeyInit, Mac};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::config::{Config, User};

/// A client that proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user as configured: tags, default virtual host, permissions.
    pub user: Arc<User>,
}

/// The one answer to a wrong password, an unknown user, a user without a password, and a user who
/// may not come from there: who tries learns nothing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("login refused")]
pub struct Refused;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From this machine, over a loopback address.
    Loopback,
    /// From anywhere else.
    Network,
}

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
    anonymous: Option<Arc<User>>,
    /// Checked when there is no hash to check, so that the answer takes as long.
    decoy: String,
    proof_key: [u8; 32],
    slow_check: Mutex<()>,
}

#[derive(Debug)]
struct Account {
    user: Arc<User>,
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
    /// An I/O error if the system has no randomness for the key.
    pub fn new(config: &Config) -> io::Result<Self> {
        let users: Vec<_> = config.users.iter().cloned().map(Arc::new).collect();
        let anonymous_user = &config.authentication.anonymous_user;
        let mut proof_key = [0; 32];
        getrandom(&mut proof_key, GetRandomFlags::empty())?;
        Ok(Self {
            anonymous: users
                .iter()
                .find(|user| user.name == *anonymous_user)
                .cloned(),
            decoy: costliest_hash(&users),
            accounts: users
                .into_iter()
                .map(|user| (user.name.clone(), user.into()))
                .collect(),
            proof_key,
            slow_check: Mutex::default(),
        })
    }

    /// Checks a name and a password. Takes tens of milliseconds unless the same password was right
    /// before, so call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Refused`] for every reason there is.
    pub fn verify(&self, name: &str, password: &[u8], origin: Origin) -> Result<Identity, Refused> {
        let account = self.accounts.get(name);
        if !self.is_password_right(account, password) {
            return Err(Refused);
        }
        let user = &account.ok_or(Refused)?.user;
        if user.loopback_only && origin == Origin::Network {
            return Err(Refused);
        }
        Ok(Identity {
            user: Arc::clone(user),
        })
    }

    /// Lets a client in that gave no credentials.
    ///
    /// # Errors
    /// [`Refused`] if it comes from another machine and the listener does not allow that, or if
    /// there is no user for such clients.
    pub fn verify_anonymous(
        &self,
        allowed: Anonymous,
        origin: Origin,
    ) -> Result<Identity, Refused> {
        if origin == Origin::Network && allowed == Anonymous::FromLoopback {
            return Err(Refused);
        }
        self.anonymous
            .clone()
            .map(|user| Identity { user })
            .ok_or(Refused)
    }

    fn is_password_right(&self, account: Option<&Account>, password: &[u8]) -> bool {
        if account.is_some_and(|account| self.is_proved(account, password)) {
            return true;
        }
        let _one_at_a_time = lock(&self.slow_check);
        if account.is_some_and(|account| self.is_proved(account, password)) {
            return true;
        }
        let hash = account.and_then(|account| account.user.password_hash.as_deref());
        let is_match = Argon2::default()
            .verify_password(password, hash.unwrap_or(&self.decoy))
            .is_ok();
        let (Some(account), Some(_), true) = (account, hash, is_match) else {
            return false;
        };
        *lock(&account.proved) = Some(Proof(self.tag(password).finalize_fixed().into()));
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

impl From<Arc<User>> for Account {
    fn from(user: Arc<User>) -> Self {
        Self {
            user,
            proved: Mutex::default(),
        }
    }
}

/// A guard's value is whole at every instant, so a panic elsewhere cannot have left it broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hash that takes longest to check; without any user with a password, guest's.
fn costliest_hash(users: &[Arc<User>]) -> String {
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

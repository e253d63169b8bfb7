//! `MULTI` and its companions: requests that wait for `EXEC` and then run in one go.

use std::sync::atomic::Ordering;

use super::{Call, Spec};
use crate::error::Error;
use crate::keyspace::Touched;
use crate::translate::Revision;
use crate::wire::request::Request;

/// The requests since `MULTI`.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    queued: Vec<(&'static Spec, Request)>,
    bytes: usize,
    /// Something could not be queued, so nothing will run.
    is_aborted: bool,
}

impl Transaction {
    /// Requests that wait.
    pub(crate) const fn len(&self) -> usize {
        self.queued.len()
    }

    /// Bytes that the waiting requests hold.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// `EXEC` will refuse. What waits is given up at once.
    pub(crate) fn abort(&mut self) {
        *self = Self {
            is_aborted: true,
            ..Self::default()
        };
    }

    /// Takes a request, with its own copy of the bytes: one that waits must not keep a read
    /// buffer.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond `bytes_max`.
    pub(crate) fn queue(
        &mut self,
        spec: &'static Spec,
        request: &Request,
        bytes_max: usize,
    ) -> Result<(), Error> {
        if self.is_aborted {
            return Ok(());
        }
        let bytes = self.bytes + request.byte_size() + size_of::<(&Spec, Request)>();
        if bytes > bytes_max {
            return Err(Error::Limit {
                what: "transaction bytes",
                max: bytes_max,
            });
        }
        self.bytes = bytes;
        self.queued.push((spec, request.compact()));
        Ok(())
    }
}

/// A key that `WATCH` has looked at.
#[derive(Debug)]
pub(crate) struct Watched {
    key: Vec<u8>,
    /// Whether its string has changed.
    touched: Touched,
    list: Option<Revision>,
}

pub(super) fn multi(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    if call.session.transaction.is_some() {
        return Err(Error::Text("ERR MULTI calls can not be nested"));
    }
    call.session.transaction = Some(Transaction::default());
    call.reply.ok();
    Ok(())
}

pub(super) fn discard(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.session
        .transaction
        .take()
        .ok_or(Error::Text("ERR DISCARD without MULTI"))?;
    call.session.watched.clear();
    call.reply.ok();
    Ok(())
}

/// RESP: an error of one request is its element of the reply; the others run all the same.
pub(super) fn exec(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    let transaction = call.session.transaction.take();
    let transaction = transaction.ok_or(Error::Text("ERR EXEC without MULTI"))?;
    let watched = std::mem::take(&mut call.session.watched);
    if transaction.is_aborted {
        return Err(Error::TransactionAborted);
    }
    if watched.iter().any(|watched| has_changed(call, watched)) {
        call.reply.null_array();
        return Ok(());
    }
    call.reply.array(transaction.queued.len());
    // Locked until the end, so that no other Redis client comes in between.
    call.keyspace();
    call.session.is_executing = true;
    for (spec, request) in &transaction.queued {
        call.session.last = Some(spec);
        // RESP: it would be confirmed by a push alone, which leaves no reply for the element.
        let result = if spec.name == "ssubscribe" {
            Err(Error::Text(
                "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client",
            ))
        } else {
            call.execute(spec, request)
        };
        if let Err(error) = result {
            error.write(&mut call.reply);
        }
    }
    call.session.end_run();
    call.session.is_executing = false;
    Ok(())
}

fn has_changed(call: &mut Call<'_>, watched: &Watched) -> bool {
    let list = list_revision(call, &watched.key);
    watched.touched.load(Ordering::Relaxed) || list != watched.list
}

fn list_revision(call: &mut Call<'_>, key: &[u8]) -> Option<Revision> {
    call.session.bus().ok()?.list_revision(key)
}

pub(super) fn watch(call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
    if call.session.transaction.is_some() {
        return Err(Error::Text("ERR WATCH inside MULTI is not allowed"));
    }
    let max = call.server.settings.watched_keys_max;
    if call.session.watched.len() + request.len() - 1 > max {
        return Err(Error::Limit {
            what: "watched keys",
            max,
        });
    }
    let database = call.session.database;
    for key in request.args_from(1) {
        // A key that is watched twice is compared with what the first WATCH saw, too.
        let touched = call.keyspace().watch(database, key);
        let list = list_revision(call, key);
        call.session.watched.push(Watched {
            key: key.to_vec(),
            touched,
            list,
        });
    }
    call.reply.ok();
    Ok(())
}

pub(super) fn unwatch(call: &mut Call<'_>, _: &Request) -> Result<(), Error> {
    call.session.watched.clear();
    call.reply.ok();
    Ok(())
}

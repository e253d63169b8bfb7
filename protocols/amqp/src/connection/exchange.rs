//! The class exchange: declare, delete, bind, unbind, with RabbitMQ's checks in RabbitMQ's order.

use routing::{
    Access, Binding as CoreBinding, Destination, Error, ExchangeKind, ExchangeOptions, Lsn, Name,
    OutBuf, Value, error::Kind, vhost::Declare,
};

use super::{channel::Channel, shared::Shared};
use crate::{
    error::{Refused, ReplyCode},
    translate,
    wire::{
        methods::{Binding, ExchangeDeclare, ExchangeMethod},
        replies::{ExchangeReply, Reply},
    },
};

/// Names may not hold line ends; RabbitMQ removes them rather than refuse.
pub(super) fn clean_name(name: &str) -> Name {
    if name.contains(['\r', '\n']) {
        return name.replace(['\r', '\n'], "").into();
    }
    name.into()
}

impl Channel {
    pub(super) fn handle_exchange(
        &mut self,
        shared: &mut Shared,
        method: ExchangeMethod,
        out: &mut OutBuf,
    ) -> Result<(), Refused> {
        let (reply, lsn, nowait) = match method {
            ExchangeMethod::Bind(binding) => {
                let lsn = bind(shared, &binding, Kind::Exchange)?;
                (ExchangeReply::BindOk, lsn, binding.nowait)
            }
            ExchangeMethod::Declare(declare) => {
                let lsn = declare_exchange(shared, &declare)?;
                (ExchangeReply::DeclareOk, lsn, declare.nowait)
            }
            ExchangeMethod::Delete {
                exchange,
                if_unused,
                nowait,
            } => {
                let lsn = delete_exchange(shared, &clean_name(&exchange), if_unused)?;
                (ExchangeReply::DeleteOk, lsn, nowait)
            }
            ExchangeMethod::Unbind(binding) => {
                let lsn = unbind(shared, &binding, Kind::Exchange)?;
                (ExchangeReply::UnbindOk, lsn, binding.nowait)
            }
        };
        if !nowait {
            self.reply_after(shared, lsn, Reply::Exchange(reply), out);
        }
        Ok(())
    }
}

/// Like all of the functions below, returns what the answer waits for.
fn declare_exchange(
    shared: &mut Shared,
    declare: &ExchangeDeclare,
) -> Result<Option<Lsn>, Refused> {
    let name = clean_name(&declare.exchange);
    if declare.passive {
        return declare_passive(shared, &name).map(|()| None);
    }
    let kind = ExchangeKind::parse(&declare.kind).ok_or_else(|| {
        Refused::precondition(format!("unknown exchange type '{}'", declare.kind))
    })?;
    refuse_default(shared, &name)?;
    shared.check(Access::Configure, Kind::Exchange, &name)?;
    let arguments = translate::table_of(declare.arguments.table(), None);
    if shared.vhost.exchange(&name).is_none()
        && let Some(alternate) = arguments.get("alternate-exchange")
    {
        check_target(
            shared,
            Kind::Exchange,
            &name,
            ("alternate-exchange", alternate),
        )?;
    }
    let options = ExchangeOptions {
        durable: declare.durable,
        auto_delete: declare.auto_delete,
        internal: declare.internal,
        arguments,
    };
    match shared.vhost.declare_exchange(&name, kind, options) {
        Ok(Declare::Created(lsn) | Declare::Existed(lsn)) => Ok(lsn),
        Err(error) => Err(shared.refused(error)),
    }
}

fn declare_passive(shared: &mut Shared, name: &Name) -> Result<(), Refused> {
    refuse_default(shared, name)?;
    shared.check_any(Kind::Exchange, name)?;
    if shared.vhost.exchange(name).is_some() {
        return Ok(());
    }
    Err(shared.refused(Error::NotFound {
        kind: Kind::Exchange,
        name: name.clone(),
    }))
}

fn refuse_default(shared: &Shared, name: &Name) -> Result<(), Refused> {
    if name.is_empty() {
        Err(shared.refused(Error::DefaultExchange))
    } else {
        Ok(())
    }
}

/// An argument that names an exchange which gets the messages of `owner`: the user must be allowed
/// to take them from here and to put them there.
pub(super) fn check_target(
    shared: &mut Shared,
    kind: Kind,
    owner: &Name,
    (argument, target): (&str, &Value),
) -> Result<(), Refused> {
    let Some(target) = target.as_str() else {
        let owner = translate::described(kind, owner, &shared.vhost);
        let found = target.type_name();
        return Err(Refused::precondition(format!(
            "invalid type '{found}' for arg '{argument}' in {owner}"
        )));
    };
    shared.check(Access::Read, kind, owner)?;
    shared.check(Access::Write, Kind::Exchange, target)
}

fn delete_exchange(
    shared: &mut Shared,
    name: &Name,
    if_unused: bool,
) -> Result<Option<Lsn>, Refused> {
    refuse_default(shared, name)?;
    if name.starts_with("amq.") {
        let exchange = translate::described(Kind::Exchange, name, &shared.vhost);
        let text = format!("deletion of system {exchange} not allowed");
        return Err(Refused::new(ReplyCode::AccessRefused, text));
    }
    shared.check(Access::Configure, Kind::Exchange, name)?;
    let deleted = shared.vhost.delete_exchange(name, if_unused);
    deleted.map_err(|error| shared.refused(error))
}

/// `exchange.bind` and `queue.bind`; `kind` is the destination's.
pub(super) fn bind(
    shared: &mut Shared,
    binding: &Binding,
    kind: Kind,
) -> Result<Option<Lsn>, Refused> {
    let (source, binding) = checked_binding(shared, binding, kind)?;
    let bound = shared.vhost.bind(&source, binding);
    bound.map_err(|error| shared.refused(error))
}

/// `exchange.unbind` and `queue.unbind`. A binding or an end of it that is not there is unbound.
pub(super) fn unbind(
    shared: &mut Shared,
    binding: &Binding,
    kind: Kind,
) -> Result<Option<Lsn>, Refused> {
    let (source, binding) = checked_binding(shared, binding, kind)?;
    let unbound = shared.vhost.unbind(&source, &binding);
    unbound.map_err(|error| shared.refused(error))
}

/// The binding in the core's words, once the user is allowed to change it.
fn checked_binding(
    shared: &mut Shared,
    binding: &Binding,
    kind: Kind,
) -> Result<(Name, CoreBinding), Refused> {
    let (source, destination) = (
        clean_name(&binding.source),
        clean_name(&binding.destination),
    );
    shared.check(Access::Write, kind, &destination)?;
    refuse_default(shared, &source)?;
    if kind == Kind::Exchange {
        refuse_default(shared, &destination)?;
    }
    shared.check(Access::Read, Kind::Exchange, &source)?;
    if let Some(exchange) = shared.vhost.exchange(&source) {
        shared.check_key(Access::Read, &exchange, binding.routing_key.as_bytes())?;
    }
    if kind == Kind::Queue
        && let Ok(queue) = shared.vhost.queue(&destination)
    {
        queue
            .check_owner(shared.connection)
            .map_err(|error| shared.refused(error))?;
    }
    let destination = match kind {
        Kind::Exchange => Destination::Exchange(destination),
        Kind::Queue => Destination::Queue(destination),
    };
    let arguments = translate::table_of(binding.arguments.table(), None);
    let key = binding.routing_key.clone().into();
    Ok((
        source,
        CoreBinding {
            destination,
            key,
            arguments,
        },
    ))
}

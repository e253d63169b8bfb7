//! The numbers of the methods (AMQP 0-9-1 §1.3 and RabbitMQ's extensions), separate because error
//! replies name methods as well as the codec does.

use super::reader::Reader;

/// A class id and a method id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodId {
    /// The class id.
    pub class: u16,
    /// The method id within the class.
    pub method: u16,
}

impl MethodId {
    /// No method: what `close` says when no method is at fault.
    pub const NONE: Self = Self::new(0, 0);
    /// `connection.start`
    pub const CONNECTION_START: Self = Self::new(10, 10);
    /// `connection.start-ok`
    pub const CONNECTION_START_OK: Self = Self::new(10, 11);
    /// `connection.secure`
    pub const CONNECTION_SECURE: Self = Self::new(10, 20);
    /// `connection.secure-ok`
    pub const CONNECTION_SECURE_OK: Self = Self::new(10, 21);
    /// `connection.tune`
    pub const CONNECTION_TUNE: Self = Self::new(10, 30);
    /// `connection.tune-ok`
    pub const CONNECTION_TUNE_OK: Self = Self::new(10, 31);
    /// `connection.open`
    pub const CONNECTION_OPEN: Self = Self::new(10, 40);
    /// `connection.open-ok`
    pub const CONNECTION_OPEN_OK: Self = Self::new(10, 41);
    /// `connection.close`
    pub const CONNECTION_CLOSE: Self = Self::new(10, 50);
    /// `connection.close-ok`
    pub const CONNECTION_CLOSE_OK: Self = Self::new(10, 51);
    /// `connection.blocked`
    pub const CONNECTION_BLOCKED: Self = Self::new(10, 60);
    /// `connection.unblocked`
    pub const CONNECTION_UNBLOCKED: Self = Self::new(10, 61);
    /// `connection.update-secret`
    pub const CONNECTION_UPDATE_SECRET: Self = Self::new(10, 70);
    /// `connection.update-secret-ok`
    pub const CONNECTION_UPDATE_SECRET_OK: Self = Self::new(10, 71);
    /// `channel.open`
    pub const CHANNEL_OPEN: Self = Self::new(20, 10);
    /// `channel.flow`
    pub const CHANNEL_FLOW: Self = Self::new(20, 20);
    /// `channel.flow-ok`
    pub const CHANNEL_FLOW_OK: Self = Self::new(20, 21);
    /// `channel.close`
    pub const CHANNEL_CLOSE: Self = Self::new(20, 40);
    /// `channel.close-ok`
    pub const CHANNEL_CLOSE_OK: Self = Self::new(20, 41);
    /// `access.request`
    pub const ACCESS_REQUEST: Self = Self::new(30, 10);
    /// `exchange.declare`
    pub const EXCHANGE_DECLARE: Self = Self::new(40, 10);
    /// `exchange.delete`
    pub const EXCHANGE_DELETE: Self = Self::new(40, 20);
    /// `exchange.bind`
    pub const EXCHANGE_BIND: Self = Self::new(40, 30);
    /// `exchange.unbind`
    pub const EXCHANGE_UNBIND: Self = Self::new(40, 40);
    /// `queue.declare`
    pub const QUEUE_DECLARE: Self = Self::new(50, 10);
    /// `queue.bind`
    pub const QUEUE_BIND: Self = Self::new(50, 20);
    /// `queue.purge`
    pub const QUEUE_PURGE: Self = Self::new(50, 30);
    /// `queue.delete`
    pub const QUEUE_DELETE: Self = Self::new(50, 40);
    /// `queue.unbind`
    pub const QUEUE_UNBIND: Self = Self::new(50, 50);
    /// `basic.qos`
    pub const BASIC_QOS: Self = Self::new(60, 10);
    /// `basic.consume`
    pub const BASIC_CONSUME: Self = Self::new(60, 20);
    /// `basic.cancel`
    pub const BASIC_CANCEL: Self = Self::new(60, 30);
    /// `basic.cancel-ok`
    pub const BASIC_CANCEL_OK: Self = Self::new(60, 31);
    /// `basic.publish`
    pub const BASIC_PUBLISH: Self = Self::new(60, 40);
    /// `basic.return`
    pub const BASIC_RETURN: Self = Self::new(60, 50);
    /// `basic.deliver`
    pub const BASIC_DELIVER: Self = Self::new(60, 60);
    /// `basic.get`
    pub const BASIC_GET: Self = Self::new(60, 70);
    /// `basic.get-ok`
    pub const BASIC_GET_OK: Self = Self::new(60, 71);
    /// `basic.ack`
    pub const BASIC_ACK: Self = Self::new(60, 80);
    /// `basic.reject`
    pub const BASIC_REJECT: Self = Self::new(60, 90);
    /// `basic.recover-async`
    pub const BASIC_RECOVER_ASYNC: Self = Self::new(60, 100);
    /// `basic.recover`
    pub const BASIC_RECOVER: Self = Self::new(60, 110);
    /// `basic.nack`
    pub const BASIC_NACK: Self = Self::new(60, 120);
    /// `confirm.select`
    pub const CONFIRM_SELECT: Self = Self::new(85, 10);
    /// `tx.select`
    pub const TX_SELECT: Self = Self::new(90, 10);
    /// `tx.commit`
    pub const TX_COMMIT: Self = Self::new(90, 20);
    /// `tx.rollback`
    pub const TX_ROLLBACK: Self = Self::new(90, 30);

    const fn new(class: u16, method: u16) -> Self {
        Self { class, method }
    }

    /// Splits a method frame's payload into the method's number and its arguments.
    #[must_use]
    pub fn split(payload: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(payload);
        let id = Self::new(reader.u16()?, reader.u16()?);
        Some((id, reader.rest()))
    }
}

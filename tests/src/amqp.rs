//! A client of AMQP 0-9-1 that builds its frames itself: what it sends and sees is what is on the
//! wire, and nothing of the gateway's own codec stands between.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take. A test that writes much waits for the disk as often, and a disk
/// that others use too may take seconds for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// `connection.start-ok` as `guest`, without any capability.
const START_OK: &[u8] = b"\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US";

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 1 method, 2 header, 3 body, 8 heartbeat.
    pub kind: u8,
    /// The channel.
    pub channel: u16,
    /// Everything between the frame's size and its end.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Class and method.
    #[must_use]
    pub fn method(&self) -> (u16, u16) {
        match self.payload.first_chunk() {
            Some([c1, c0, m1, m0]) => (
                u16::from_be_bytes([*c1, *c0]),
                u16::from_be_bytes([*m1, *m0]),
            ),
            None => (0, 0),
        }
    }
}

/// A client, logged in as `guest` in virtual host `/`.
#[derive(Debug)]
pub struct AmqpClient {
    stream: TcpStream,
    output: Vec<u8>,
}

impl AmqpClient {
    /// Connects, logs in and opens the virtual host.
    ///
    /// # Panics
    /// When the gateway does not want it.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's set-up")]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        let mut client = Self {
            stream,
            output: b"AMQP\0\0\x09\x01".to_vec(),
        };
        client.flush();
        assert_eq!(client.read().method(), (10, 10));
        client.call(0, (10, 11), START_OK);
        // channel_max 2047, frame_max 131072, no heartbeat.
        client.put(0, (10, 31), b"\x07\xff\0\x02\0\0\0\0");
        client.call(0, (10, 40), b"\x01/\0\0");
        client
    }

    /// Adds a method to what [`AmqpClient::flush`] sends.
    pub fn put(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let mut payload = class.to_be_bytes().to_vec();
        payload.extend(method.to_be_bytes());
        payload.extend(arguments);
        self.put_frame(1, channel, &payload);
    }

    /// Adds a publish.
    pub fn put_publish(&mut self, channel: u16, (exchange, key): (&str, &str), body: &[u8]) {
        let arguments = [&[0, 0], &short(exchange)[..], &short(key), &[0]].concat();
        self.put(channel, (60, 40), &arguments);
        let size = u64::try_from(body.len()).unwrap_or(u64::MAX).to_be_bytes();
        // Class 60, weight 0, the size, delivery mode 2.
        let header = [&[0, 60, 0, 0], &size[..], &[0x10, 0, 2]].concat();
        self.put_frame(2, channel, &header);
        self.put_frame(3, channel, body);
    }

    /// Sends what was added.
    ///
    /// # Panics
    /// When the gateway has closed the connection.
    #[expect(clippy::expect_used, reason = "a test's assertion")]
    pub fn flush(&mut self) {
        let output = std::mem::take(&mut self.output);
        self.stream.write_all(&output).expect("an open connection");
    }

    /// Sends a method, and reads the frame that answers it.
    pub fn call(&mut self, channel: u16, method: (u16, u16), arguments: &[u8]) -> Frame {
        self.put(channel, method, arguments);
        self.flush();
        self.read()
    }

    /// Reads a frame.
    ///
    /// # Panics
    /// When none comes.
    #[expect(clippy::expect_used, reason = "a test's assertion")]
    pub fn read(&mut self) -> Frame {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).expect("a frame");
        let [kind, c1, c0, s3, s2, s1, s0] = head;
        let size = usize::try_from(u32::from_be_bytes([s3, s2, s1, s0])).expect("a size");
        let mut payload = vec![0; size + 1];
        self.stream.read_exact(&mut payload).expect("a whole frame");
        assert_eq!(payload.pop(), Some(0xCE));
        Frame {
            kind,
            channel: u16::from_be_bytes([c1, c0]),
            payload,
        }
    }

    fn put_frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        self.output.push(kind);
        self.output.extend(channel.to_be_bytes());
        let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.output.extend(size.to_be_bytes());
        self.output.extend(payload);
        self.output.push(0xCE);
    }
}

/// A short string.
#[must_use]
pub fn short(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [&[len], text.as_bytes()].concat()
}

/// The arguments of `queue.declare` without a table. `bits`: 1 passive, 2 durable, 4 exclusive, 8
/// auto-delete, 16 no answer.
#[must_use]
pub fn declare_queue(name: &str, bits: u8) -> Vec<u8> {
    [&[0, 0], &short(name)[..], &[bits], &[0; 4]].concat()
}

/// The arguments of `queue.bind`.
#[must_use]
pub fn bind_queue(queue: &str, exchange: &str, key: &str) -> Vec<u8> {
    [
        &[0, 0],
        &short(queue)[..],
        &short(exchange),
        &short(key),
        &[0; 5],
    ]
    .concat()
}

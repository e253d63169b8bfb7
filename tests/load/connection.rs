//! One non-blocking connection: what waits to be written, and the rest of a frame that has not
//! arrived whole.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::dialect::{Dialect, Event, Part, Refusal, Role};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server answered {}", .0.0)]
    Refused(Refusal),
}

/// A client.
pub(crate) struct Connection {
    pub(crate) role: Role,
    /// Number among all publishers, or place among the subscribers of its group.
    pub(crate) place: usize,
    pub(crate) is_ready: bool,
    stream: TcpStream,
    dialect: Box<dyn Dialect>,
    /// A frame's beginning.
    rest: Vec<u8>,
    out: Vec<u8>,
    written: usize,
}

impl Connection {
    /// Connects and says the first words.
    pub(crate) fn open(address: SocketAddr, place: usize, part: Part) -> Result<Self, Broken> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let role = part.role;
        let mut connection = Self {
            role,
            place,
            is_ready: false,
            stream,
            dialect: crate::dialect::of(part),
            rest: Vec::new(),
            out: Vec::new(),
            written: 0,
        };
        connection.dialect.open(&mut connection.out);
        connection.flush()?;
        Ok(connection)
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Whether everything is written: a publisher waits for that before it makes more.
    pub(crate) const fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// The dialect, and where its words go; [`Connection::flush`] sends them.
    pub(crate) fn speak(&mut self) -> (&mut dyn Dialect, &mut Vec<u8>) {
        (&mut *self.dialect, &mut self.out)
    }

    pub(crate) fn window_max(&self) -> u32 {
        self.dialect.window_max()
    }

    /// Writes as much as the kernel takes.
    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        while let Some(waiting) = self
            .out
            .get(self.written..)
            .filter(|bytes| !bytes.is_empty())
        {
            #[expect(clippy::disallowed_methods, reason = "this loop is about short writes")]
            match self.stream.write(waiting) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads once into the shared `buffer` and hands every whole frame's meaning to `tell`;
    /// false when nothing is left to read.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        tell: &mut impl FnMut(Event),
    ) -> Result<bool, Broken> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Err(Broken::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let fresh = buffer.get(..count).unwrap_or_default();
        if self.rest.is_empty() {
            let used = self.parse(fresh, tell)?;
            self.rest
                .extend_from_slice(fresh.get(used..).unwrap_or_default());
        } else {
            let mut all = std::mem::take(&mut self.rest);
            all.extend_from_slice(fresh);
            let used = self.parse(&all, tell)?;
            all.drain(..used);
            self.rest = all;
        }
        Ok(count == buffer.len())
    }

    /// Sends the last words, waits until the server has closed too, or for a moment.
    pub(crate) fn say_goodbye(mut self) {
        let polite = || -> io::Result<()> {
            self.stream.set_nonblocking(false)?;
            self.stream.set_read_timeout(Some(GOODBYE))?;
            self.stream.set_write_timeout(Some(GOODBYE))?;
            self.stream
                .write_all(self.out.get(self.written..).unwrap_or_default())?;
            self.stream.shutdown(Shutdown::Write)?;
            let mut sink = [0; 4096];
            while self.stream.read(&mut sink)? > 0 {}
            Ok(())
        };
        let mut polite = polite;
        drop(polite());
    }

    fn parse(&mut self, input: &[u8], tell: &mut impl FnMut(Event)) -> Result<usize, Broken> {
        let mut used = 0;
        while let Some(left) = input.get(used..).filter(|left| !left.is_empty()) {
            let handled = self.dialect.handle(left, &mut self.out);
            let Some((len, event)) = handled.map_err(Broken::Refused)? else {
                break;
            };
            used += len;
            if event != Event::Other {
                tell(event);
            }
        }
        Ok(used)
    }
}

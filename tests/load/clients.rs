//! All connections of a run, by number.

use crate::connection::{Broken, Connection};
use crate::dialect::Role;

/// Where a connection belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) group: usize,
    /// How many topics it has.
    pub(crate) topics: usize,
}

/// The connections, in the order in which they were opened.
#[derive(Default)]
pub(crate) struct Clients(Vec<(Connection, Seat)>);

impl Clients {
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, connection: Connection, seat: Seat) {
        self.0.push((connection, seat));
    }

    pub(crate) fn at(&mut self, number: usize) -> Option<(&mut Connection, Seat)> {
        let (connection, seat) = self.0.get_mut(number)?;
        Some((connection, *seat))
    }

    /// Lets all subscribers consume.
    pub(crate) fn start_consuming(&mut self) -> Result<(), (Role, usize, Broken)> {
        for (connection, _) in &mut self.0 {
            let (dialect, out) = connection.speak();
            dialect.start(out);
            let (role, place) = (connection.role, connection.place);
            connection.flush().map_err(|broken| (role, place, broken))?;
        }
        Ok(())
    }

    /// Says goodbye, publishers first; the run is over, whatever becomes of it.
    pub(crate) fn close(&mut self) {
        for (mut connection, _) in self.0.drain(..).rev() {
            let (dialect, out) = connection.speak();
            dialect.close(out);
            connection.say_goodbye();
        }
    }
}

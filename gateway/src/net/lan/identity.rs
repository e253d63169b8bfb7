//! Who this gateway is on the LAN: an id for ever and an epoch that rises with each start. `rlan`
//! makes nonces of them, so an epoch must never be used twice; the file is written before anything
//! is sent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

/// The file in the data directory: `<node, 16 hexadecimal digits> <epoch>`.
const FILE: &str = "lan-identity";

/// Who this gateway is.
#[derive(Clone)]
pub struct Identity {
    /// The id that its messages carry.
    pub node: u64,
    /// Higher than at any start before.
    pub epoch: u32,
    /// Random, of this start.
    pub secret: [u8; 32],
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("node", &self.node)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// One that nobody has or will have: for a start of which nothing is kept.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random() -> io::Result<Self> {
        let (mut node, mut secret) = ([0; 8], [0; 32]);
        getrandom(&mut node, GetRandomFlags::empty())?;
        getrandom(&mut secret, GetRandomFlags::empty())?;
        Ok(Self {
            // 0 stands for "not told".
            node: u64::from_ne_bytes(node).max(1),
            epoch: 1,
            secret,
        })
    }

    /// The gateway's that has this data directory, in its next epoch.
    ///
    /// # Errors
    /// The file cannot be read or written, or is not ours.
    pub fn next(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let fresh = Self::random()?;
        let (node, epoch) = match fs::read_to_string(&path) {
            Ok(text) => parse(&text).ok_or_else(|| {
                let text = format!(
                    "{} is damaged or used up: remove it, and the gateway is a new one to the LAN",
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (fresh.node, 1),
            Err(error) => return Err(error),
        };
        write(data_dir, &format!("{node:016x} {epoch}\n"))?;
        Ok(Self {
            node,
            epoch,
            ..fresh
        })
    }

    /// The id of a link's stream.
    #[must_use]
    pub fn origin(&self, link: &str) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.node.to_be_bytes())
            .chain_update(link)
            .finalize();
        let first: Option<&[u8; 8]> = digest.first_chunk();
        first.map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// The node and its next epoch.
fn parse(text: &str) -> Option<(u64, u32)> {
    let (node, epoch) = text.trim().split_once(' ')?;
    let node = u64::from_str_radix(node, 16).ok()?;
    Some((node, epoch.parse::<u32>().ok()?.checked_add(1)?))
}

/// Replaces the file as a whole, and returns when that is on disk.
fn write(data_dir: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    let new = data_dir.join(format!("{FILE}.new"));
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_keeps_its_id_and_its_epoch_rises_with_each_start() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::next(dir.path()).unwrap();
        let second = Identity::next(dir.path()).unwrap();
        assert_eq!((first.node, first.epoch), (second.node, 1));
        assert_eq!(second.epoch, 2);
        assert_ne!(first.secret, second.secret);
        assert_eq!(first.origin("a"), second.origin("a"));
        assert_ne!(first.origin("a"), first.origin("b"));
        assert_ne!(Identity::random().unwrap().node, first.node);
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_an_epoch() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "7", "x 1", "0000000000000001 4294967295"] {
            fs::write(dir.path().join(FILE), text).unwrap();
            let error = Identity::next(dir.path()).unwrap_err().to_string();
            assert!(error.contains("lan-identity"), "{text:?}: {error}");
        }
    }
}

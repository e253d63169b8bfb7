//! Unix sockets: a path that appears whole, with its permissions, and goes with the listener.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// A bound Unix socket; dropping it removes its path.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Which file is ours: another gateway may have put its own in the same place since.
    inode: u64,
}

impl UnixSocket {
    /// Binds `path` with the permission bits `mode`. What a gateway that crashed has left there
    /// gives way.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] when somebody listens there or the file is no socket; whatever
    /// the system says otherwise.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        check_free(path)?;
        // Made under another name and moved: nobody finds it before its permissions are set.
        let mut unborn = path.as_os_str().to_owned();
        unborn.push("~");
        let unborn = PathBuf::from(unborn);
        match std::fs::remove_file(&unborn) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&unborn)?;
        std::fs::set_permissions(&unborn, Permissions::from_mode(mode))?;
        let inode = std::fs::symlink_metadata(&unborn)?.ino();
        std::fs::rename(&unborn, path)?;
        let path = path.to_owned();
        Ok(Self {
            listener,
            path,
            inode,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next client.
    ///
    /// # Errors
    /// For lack of file descriptors, mostly.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| found.ino() == self.inode) {
            // If it cannot be removed, the next start does it.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Nothing, or a socket that nobody listens at.
fn check_free(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mqtt.sock");
        let socket = UnixSocket::bind(&path, 0o640).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(UnixStream::connect(&path).await.is_ok());
        assert!(socket.accept().await.is_ok());
        drop(socket);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_crash_left_gives_way_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mqtt.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = UnixSocket::bind(&path, 0o600).unwrap();
        let taken = UnixSocket::bind(&path, 0o600).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        std::fs::write(&path, "not a socket").unwrap();
        let taken = UnixSocket::bind(&path, 0o600).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }
}

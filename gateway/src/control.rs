//! The control socket: what the operator asks of a running gateway from the same machine. It lies
//! in the data directory, and answers only to the user whom the gateway runs as, and to root.
//!
//! ```text
//! request   "backup " path "\n"       an absolute path of an empty or new directory
//! answer    "ok " text "\n"  |  "error " text "\n"
//! ```
//!
//! Separate from the HTTP listener, which may be reached from other machines and changes nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

use crate::gateway::Shared;

/// The longest request in bytes: a path takes 4096 at most.
const REQUEST_BYTES_MAX: u64 = 8 * 1024;

/// How long a client may take to ask.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the socket of a data directory is.
#[must_use]
pub fn socket_of(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Opens the socket. What a gateway that was killed left there is removed: the data directory is
/// locked, so nobody listens on it.
///
/// # Errors
/// When the system refuses, for one if the path is longer than a socket's may be (107 bytes).
pub fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let path = socket_of(data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

/// Serves requests, one at a time, until the gateway stops.
pub async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let stop = shared.shutdown.token().clone();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let answered = match accepted {
            Ok((stream, _)) => answer(stream, &shared).await,
            Err(error) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(error)
            }
        };
        if let Err(error) = answered {
            info!(%error, "a request on the control socket was not answered");
        }
    }
}

async fn answer(mut stream: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    let request = read_request(&mut stream).await?;
    let done = if peer != own && peer != 0 {
        Err("only the gateway's own user may ask".to_owned())
    } else {
        handle(&request, shared).await
    };
    let text = match done {
        Ok(text) => format!("ok {text}\n"),
        Err(text) => format!("error {text}\n"),
    };
    stream.write_all(text.as_bytes()).await
}

async fn read_request(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    let mut limited = tokio::io::BufReader::new(stream.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(REQUEST_TIMEOUT, limited.read_line(&mut line)).await??;
    Ok(line)
}

async fn handle(request: &str, shared: &Arc<Shared>) -> Result<String, String> {
    let to = request
        .strip_prefix("backup ")
        .and_then(|path| path.strip_suffix('\n'))
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .ok_or("the request is not known")?;
    let shared = Arc::clone(shared);
    let copied = tokio::task::spawn_blocking(move || {
        let copied = shared.journal.log().backup(&to);
        match &copied {
            Ok(_) => info!(to = %to.display(), "backed up"),
            Err(error) => warn!(to = %to.display(), %error, "not backed up"),
        }
        copied
    });
    match copied.await {
        Ok(Ok(end)) => Ok(format!("copied up to position {end}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Why `busbar backup` did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nobody listens there.
    #[error("no gateway runs on the data directory {0}")]
    NotRunning(String, #[source] io::Error),
    /// The gateway said why.
    #[error("{0}")]
    Refused(String),
    /// The gateway ended meanwhile, or the answer could not be printed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// `busbar backup`: asks the gateway that runs on `data_dir` for a copy in `to`.
///
/// # Errors
/// See [`BackupError`]; what is in `to` is then no backup.
pub fn backup(data_dir: &Path, to: &Path, out: &mut impl Write) -> Result<(), BackupError> {
    let to = std::path::absolute(to)?;
    let stream = net::UnixStream::connect(socket_of(data_dir));
    let mut stream =
        stream.map_err(|error| BackupError::NotRunning(data_dir.display().to_string(), error))?;
    writeln!(stream, "backup {}", to.display())?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_line(&mut line)?;
    match line.trim_end().split_once(' ') {
        Some(("ok", text)) => Ok(writeln!(out, "{}: {text}", to.display())?),
        Some((_, text)) => Err(BackupError::Refused(text.to_owned())),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

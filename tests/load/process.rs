//! What `/proc` knows of a process: who listens on a port, CPU time, memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// `sysconf(_SC_CLK_TCK)`: 100 on every Linux that has run in this century.
const TICKS_PER_SECOND: u64 = 100;

/// The process that listens on a TCP port of this machine.
pub(crate) fn listener_of(port: u16) -> Option<u32> {
    let inodes = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| {
            table
                .lines()
                .filter_map(|line| inode(line, port))
                .collect::<Vec<_>>()
        })
        .collect::<Vec<_>>();
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut pids = pids.collect::<Vec<_>>();
    // A server's helpers may have inherited its socket: the first process is the server.
    pids.sort_unstable();
    pids.into_iter().find(|pid| holds(*pid, &inodes))
}

/// The socket's inode, if a line of `/proc/net/tcp` is about a listener on this port.
fn inode(line: &str, port: u16) -> Option<String> {
    const LISTENING: &str = "0A";
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let is_it = state == LISTENING && local.ends_with(&format!(":{port:04X}"));
    let inode = fields.nth(5)?;
    is_it.then(|| format!("socket:[{inode}]"))
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else {
        return false;
    };
    files
        .filter_map(Result::ok)
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| sockets.iter().any(|socket| Path::new(socket) == target))
}

/// User and kernel time that a process has used, its ended threads included.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let user = fields.nth(11)?.parse::<u64>().ok()?;
    let kernel = fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(
        (user + kernel) * 1000 / TICKS_PER_SECOND,
    ))
}

/// Memory that a process holds, in bytes, without what it shares with files.
pub(crate) fn memory_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib = line.split_whitespace().next()?.parse::<u64>().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn finds_itself_by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_of(port), Some(std::process::id()));
        assert!(memory_bytes(std::process::id()).unwrap() > 0);
        assert!(cpu_time(std::process::id()).is_some());
    }
}

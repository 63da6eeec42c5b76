//! A program that is measured: started on loopback, watched through /proc, and ended with its owner.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::outcome::missing;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts `command`. What it says goes to `log`.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let log = fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        child.map(Self).map_err(|error| not_started(command, &error))
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc"))
    }

    /// Processor time used so far, user and system.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // Fields 14 and 15, counted from 1; the second may hold spaces and ends with `)`.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        // The kernel reports in hundredths of a second (USER_HZ), whatever its own tick.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Ends it as a crash does, and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A child that answers a line with a line.
#[derive(Debug)]
pub struct Answering {
    running: Running,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Answering {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let running = Running(child);
        let (ask, told) = pipes.ok_or_else(|| io::Error::other("no pipes to the child"))?;
        Ok(Self { running, ask, told: BufReader::new(told) })
    }

    /// The next line that the child says.
    pub fn listen(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.told.read_line(&mut line)? {
            0 => Err(io::Error::other("the child has ended")),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// Asks, and gives the answer.
    pub fn ask(&mut self) -> io::Result<String> {
        self.ask.write_all(b"\n")?;
        self.listen()
    }

    /// The child itself.
    pub fn running(&self) -> &Running {
        &self.running
    }
}

/// Why a program could not be started: it is missing, or something else.
pub fn not_started(command: &Command, error: &io::Error) -> io::Error {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => missing(&program),
        kind => io::Error::new(kind, format!("{program}: {error}")),
    }
}

/// The listening ports of the programs. The kernel gives outgoing connections ports from
/// 32768 on (`ip_local_port_range`), so that none of these takes a port between its choice and its
/// use.
const PORTS: Range<u16> = 20_000..32_000;

/// How many ports were chosen so far; each is chosen once, until all have been.
static CHOSEN: AtomicU16 = AtomicU16::new(0);

/// A port of loopback on which nothing listens, by UDP or TCP.
pub fn free_port() -> io::Result<SocketAddr> {
    let count = PORTS.end - PORTS.start;
    // Two runs beside each other begin at different ports.
    let first = u16::try_from(std::process::id() % u32::from(count)).unwrap_or_default();
    for _ in 0..count {
        let next = (first + CHOSEN.fetch_add(1, Relaxed) % count) % count;
        let address = SocketAddr::from(([127, 0, 0, 1], PORTS.start + next));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::Error::other("no port is free for both UDP and TCP"))
}

/// How many datagrams the kernel dropped at the UDP socket bound to `address`.
pub fn kernel_drops(address: SocketAddr) -> io::Result<u64> {
    let wanted = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/udp")?;
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let drops = rows
        .filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&wanted)))
        .filter_map(|fields| fields.last()?.parse::<u64>().ok());
    Ok(drops.sum())
}

/// Waits until `done` says so, for at most `patience`.
pub fn wait_until(
    what: &str,
    patience: Duration,
    mut done: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let begin = Instant::now();
    while !done()? {
        if begin.elapsed() > patience {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what}: too late")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

//! The limit: a receiver that only counts datagrams and lines, in a process of its own.

use std::io::{self, BufRead, IoSliceMut, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt, sockopt};

/// As many as Rollcall takes with one system call.
const BATCH: usize = 256;

/// How long a receiver sleeps that has emptied its socket: 8 MiB hold several milliseconds.
const NAP: Duration = Duration::from_micros(500);

/// The kernel buffer that all receivers are given, in bytes: Rollcall's default.
pub const BUFFER: usize = 8 * 1024 * 1024;

/// Counts on `address`, UDP and TCP, until standard input ends; answers each line of it with the
/// count so far.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let count = Arc::new(AtomicU64::new(0));
    let (socket, listener) = (UdpSocket::bind(address)?, TcpListener::bind(address)?);
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
    }
    let counted = Arc::clone(&count);
    std::thread::spawn(move || datagrams(&socket, &counted));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || lines(stream, &counted));
        }
    });
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for _ in io::stdin().lock().lines() {
        writeln!(out, "{}", count.load(Relaxed))?;
        out.flush()?;
    }
    Ok(())
}

fn datagrams(socket: &UdpSocket, count: &AtomicU64) -> nix::Result<()> {
    let mut memory = vec![0_u8; BATCH * 2048];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let mut slots: Vec<_> = memory.chunks_mut(2048).map(|m| [IoSliceMut::new(m)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmmsg(socket.as_raw_fd(), &mut headers, slots.iter_mut(), flags, None) {
            Ok(received) => {
                count.fetch_add(received.count() as u64, Relaxed);
            }
            // A wakeup for each datagram costs the sender more than the datagram itself,
            // and would be no limit at all.
            Err(Errno::EAGAIN) => std::thread::sleep(NAP),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn lines(mut stream: impl Read, count: &AtomicU64) -> io::Result<()> {
    let mut memory = vec![0_u8; 64 * 1024];
    loop {
        let length = stream.read(&mut memory)?;
        if length == 0 {
            return Ok(());
        }
        let lines = memchr::memchr_iter(b'\n', &memory[..length]).count();
        count.fetch_add(lines as u64, Relaxed);
    }
}

//! Sends lines as fast as asked: datagrams in batches of one system call, or one stream.

use std::io::{self, IoSlice, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};

use crate::line::{Line, Sort};

/// How many datagrams one system call sends. Senders that are paced send fewer.
const BATCH: usize = 64;

/// The length of the longest line that is sent, and some.
const ROOM: usize = 1024;

/// How fast to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the kernel takes it.
    Full,
    /// So many a second, whatever the receiver does.
    Rate(f64),
}

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// How many lines.
    pub lines: u32,
    /// From the first to the last.
    pub took: Duration,
}

/// Sends lines of tunnels from `first` on to `to` for `time`, one in each datagram.
pub fn datagrams(
    to: SocketAddr,
    (sort, first): (Sort, u32),
    pace: Pace,
    time: Duration,
) -> io::Result<Sent> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    let mut line = Line::new(sort);
    let mut memory = [[0_u8; ROOM]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let (begin, mut lines) = (Instant::now(), 0_u32);
    while begin.elapsed() < time {
        let due = match pace {
            Pace::Full => BATCH,
            Pace::Rate(rate) => {
                let due = (begin.elapsed().as_secs_f64() * rate) as u32;
                (due.saturating_sub(lines) as usize).min(BATCH)
            }
        };
        if due == 0 {
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        line.renew();
        let mut lengths = [0; BATCH];
        for (place, index) in (0..due).zip(first + lines..) {
            let text = line.of(index);
            memory[place][..text.len()].copy_from_slice(text);
            lengths[place] = text.len();
        }
        let slices: Vec<_> =
            (0..due).map(|at| [IoSlice::new(&memory[at][..lengths[at]])]).collect();
        lines += send(&socket, &mut headers, &slices)?;
    }
    Ok(Sent { lines, took: begin.elapsed() })
}

/// Sends all of `slices`, and says how many.
fn send(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrIn>,
    slices: &[[IoSlice<'_>; 1]],
) -> io::Result<u32> {
    let (mut done, none) = (0, [None; BATCH]);
    while done < slices.len() {
        let left = &slices[done..];
        match sendmmsg(
            socket.as_raw_fd(),
            headers,
            left,
            &none[..left.len()],
            [],
            MsgFlags::empty(),
        ) {
            Ok(results) => done += results.count(),
            // The receiver is not listening yet, or was replaced, as with any UDP sender.
            Err(Errno::ECONNREFUSED | Errno::EINTR | Errno::ENOBUFS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(u32::try_from(done).expect("at most a batch"))
}

/// Sends `count` lines of tunnels from `first` on over one stream, a line each, as fast as the
/// receiver reads.
pub fn stream(to: SocketAddr, (sort, first): (Sort, u32), count: u32) -> io::Result<Sent> {
    let mut stream = TcpStream::connect(to)?;
    let (mut line, begin) = (Line::new(sort), Instant::now());
    let mut memory = Vec::with_capacity(BATCH * ROOM);
    for (at, index) in (first..first + count).enumerate() {
        if at % BATCH == 0 {
            line.renew();
        }
        memory.extend_from_slice(line.of(index));
        memory.push(b'\n');
        if memory.len() > (BATCH - 1) * ROOM {
            stream.write_all(&memory)?;
            memory.clear();
        }
    }
    stream.write_all(&memory)?;
    Ok(Sent { lines: count, took: begin.elapsed() })
}

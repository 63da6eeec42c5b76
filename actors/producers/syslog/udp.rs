//! Datagrams (RFC 5426): read in batches on a thread of their own, with the kernel's own count of
//! those it had to drop.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use futures_executor::block_on;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use rollcall_identity::Timestamp;
use tokio::sync::oneshot;

use super::decoder::{BATCH, SyslogDecoder};
use super::failed;
use super::fair_share::FairShare;
use crate::telemetry::KernelDropped;
use crate::{ProducerError, StopSignal};
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a thread waits for a datagram before it looks whether it should stop.
const LOOK_UP: Duration = Duration::from_millis(200);

/// How long the thread looks away when datagrams come one after the other but not fast: 8 MiB of
/// kernel buffer hold what comes in some milliseconds at the fastest.
const NAP: Duration = Duration::from_micros(500);

/// What lies between two slots besides the longest message: an odd number of cache lines.
const STAGGER: usize = 64 * 3;

/// How many batches are read after the word to stop: what the kernel's largest usual buffer holds of
/// lines of 250 bytes. A sender that never pauses must not hold up the end.
const LAST: usize = 128;

/// A bound socket, and how many datagrams the kernel said it dropped there. Both go to whoever takes
/// the socket over: the kernel counts since the socket was made.
pub(super) struct Socket {
    socket: UdpSocket,
    drops: Arc<AtomicU32>,
    /// The bytes that the kernel's buffer shall hold when it is read.
    buffer: usize,
}

impl Socket {
    /// A socket on `address` whose kernel buffer holds `buffer` bytes, as far as the system allows.
    pub(super) fn bind(address: SocketAddr, buffer: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(LOOK_UP))?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        let socket = Self { socket, drops: Arc::default(), buffer };
        socket.resize()?;
        Ok(socket)
    }

    /// The same socket for a successor, who reads with a buffer of another size. Until then it
    /// stays as it is: whoever has it now may be told to go on.
    pub(super) fn take_over(&self, buffer: usize) -> io::Result<Self> {
        Ok(Self { buffer, ..self.share()? })
    }

    /// The same socket for a reader.
    pub(super) fn share(&self) -> io::Result<Self> {
        let (socket, drops) = (self.socket.try_clone()?, Arc::clone(&self.drops));
        Ok(Self { socket, drops, buffer: self.buffer })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn resize(&self) -> io::Result<()> {
        // With CAP_NET_ADMIN beyond net.core.rmem_max, otherwise up to it.
        if setsockopt(&self.socket, sockopt::RcvBufForce, &self.buffer).is_err() {
            setsockopt(&self.socket, sockopt::RcvBuf, &self.buffer)?;
        }
        Ok(())
    }

    /// How many bytes the kernel's buffer holds, by its own word.
    #[cfg(test)]
    pub(super) fn holds(&self) -> usize {
        nix::sys::socket::getsockopt(&self.socket, sockopt::RcvBuf).unwrap()
    }
}

/// Reads `socket` on a new thread until `stop`. The answer says how it ended; a thread that panics
/// drops it.
pub(super) fn start(
    socket: Socket,
    decoder: SyslogDecoder,
    limit: usize,
    stop: StopSignal,
) -> io::Result<oneshot::Receiver<Result<(), ProducerError>>> {
    socket.resize()?;
    let (tell, told) = oneshot::channel();
    let shares = FairShare::new(decoder.clients.len(), BATCH);
    let reader = Reader { socket, decoder, shares };
    let name = format!("{}-udp", reader.decoder.sink.producer());
    std::thread::Builder::new().name(name).spawn(move || {
        let ended = reader.read(limit, &stop).map_err(|e| failed(&e));
        // Nobody waits for it when the actor was replaced meanwhile.
        let _ = tell.send(ended);
    })?;
    Ok(told)
}

struct Reader {
    socket: Socket,
    decoder: SyslogDecoder,
    shares: FairShare,
}

impl Reader {
    fn read(mut self, limit: usize, stop: &StopSignal) -> io::Result<()> {
        // Slots of one size, a power of two apart, would all fall into the same few lines of the
        // processor's caches.
        let stride = limit + STAGGER;
        let mut memory = vec![0_u8; BATCH * stride];
        while !stop.is_requested() {
            self.turn(&mut memory, (limit, stride), MsgFlags::MSG_WAITFORONE)?;
        }
        for _ in 0..LAST {
            if !self.turn(&mut memory, (limit, stride), MsgFlags::MSG_DONTWAIT)? {
                break;
            }
        }
        block_on(self.decoder.settle());
        Ok(())
    }

    /// Reads a batch and passes it on; whether there was any.
    fn turn(
        &mut self,
        memory: &mut [u8],
        sizes: (usize, usize),
        flags: MsgFlags,
    ) -> io::Result<bool> {
        match self.receive(memory, sizes, flags) {
            Ok(received) => {
                block_on(self.decoder.flush());
                // A stream of datagrams would wake this thread for every few of them. The kernel
                // keeps what comes meanwhile; a single one does not have to wait for others.
                if (2..BATCH / 4).contains(&received) {
                    std::thread::sleep(NAP);
                }
            }
            // An ICMP answer to something that was never sent by us is not about this socket.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Takes what the kernel has, up to a batch, and says how much that was; waits for the first.
    fn receive(
        &mut self,
        memory: &mut [u8],
        (limit, stride): (usize, usize),
        flags: MsgFlags,
    ) -> Result<usize, Errno> {
        let slots = memory.chunks_mut(stride).map(|slot| [IoSliceMut::new(&mut slot[..limit])]);
        let mut slots: Vec<_> = slots.collect();
        // Made anew for each call: the kernel shortens the control lengths, and nix does not restore
        // them.
        let mut headers =
            MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(cmsg_space!(u32)));
        let fd = self.socket.socket.as_raw_fd();
        let received = recvmmsg(fd, &mut headers, slots.iter_mut(), flags, None)?;
        let now = self.decoder.clock.now();
        self.shares.begin();
        let mut drops = None;
        let (mut last, mut count) = (None, 0);
        for datagram in received {
            count += 1;
            if let Ok(controls) = datagram.cmsgs() {
                for control in controls {
                    if let ControlMessageOwned::RxqOvfl(total) = control {
                        drops = Some(total);
                    }
                }
            }
            let Some(sender) = datagram.address.as_ref().and_then(sender) else { continue };
            let known = match &last {
                Some((address, client)) if *address == sender => Option::clone(client),
                _ => self.decoder.clients.at(sender).cloned(),
            };
            match &known {
                None => self.decoder.unknown_sender(sender, now),
                Some(_) if datagram.flags.contains(MsgFlags::MSG_TRUNC) => self.decoder.too_long(),
                Some(client) if !self.shares.admit(client.place, now) => self.decoder.throttled(),
                Some(client) => {
                    let message = datagram.iovs().next().unwrap_or_default();
                    self.decoder.take(client, message, now);
                }
            }
            last = Some((sender, known));
        }
        for (place, count) in self.shares.losses() {
            self.decoder.report_throttled(place, count);
        }
        if let Some(total) = drops {
            self.note_drops(total, now);
        }
        Ok(count)
    }

    /// The kernel counts since the socket was made, and wraps.
    fn note_drops(&mut self, total: u32, now: Timestamp) {
        let before = self.socket.drops.swap(total, SeqCst);
        let count = u64::from(total.wrapping_sub(before));
        if count > 0 {
            self.shares.press(now);
            KernelDropped { producer: self.decoder.sink.producer(), count }.emit();
        }
    }
}

fn sender(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

//! Syslog over UDP (RFC 5426): datagrams are read in batches on a thread, together with the kernel's
//! count of dropped datagrams.

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

/// How long a thread waits for a datagram before it checks the stop signal.
const STOP_POLL: Duration = Duration::from_millis(200);

/// The pause after a small batch at moderate rates: 8 MiB of kernel buffer hold the input of some
/// milliseconds at the highest rate.
const COALESCE_PAUSE: Duration = Duration::from_micros(500);

/// The distance between two slots in addition to the longest message: an odd number of cache lines.
const STAGGER: usize = 64 * 3;

/// The number of batches that are read after the stop signal: the contents of a large kernel buffer
/// at 250 bytes per line. A sender that never pauses must not delay the stop.
const FINAL_BATCHES: usize = 128;

/// A bound socket, and the number of datagrams that the kernel reported as dropped. Both are taken
/// over together: the kernel counts since the creation of the socket.
pub(super) struct Socket {
    socket: UdpSocket,
    drops: Arc<AtomicU32>,
    /// The size of the kernel's receive buffer while the socket is read, in bytes.
    buffer: usize,
}

impl Socket {
    /// A socket on `address` with a receive buffer of `buffer` bytes, as far as the system permits.
    pub(super) fn bind(address: SocketAddr, buffer: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(STOP_POLL))?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        let socket = Self { socket, drops: Arc::default(), buffer };
        socket.resize()?;
        Ok(socket)
    }

    /// The same socket for the next producer, with another buffer size. The size changes when reading
    /// starts, because a reload may still fail and leave the socket to the current producer.
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
        // With CAP_NET_ADMIN the size may exceed net.core.rmem_max.
        if setsockopt(&self.socket, sockopt::RcvBufForce, &self.buffer).is_err() {
            setsockopt(&self.socket, sockopt::RcvBuf, &self.buffer)?;
        }
        Ok(())
    }

    /// The size of the receive buffer in bytes, as the kernel reports it.
    #[cfg(test)]
    pub(super) fn holds(&self) -> usize {
        nix::sys::socket::getsockopt(&self.socket, sockopt::RcvBuf).unwrap()
    }
}

/// Reads `socket` on a new thread until `stop`. The channel receives the result; a thread that panics
/// drops it.
pub(super) fn start(
    socket: Socket,
    decoder: SyslogDecoder,
    limit: usize,
    stop: StopSignal,
) -> io::Result<oneshot::Receiver<Result<(), ProducerError>>> {
    socket.resize()?;
    let (result, ended) = oneshot::channel();
    let shares = FairShare::new(decoder.clients.len(), BATCH);
    let reader = Reader { socket, decoder, shares };
    let name = format!("{}-udp", reader.decoder.sink.producer());
    std::thread::Builder::new().name(name).spawn(move || {
        let outcome = reader.read(limit, &stop).map_err(|e| failed(&e));
        // If the actor was replaced meanwhile, the receiver is dropped.
        let _ = result.send(outcome);
    })?;
    Ok(ended)
}

struct Reader {
    socket: Socket,
    decoder: SyslogDecoder,
    shares: FairShare,
}

impl Reader {
    fn read(mut self, limit: usize, stop: &StopSignal) -> io::Result<()> {
        // Slots at a distance of a power of two would map to the same few cache lines.
        let stride = limit + STAGGER;
        let mut memory = vec![0_u8; BATCH * stride];
        while !stop.is_requested() {
            self.read_batch(&mut memory, (limit, stride), MsgFlags::MSG_WAITFORONE)?;
        }
        for _ in 0..FINAL_BATCHES {
            if !self.read_batch(&mut memory, (limit, stride), MsgFlags::MSG_DONTWAIT)? {
                break;
            }
        }
        block_on(self.decoder.settle());
        Ok(())
    }

    /// Reads and submits a batch. Returns whether there was any input.
    fn read_batch(
        &mut self,
        memory: &mut [u8],
        sizes: (usize, usize),
        flags: MsgFlags,
    ) -> io::Result<bool> {
        match self.receive(memory, sizes, flags) {
            Ok(received) => {
                block_on(self.decoder.flush());
                // Without a pause, moderate traffic would wake this thread for every few datagrams.
                // The kernel buffers the input meanwhile. A single datagram is not delayed.
                if (2..BATCH / 4).contains(&received) {
                    std::thread::sleep(COALESCE_PAUSE);
                }
            }
            // An ICMP error is no error of this socket, because the socket never sends.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Receives up to one batch of datagrams and returns their number. With `MSG_WAITFORONE` it waits
    /// for the first.
    fn receive(
        &mut self,
        memory: &mut [u8],
        (limit, stride): (usize, usize),
        flags: MsgFlags,
    ) -> Result<usize, Errno> {
        let slots = memory.chunks_mut(stride).map(|slot| [IoSliceMut::new(&mut slot[..limit])]);
        let mut slots: Vec<_> = slots.collect();
        // Allocated for each call: the kernel shortens the control lengths, and nix does not restore
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
        for (place, count) in self.shares.take_throttled() {
            self.decoder.report_throttled(place, count);
        }
        if let Some(total) = drops {
            self.note_drops(total, now);
        }
        Ok(count)
    }

    /// Accounts for kernel drops. The kernel's counter starts at the creation of the socket and wraps.
    fn note_drops(&mut self, total: u32, now: Timestamp) {
        let before = self.socket.drops.swap(total, SeqCst);
        let count = u64::from(total.wrapping_sub(before));
        if count > 0 {
            self.shares.throttle(now);
            KernelDropped { producer: self.decoder.sink.producer(), count }.emit();
        }
    }
}

fn sender(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

//! Datagrams (RFC 5426): read in batches on a thread of their own, with the kernel's own count of
//! those it had to drop.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use futures_executor::block_on;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use tokio::sync::oneshot;

use super::failed;
use super::intake::{BATCH, Intake};
use crate::happenings::{Happening, KernelDropped};
use crate::producers::{Pending, ProducerFailed, Stop};

/// How long a thread waits for a datagram before it looks whether it should stop.
const LOOK_UP: Duration = Duration::from_millis(200);

/// How many batches of one socket may be under way: while one is decided the next is read.
const UNDER_WAY: usize = 4;

/// A socket on `address` whose kernel buffer holds `buffer` bytes, as far as the system allows.
pub(super) fn bind(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    setsockopt(&socket, sockopt::RxqOvfl, &1)?;
    // With CAP_NET_ADMIN beyond net.core.rmem_max, otherwise up to it.
    if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &buffer)?;
    }
    Ok(socket)
}

/// Reads `socket` on a new thread until `stop`. The answer says how it ended.
pub(super) fn start(
    socket: UdpSocket,
    intake: Intake,
    limit: usize,
    stop: Stop,
) -> oneshot::Receiver<Result<(), ProducerFailed>> {
    let (tell, told) = oneshot::channel();
    let reader = Reader { socket, intake, under_way: VecDeque::new(), kernel_drops: 0 };
    let name = format!("{}-udp", reader.intake.outlet.producer());
    let started = std::thread::Builder::new().name(name).spawn(move || {
        let ended = reader.read(limit, &stop).map_err(|e| failed(&e));
        let _ = tell.send(ended);
    });
    match started {
        Ok(_) => told,
        Err(error) => {
            let (tell, told) = oneshot::channel();
            let _ = tell.send(Err(failed(&error)));
            told
        }
    }
}

struct Reader {
    socket: UdpSocket,
    intake: Intake,
    under_way: VecDeque<Pending>,
    kernel_drops: u32,
}

impl Reader {
    fn read(mut self, limit: usize, stop: &Stop) -> io::Result<()> {
        let mut memory = vec![0_u8; BATCH * limit];
        while !stop.is_asked() {
            match self.receive(&mut memory, limit) {
                Ok(()) => block_on(self.pass_on()),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // An ICMP answer to something that was never sent by us: not about this socket.
                Err(Errno::ECONNREFUSED) => {}
                Err(error) => return Err(error.into()),
            }
        }
        while let Some(pending) = self.under_way.pop_front() {
            // A refusal is accounted for by the pending batch itself.
            let _ = block_on(pending.receipt());
        }
        Ok(())
    }

    /// Takes what the kernel has, up to a batch; waits for the first.
    fn receive(&mut self, memory: &mut [u8], limit: usize) -> Result<(), Errno> {
        let mut slots: Vec<_> = memory.chunks_mut(limit).map(|m| [IoSliceMut::new(m)]).collect();
        // Made anew for each call: the kernel shortens the control lengths, and nix does not restore
        // them.
        let mut headers =
            MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(cmsg_space!(u32)));
        let fd = self.socket.as_raw_fd();
        let received =
            recvmmsg(fd, &mut headers, slots.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
        let now = self.intake.clock.now();
        let mut drops = self.kernel_drops;
        let mut last = None;
        for datagram in received {
            if let Ok(controls) = datagram.cmsgs() {
                for control in controls {
                    if let ControlMessageOwned::RxqOvfl(total) = control {
                        drops = total;
                    }
                }
            }
            let Some(sender) = datagram.address.as_ref().and_then(sender) else { continue };
            let known = match &last {
                Some((address, client)) if *address == sender => Option::clone(client),
                _ => self.intake.clients.at(sender).cloned(),
            };
            match &known {
                None => self.intake.stranger(sender, now),
                Some(_) if datagram.flags.contains(MsgFlags::MSG_TRUNC) => self.intake.too_long(),
                Some(client) => {
                    let message = datagram.iovs().next().unwrap_or_default();
                    self.intake.take(client, message, now);
                }
            }
            last = Some((sender, known));
        }
        self.note_drops(drops);
        Ok(())
    }

    /// The kernel counts since the socket was made, and wraps.
    fn note_drops(&mut self, total: u32) {
        let count = u64::from(total.wrapping_sub(self.kernel_drops));
        if count > 0 {
            self.kernel_drops = total;
            KernelDropped { producer: self.intake.outlet.producer(), count }.emit();
        }
    }

    async fn pass_on(&mut self) {
        if let Some(pending) = self.intake.hand_over().await {
            self.under_way.push_back(pending);
        }
        while self.under_way.len() >= UNDER_WAY {
            if let Some(oldest) = self.under_way.pop_front() {
                let _ = oldest.receipt().await;
            }
        }
    }
}

fn sender(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

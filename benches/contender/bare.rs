//! The receiver that only counts, as a process of its own like the others.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::{Contender, Stand};
use crate::process::{Answering, free_port};

pub(super) struct Bare {
    child: Answering,
    address: SocketAddr,
}

impl Bare {
    pub(super) fn start(stand: &Stand) -> io::Result<Self> {
        let address = free_port()?;
        let mut command = Command::new(&stand.load);
        let mut child = Answering::start(command.arg("receive").arg(address.to_string()))?;
        child.listen()?;
        Ok(Self { child, address })
    }
}

impl Contender for Bare {
    fn listens(&self) -> SocketAddr {
        self.address
    }

    fn through(&mut self) -> io::Result<u64> {
        self.child.ask()?.parse().map_err(io::Error::other)
    }

    fn processor_time(&self) -> io::Result<Duration> {
        self.child.running().processor_time()
    }
}

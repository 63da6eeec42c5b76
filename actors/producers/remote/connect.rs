//! TCP connections with a timeout.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connects to `address` within `limit`. Small messages are sent without delay (TCP_NODELAY).
///
/// # Errors
/// The error of the system, or `TimedOut`.
pub(crate) async fn connect(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    let stream = timeout(limit, TcpStream::connect(address)).await.map_err(timed_out)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

//! The listener for administrators: REST, the live stream, the metrics.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::listener::Transport;
use crate::section::Section;
use crate::{HttpLimits, Tls, file};

/// The REST listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How its connections are protected; [`Tls::Plain`] on loopback unless a `tls` section is written.
    pub tls: Tls,
    /// The file with the bearer token, made with mode 0600 when it is missing.
    pub token_file: PathBuf,
    /// Its limits.
    pub limits: HttpLimits,
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8514);

/// Connections at once: browsers and scrapers, of which each keeps a few.
const CONNECTIONS: usize = 256;

impl Rest {
    pub(crate) fn read(section: &Section<'_>, data: &Path) -> Self {
        let listen = section.or("listen", LISTEN);
        section.listens(Transport::Tcp, "listen", &[listen]);
        let insecure = section.or("insecure", false);
        let tls = section.section("tls", Tls::read);
        let tls = match (section.has("tls"), insecure) {
            (true, true) => {
                section.complain("insecure", "is plain HTTP: there is a tls section beside it");
                tls
            }
            (true, false) => tls,
            (false, _) => Tls::Plain,
        };
        if tls == Tls::Plain && !insecure && !listen.ip().to_canonical().is_loopback() {
            let message =
                format!("is {listen}, which others reach: write [rest.tls] or insecure = true");
            section.complain("listen", message);
        }
        let token_file = match section.get::<PathBuf>("token_file") {
            Some(path) => section.resolve(path),
            None => data.join("admin.token"),
        };
        if token_file.exists()
            && let Err(why) = file::closed_to_others(&token_file)
        {
            section.complain("token_file", why);
        }
        let limits = section.section("limits", |limits| {
            HttpLimits::read(limits, &HttpLimits::with_connections(CONNECTIONS))
        });
        Self { listen, tls, token_file, limits }
    }
}

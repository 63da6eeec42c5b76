//! The `rest` table: the listener for administrators, with the REST API, the live stream and metrics.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::scalar::Host;
use crate::socket::TransportProtocol;
use crate::table_reader::TableReader;
use crate::{HttpLimits, Tls, file};

/// The settings of the REST listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The listen address.
    pub listen: SocketAddr,
    /// The certificate. The default is [`Tls::Disabled`], which requires a loopback address or
    /// `insecure = true`.
    pub tls: Tls,
    /// The file with the bearer token, created with mode 0600 if it does not exist.
    pub token_file: PathBuf,
    /// The limits of the listener.
    pub limits: HttpLimits,
    /// Host names of the interface, besides those of its certificate.
    pub names: Vec<String>,
}

impl Rest {
    /// The host names under which the interface is used: `names`, and those of the certificate that
    /// the built-in CA issues.
    pub fn host_names(&self) -> Vec<String> {
        let certified = match &self.tls {
            Tls::BuiltInCa { names } => names.as_slice(),
            Tls::Files { .. } | Tls::Disabled => &[],
        };
        self.names.iter().chain(certified).cloned().collect()
    }
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8514);

/// The default maximum number of connections, for browsers and metric scrapers with a few each.
const CONNECTIONS: usize = 256;

impl Rest {
    pub(crate) fn from_table(table: &TableReader<'_>, data: &Path) -> Self {
        let listen = table.get_or("listen", LISTEN);
        table.unique_listeners(TransportProtocol::Tcp, "listen", &[listen]);
        let insecure = table.get_or("insecure", false);
        let with_tls = Tls::with_insecure(table);
        let tls = if table.has("tls") { with_tls } else { Tls::Disabled };
        if tls == Tls::Disabled && !insecure && !listen.ip().to_canonical().is_loopback() {
            let message = format!(
                "is {listen}, which is reachable from the network; add a [rest.tls] table or \
                 insecure = true"
            );
            table.error_at("listen", message);
        }
        let token_file = table.file_path_or("token_file", data.join("admin.token"));
        if token_file.exists()
            && let Err(error) = file::check_permissions(&token_file)
        {
            table.error_at("token_file", error);
        }
        let limits = table.subtable("limits", |limits| {
            HttpLimits::from_table(limits, &HttpLimits::with_connections(CONNECTIONS))
        });
        let names: Vec<Host> = table.list("names").unwrap_or_default();
        let names = names.into_iter().map(|host| host.0).collect();
        Self { listen, tls, token_file, limits, names }
    }
}

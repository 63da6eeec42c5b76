//! Settings that all HTTP listeners share: TLS and limits.

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use crate::file;
use crate::table_reader::TableReader;

/// The certificate of an HTTP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Issued by the built-in CA at the first start and kept in the data folder. It is valid for
    /// the name of the host, `localhost` and the listen addresses.
    BuiltInCa {
        /// Additional names and addresses in its SAN.
        names: Vec<String>,
    },
    /// Loaded from files.
    Files {
        /// The certificate with its chain, PEM.
        certificate: PathBuf,
        /// The private key, PEM.
        key: PathBuf,
    },
    /// No TLS: on loopback, or with `insecure = true`.
    Disabled,
}

impl Tls {
    /// Reads a `tls` table: a certificate from files, or else of the built-in CA.
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        let names = table.list("names").unwrap_or_default();
        match (certificate_file(table, "certificate"), key_file(table, "key")) {
            (Some(certificate), Some(key)) => {
                if !names.is_empty() {
                    let message = "apply to a certificate of the built-in CA only; remove either \
                                   names or certificate and key";
                    table.error_at("names", message);
                }
                return Self::Files { certificate, key };
            }
            (Some(_), None) => table.error_at("key", "is missing: certificate requires it"),
            (None, Some(_)) => table.error_at("certificate", "is missing: key requires it"),
            (None, None) => {}
        }
        Self::BuiltInCa { names }
    }

    /// Reads `insecure` and the `tls` table, which exclude each other.
    pub(crate) fn with_insecure(table: &TableReader<'_>) -> Self {
        let insecure = table.get_or("insecure", false);
        let has_table = table.has("tls");
        let tls = table.subtable("tls", |tls| {
            if has_table {
                // Keeps an empty table, which enables TLS for REST, in the effective configuration.
                tls.set_effective("names", Value::Array(Vec::new()));
            }
            Self::from_table(tls)
        });
        if insecure && has_table {
            table
                .error_at("insecure", "disables TLS, but there is a tls table; remove one of them");
        }
        if insecure { Self::Disabled } else { tls }
    }
}

/// The certificate file at `key`, which must be readable.
pub(crate) fn certificate_file(table: &TableReader<'_>, key: &'static str) -> Option<PathBuf> {
    let path = table.file_path(key)?;
    if let Err(error) = file::text(&path) {
        table.error_at(key, error);
    }
    Some(path)
}

/// The private key file at `key`, which must be readable and protected from other users.
pub(crate) fn key_file(table: &TableReader<'_>, key: &'static str) -> Option<PathBuf> {
    let path = table.file_path(key)?;
    if let Err(error) = file::secret_text(&path) {
        table.error_at(key, error);
    }
    Some(path)
}

/// The limits of one HTTP listener, so that no client can starve another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// The maximum size of a request body in bytes.
    pub body_size: usize,
    /// The maximum size of the request line and all headers together in bytes.
    pub header_size: usize,
    /// The timeout for receiving the request line and the headers.
    pub header_timeout: Duration,
    /// The timeout for receiving the body after them.
    pub body_timeout: Duration,
    /// The maximum number of connections.
    pub connections: usize,
    /// The maximum number of connections per source address.
    pub connections_per_address: usize,
}

impl HttpLimits {
    /// The defaults of a listener with at most `connections` connections.
    ///
    /// An SRX opens up to 20 connections for IP queries besides its batch query, and the nodes of a
    /// cluster can share one address. 64 connections per address are enough for both.
    pub(crate) fn with_connections(connections: usize) -> Self {
        Self {
            body_size: 1 << 20,
            header_size: 16 << 10,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(30),
            connections,
            connections_per_address: 64,
        }
    }

    pub(crate) fn from_table(table: &TableReader<'_>, default: &Self) -> Self {
        let timeouts = Duration::from_secs(1)..=Duration::from_secs(300);
        let per_address = default.connections_per_address;
        Self {
            body_size: table.bytes_in_range("body_size", default.body_size, 4 << 10..=16 << 20),
            header_size: table.bytes_in_range(
                "header_size",
                default.header_size,
                1 << 10..=64 << 10,
            ),
            header_timeout: table.in_range(
                "header_timeout",
                default.header_timeout,
                timeouts.clone(),
            ),
            body_timeout: table.in_range("body_timeout", default.body_timeout, timeouts),
            connections: table.in_range("connections", default.connections, 1..=65_536),
            connections_per_address: table.in_range(
                "connections_per_address",
                per_address,
                1..=65_536,
            ),
        }
    }
}

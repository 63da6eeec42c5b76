//! The configuration of a test: a server that listens on loopback, on ports that the kernel chooses,
//! and the lines that the test adds.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Authority, hash};

/// The client secret of every enforcement point. No response, log line, metric or file of the server
/// may contain it.
pub(crate) const SECRET: &str = "canary-1f0b9c7d-secret-of-a-firewall";

/// A folder with a configuration file and the certificates that it names.
pub(crate) struct Setup {
    folder: TempDir,
    authority: Authority,
    text: String,
    environment: Vec<(String, String)>,
}

/// The listeners and the certificate of the enforcement listener.
const BASE: &str = r#"
data = "data"
shutdown_timeout = "5s"

[enforcement]
listen = ["127.0.0.1:0"]

[enforcement.tls]
certificate = "server.crt"
key = "server.key"

[rest]
listen = "127.0.0.1:0"

[log]
level = "debug"

[[syslog]]
name = "syslog"
udp = ["127.0.0.1:0"]
tcp = ["127.0.0.1:0"]
"#;

/// A syslog sender with all permissions, whose times are in UTC.
const GATEWAY: &str = r#"
[[syslog.clients]]
name = "gateway"
addresses = ["127.0.0.1"]
zone = "UTC"
allow = ["login", "logout", "vpn_up", "vpn_down", "rekey", "refresh", "device_seen"]
allow_roles = ["*"]
allow_posture = true
"#;

impl Setup {
    /// Two firewalls (`campus-fw` and `branch-fw`), a syslog sender (`gateway`) and an HTTP client
    /// (`script`), both with all permissions.
    pub(crate) fn new() -> Self {
        let firewalls = Self::bare()
            .with(&enforcement_point("campus-fw", ""))
            .with(&enforcement_point("branch-fw", ""));
        firewalls.with(GATEWAY).with(&format!(
            "[[ptim.clients]]\nname = \"script\"\naddresses = [\"127.0.0.0/8\"]\n\
             client_id = \"script\"\nsecret_hash = \"{}\"\n\
             allow_roles = [\"*\"]\nallow_posture = true\n",
            hash(SECRET)
        ))
    }

    /// Listeners without any client.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        authority.server();
        Self { folder, authority, text: BASE.to_owned(), environment: Vec::new() }
    }

    /// Appends TOML.
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.text.push('\n');
        self.text.push_str(text);
        self
    }

    /// Replaces a text, which must be present.
    pub(crate) fn replacing(mut self, old: &str, new: &str) -> Self {
        assert!(self.text.contains(old), "{old:?} is not in the configuration");
        self.text = self.text.replace(old, new);
        self
    }

    /// Adds an environment variable of the server.
    pub(crate) fn with_variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The environment variables that are added.
    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Writes the file and returns its path.
    pub(crate) fn write(&self) -> PathBuf {
        let path = self.folder().join("rollcall.toml");
        fs::write(&path, &self.text).unwrap();
        path
    }

    /// Adds a file with mode 0600 to the folder.
    pub(crate) fn with_secret(self, name: &str, text: &str) -> Self {
        let path = self.folder().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        self
    }

    /// The folder of the configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate authority.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// The section of an enforcement point on loopback with [`SECRET`] that may push everything. `more`
/// holds further keys and, after them, sections.
pub(crate) fn enforcement_point(name: &str, more: &str) -> String {
    let push = "push = { allow = [\"vpn_up\", \"vpn_down\", \"rekey\", \"login\", \"logout\"], \
                allow_roles = [\"*\"], allow_posture = true }";
    querying_point(name, &format!("{push}\n{more}"))
}

/// The same, without the permission to push.
pub(crate) fn querying_point(name: &str, more: &str) -> String {
    let hash = hash(SECRET);
    format!(
        "[[enforcement.points]]\nname = \"{name}\"\naddresses = [\"127.0.0.0/8\"]\n\
         client_id = \"{name}\"\nsecret_hash = \"{hash}\"\n{more}\n"
    )
}

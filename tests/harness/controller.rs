//! A real domain controller: Samba, provisioned and filled once, a fresh copy of it for each story.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::{peer, run, skip};

/// One controller at a time has the address.
static ADDRESS: Mutex<()> = Mutex::new(());

/// The password of the accounts that `samba-load.py` makes.
pub(crate) const PASSWORD: &str = "Passw0rd.Reader1";

/// The controller `dc1.corp.example.com` at 127.0.10.10, with 10,000 users.
pub(crate) struct Controller {
    folder: TempDir,
    _address: MutexGuard<'static, ()>,
}

impl Controller {
    /// Where it listens, with LDAP, Kerberos and DNS.
    pub(crate) const ADDRESS: &str = "127.0.10.10";
    /// Its full name.
    pub(crate) const HOST: &str = "dc1.corp.example.com";
    /// The distinguished name of its domain.
    pub(crate) const BASE: &str = "DC=corp,DC=example,DC=com";

    /// Starts it for `story`; `None` where it cannot be, which is noted.
    pub(crate) fn start(story: &str) -> Option<Self> {
        let programs = ["samba", "samba-tool", "ldapsearch", "ldapmodify", "openssl"];
        if let Some(missing) = programs.into_iter().find(|program| peer(program).is_none()) {
            skip(story, &format!("{missing} is not installed"));
            return None;
        }
        if !nix::unistd::Uid::effective().is_root() {
            skip(story, "only root may listen on the ports of a domain controller");
            return None;
        }
        let address = ADDRESS.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let controller = Self { folder, _address: address };
        controller.script("make");
        controller.script("unpack");
        controller.script("start");
        Some(controller)
    }

    /// Where it is kept once it is filled.
    fn cache() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/corp.tar")
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("dc")
    }

    fn script(&self, step: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/samba-dc.sh");
        fs::create_dir_all(Self::cache().parent().unwrap()).unwrap();
        let ended = Command::new(script)
            .arg(step)
            .env("FOLDER", self.folder())
            .env("CACHE", Self::cache())
            .env("LOAD", "10000 500 2000 6000")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{step}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Ends it, as a machine that is switched off.
    pub(crate) fn stop(&self) {
        self.script("stop");
    }

    /// Starts it again, as it was.
    pub(crate) fn start_again(&self) {
        self.script("start");
    }

    /// Puts the copy in its place that was made when it was filled.
    pub(crate) fn restore(&self) {
        self.script("stop");
        self.script("unpack");
        self.script("start");
    }

    /// The authority that signed its certificate, PEM.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder().join("tls/ca.pem")
    }

    /// SHA-256 of its certificate, as openssl writes it.
    pub(crate) fn fingerprint(&self) -> String {
        let openssl = peer("openssl").unwrap();
        let file = self.folder().join("tls/dc.pem").display().to_string();
        let shown = run(&openssl, &["x509", "-in", &file, "-noout", "-fingerprint", "-sha256"]);
        let text = String::from_utf8(shown.stdout).unwrap();
        text.trim().split_once('=').unwrap().1.to_owned()
    }

    /// Changes the directory, as its administrator does: LDIF (RFC 2849).
    pub(crate) fn modify(&self, ldif: &str) {
        let file = self.folder.path().join("change.ldif");
        fs::write(&file, ldif).unwrap();
        let (url, file) = (format!("ldap://{}", Self::ADDRESS), file.display().to_string());
        let administrator = format!("administrator@{}", "corp.example.com");
        let arguments =
            ["-x", "-H", &url, "-D", &administrator, "-w", "Passw0rd.Admin1", "-f", &file];
        let changed = run(&peer("ldapmodify").unwrap(), &arguments);
        assert!(changed.status.success(), "{ldif}\n{}", String::from_utf8_lossy(&changed.stderr));
    }

    /// The `[[active_directory]]` section that reads it; the password is in the file `password`.
    pub(crate) fn section(&self, more: &str) -> String {
        format!(
            "[[active_directory]]\nname = \"corp\"\ndomain = \"corp.example.com\"\n\
             servers = [\"{}\"]\nname_servers = [\"{}:53\"]\nsecret_file = \"password\"\n{more}\n",
            Self::HOST,
            Self::ADDRESS
        )
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.script("wipe");
    }
}

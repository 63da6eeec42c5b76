//! A Samba domain controller, provisioned and filled once and copied for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

use super::{Reserved, Running, peer, run, skip};

/// The password of the accounts that `samba-load.py` makes.
pub(crate) const PASSWORD: &str = "Passw0rd.Reader1";

/// The password of `administrator`.
pub(crate) const ADMINISTRATOR: &str = "Passw0rd.Admin1";

/// A running controller that one test has to itself.
pub(crate) struct Controller {
    // Before its folder and its address: it ends first.
    running: Mutex<Option<Running>>,
    folder: TempDir,
    spec: Spec,
    _reserved: Reserved,
}

/// A container whose contents an account may not read, and its permissions before.
pub(crate) struct Hidden {
    unit: String,
    before: String,
}

/// The parameters of a controller.
#[derive(Debug, Clone, Copy)]
struct Spec {
    /// Its address, for LDAP, Kerberos and DNS.
    address: &'static str,
    /// The first label of its name.
    host: &'static str,
    /// Its domain.
    domain: &'static str,
    netbios: &'static str,
    /// The arguments of `samba-load.py`, which fills it.
    load: &'static str,
    /// The file name of the archive of the filled controller.
    archive: &'static str,
}

/// `dc1.corp.example.com` with 10,000 users.
const LARGE: Spec = Spec {
    address: Controller::ADDRESS,
    host: "dc1",
    domain: "corp.example.com",
    netbios: "CORP",
    load: "10000 500 2000 6000",
    archive: "corp.tar",
};

/// The same domain with only the accounts that the tests name.
const SMALL: Spec = Spec { load: "", archive: "small.tar", ..LARGE };

/// Another domain, with the same account names.
const LAB: Spec = Spec {
    address: "127.0.10.11",
    domain: "lab.example.com",
    netbios: "LAB",
    archive: "lab.tar",
    ..SMALL
};

/// A second controller of the small domain.
const SECOND: Spec = Spec { address: "127.0.10.11", host: "dc2", archive: "second.tar", ..SMALL };

impl Controller {
    /// The address of the first controller, for LDAP, Kerberos and DNS.
    pub(crate) const ADDRESS: &str = "127.0.10.10";
    /// Its full name.
    pub(crate) const HOST: &str = "dc1.corp.example.com";
    /// The distinguished name of the domain.
    pub(crate) const BASE: &str = "DC=corp,DC=example,DC=com";

    /// Starts `dc1.corp.example.com` with 10,000 users; skips the test where Samba cannot run.
    pub(crate) fn start(story: &str) -> Option<Self> {
        Self::unpacked(story, LARGE)
    }

    /// Starts the same controller with a few users.
    pub(crate) fn small(story: &str) -> Option<Self> {
        Self::unpacked(story, SMALL)
    }

    /// Starts `dc1.lab.example.com` with the same few users, at another address.
    pub(crate) fn lab(story: &str) -> Option<Self> {
        Self::unpacked(story, LAB)
    }

    /// Makes and starts `dc2.corp.example.com`, which joins the domain of this one.
    pub(crate) fn second(&self) -> Self {
        let second = Self::prepared(SECOND);
        second.script("join");
        second.start_again();
        second
    }

    fn unpacked(story: &str, spec: Spec) -> Option<Self> {
        let programs = ["samba", "samba-tool", "ldapsearch", "ldapmodify", "openssl"];
        if let Some(missing) = programs.into_iter().find(|program| peer(program).is_none()) {
            skip(story, &format!("{missing} is not installed"));
            return None;
        }
        if !nix::unistd::Uid::effective().is_root() {
            skip(story, "only root may listen on the ports of a domain controller");
            return None;
        }
        let controller = Self::prepared(spec);
        controller.make();
        controller.script("unpack");
        controller.start_again();
        Some(controller)
    }

    fn prepared(spec: Spec) -> Self {
        let reserved = Reserved::address(spec.address);
        let folder = tempfile::tempdir().unwrap();
        Self { running: Mutex::default(), folder, spec, _reserved: reserved }
    }

    /// Makes the archive that all controllers of this kind are copies of, unless it is there. Tests
    /// that need it meanwhile wait.
    fn make(&self) {
        fs::create_dir_all(self.cache().parent().unwrap()).unwrap();
        let lock = fs::File::create(self.cache().with_extension("lock")).unwrap();
        lock.lock().unwrap();
        self.script("make");
    }

    /// The archive of the filled controller.
    fn cache(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(self.spec.archive)
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("dc")
    }

    /// Its address.
    pub(crate) fn address(&self) -> &'static str {
        self.spec.address
    }

    fn script(&self, step: &str) {
        let ended = self.command(step).stdin(Stdio::null()).output().unwrap();
        assert!(ended.status.success(), "{step}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    fn command(&self, step: &str) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/samba-dc.sh");
        let Spec { address, host, domain, netbios, load, .. } = self.spec;
        let mut command = Command::new(script);
        command
            .arg(step)
            .env("FOLDER", self.folder())
            .env("CACHE", self.cache())
            .env("LOAD", load)
            .env("ADDRESS", address)
            .env("HOST", host)
            .env("REALM", domain.to_uppercase())
            .env("NETBIOS", netbios)
            .env("PRIMARY", Self::ADDRESS);
        command
    }

    /// Kills it, as when the machine is switched off.
    pub(crate) fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        running.into_iter().for_each(Running::kill_children);
    }

    /// Starts it as it is on its disk, and waits until it answers. It ends with the calling thread.
    pub(crate) fn start_again(&self) {
        self.script("free");
        let running = Running::start(&mut self.command("run"));
        let id = running.id();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        let mut command = self.command("await");
        let ended = command.env("STARTED", id.to_string()).stdin(Stdio::null()).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Restores the state of the archive.
    pub(crate) fn restore(&self) {
        self.stop();
        self.script("unpack");
        self.start_again();
    }

    /// Restores the archive as a backup program does: with another invocation ID (MS-ADTS 3.1.1.1.4).
    pub(crate) fn restore_as_backup(&self) {
        self.stop();
        self.script("unpack");
        self.set_invocation();
        self.start_again();
    }

    /// Gives it another invocation ID. It must not be running.
    pub(crate) fn set_invocation(&self) {
        let Spec { host, .. } = self.spec;
        let settings = format!("CN=NTDS Settings,CN={host},CN=Servers,CN=Default-First-Site-Name");
        let invocation = BASE64_STANDARD.encode([0xb5; 16]);
        let dn = format!("{settings},CN=Sites,CN=Configuration,{}", Self::BASE);
        let ldif = format!(
            "dn: {dn}\nchangetype: modify\nreplace: invocationId\ninvocationId:: {invocation}\n"
        );
        self.write_database("private/sam.ldb", &ldif, &[]);
    }

    /// Adds objects (LDIF) with their GUIDs, as a move from another domain of the forest does
    /// (MS-ADTS 3.1.1.5.4.2). It must not be running.
    pub(crate) fn import_objects(&self, ldif: &str) {
        self.write_database("private/sam.ldb", ldif, &["--relax"]);
    }

    /// The GUID of an account, in base64.
    pub(crate) fn guid_of(&self, account: &str) -> String {
        let wanted = format!("(sAMAccountName={account})");
        let found = self.search(&["-LLL", "-b", Self::BASE, &wanted, "objectGUID"]);
        let guid = found.lines().find_map(|line| line.strip_prefix("objectGUID:: "));
        guid.unwrap_or_else(|| panic!("{account} has no GUID:\n{found}")).to_owned()
    }

    /// Writes LDIF into its database without any check, as a corrupted disk may. It must not be
    /// running.
    pub(crate) fn corrupt(&self, ldif: &str) {
        let domain = Self::BASE.to_uppercase();
        self.write_database(&format!("private/sam.ldb.d/{domain}.ldb"), ldif, &[]);
    }

    fn write_database(&self, database: &str, ldif: &str, more: &[&str]) {
        let file = self.folder.path().join("database.ldif");
        fs::write(&file, ldif).unwrap();
        let (database, file) = (self.folder().join(database), file.display().to_string());
        let arguments = ["-H", &database.display().to_string(), &file];
        let written = run(&peer("ldbmodify").unwrap(), &[&arguments, more].concat());
        assert!(written.status.success(), "{ldif}\n{}", String::from_utf8_lossy(&written.stderr));
    }

    /// The certificate of the authority that signed its certificate, PEM.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder().join("tls/ca.pem")
    }

    /// The SHA-256 fingerprint of its certificate, as openssl prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let openssl = peer("openssl").unwrap();
        let file = self.folder().join("tls/dc.pem").display().to_string();
        let shown = run(&openssl, &["x509", "-in", &file, "-noout", "-fingerprint", "-sha256"]);
        let text = String::from_utf8(shown.stdout).unwrap();
        text.trim().split_once('=').unwrap().1.to_owned()
    }

    /// Changes the directory as its administrator: LDIF (RFC 2849).
    pub(crate) fn modify(&self, ldif: &str) {
        self.change(ldif, &[]);
    }

    /// Restores the deleted object with the GUID `guid` to `dn` (MS-ADTS 3.1.1.5.3.7).
    pub(crate) fn undelete(&self, guid: &str, dn: &str) {
        let (name, _) = dn.split_once(',').unwrap();
        let deleted = format!("{name}\\0ADEL:{guid},CN=Deleted Objects,{}", Self::BASE);
        let lines =
            format!("delete: isDeleted\n-\nreplace: distinguishedName\ndistinguishedName: {dn}");
        let show_deleted = ["-e", "!1.2.840.113556.1.4.417"];
        self.change(&format!("dn: {deleted}\nchangetype: modify\n{lines}\n"), &show_deleted);
    }

    /// Tries a change that the controller refuses, and returns the error text.
    pub(crate) fn modify_refused(&self, ldif: &str) -> String {
        let tried = self.tried(ldif, &[]);
        assert!(!tried.status.success(), "it was accepted: {ldif}");
        String::from_utf8_lossy(&tried.stderr).into_owned()
    }

    fn change(&self, ldif: &str, more: &[&str]) {
        let changed = self.tried(ldif, more);
        assert!(changed.status.success(), "{ldif}\n{}", String::from_utf8_lossy(&changed.stderr));
    }

    fn tried(&self, ldif: &str, more: &[&str]) -> Output {
        let file = self.folder.path().join("change.ldif");
        fs::write(&file, ldif).unwrap();
        let (url, file) = (format!("ldap://{}", self.spec.address), file.display().to_string());
        let administrator = format!("administrator@{}", self.spec.domain);
        let arguments = ["-x", "-H", &url, "-D", &administrator, "-w", ADMINISTRATOR, "-f", &file];
        run(&peer("ldapmodify").unwrap(), &[&arguments, more].concat())
    }

    /// Runs `ldapsearch` as its administrator, and returns its output.
    pub(crate) fn search(&self, arguments: &[&str]) -> String {
        let url = format!("ldap://{}", self.spec.address);
        let administrator = format!("administrator@{}", self.spec.domain);
        let bind = ["-x", "-H", &url, "-D", &administrator, "-w", ADMINISTRATOR];
        let found = run(&peer("ldapsearch").unwrap(), &[&bind, arguments].concat());
        String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned()
    }

    /// Tries a simple bind that the controller must refuse.
    pub(crate) fn bind_fails(&self, account: &str, password: &str) {
        let url = format!("ldap://{}", self.spec.address);
        let name = format!("{account}@{}", self.spec.domain);
        let arguments = ["-x", "-H", &url, "-D", &name, "-w", password, "-b", "", "-s", "base"];
        assert!(!run(&peer("ldapsearch").unwrap(), &arguments).status.success());
    }

    /// Denies `account` the right to list the container `unit`. [`Self::restore_permissions`] takes the
    /// return value.
    pub(crate) fn deny_read(&self, unit: &str, account: &str) -> Hidden {
        let before = self.descriptor(unit);
        let (url, object) = (format!("ldap://{}", self.spec.address), format!("--objectdn={unit}"));
        let user = format!("--username={}\\administrator%{ADMINISTRATOR}", self.spec.netbios);
        let denied = format!("--sddl=(D;;LC;;;{})", self.sid_of(account));
        let arguments = ["dsacl", "set", "-H", &url, &object, &denied, &user];
        let done = run(&peer("samba-tool").unwrap(), &arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Hidden { unit: unit.to_owned(), before }
    }

    /// Restores the permissions.
    pub(crate) fn restore_permissions(&self, Hidden { unit, before }: Hidden) {
        let ldif = format!(
            "dn: {unit}\nchangetype: modify\nreplace: nTSecurityDescriptor\n\
             nTSecurityDescriptor: {before}\n"
        );
        self.write_database("private/sam.ldb", &ldif, &[]);
    }

    /// The security descriptor of an object (SDDL, MS-DTYP 2.5.1).
    fn descriptor(&self, dn: &str) -> String {
        let database = self.folder().join("private/sam.ldb").display().to_string();
        let arguments = ["-H", &database, "-b", dn, "-s", "base", "nTSecurityDescriptor"];
        let found = run(&peer("ldbsearch").unwrap(), &arguments).stdout;
        let text = String::from_utf8_lossy(&found).replace("\n ", "");
        let descriptor = text.lines().find_map(|line| line.strip_prefix("nTSecurityDescriptor: "));
        descriptor.unwrap_or_else(|| panic!("{dn} has no descriptor:\n{text}")).to_owned()
    }

    fn sid_of(&self, account: &str) -> String {
        let database = self.folder().join("private/sam.ldb").display().to_string();
        let wanted = format!("(sAMAccountName={account})");
        let arguments = ["-H", &database, &wanted, "objectSid"];
        let found = run(&peer("ldbsearch").unwrap(), &arguments).stdout;
        let text = String::from_utf8_lossy(&found).into_owned();
        let sid = text.lines().find_map(|line| line.strip_prefix("objectSid: "));
        sid.unwrap_or_else(|| panic!("{account} has no SID:\n{text}")).to_owned()
    }

    /// The `[[active_directory]]` section for it; the password is in the file `password`.
    pub(crate) fn section(&self, more: &str) -> String {
        let Spec { address, host, domain, netbios, .. } = self.spec;
        format!(
            "[[active_directory]]\nname = \"{}\"\ndomain = \"{domain}\"\n\
             servers = [\"{host}.{domain}\"]\nname_servers = [\"{address}:53\"]\n\
             secret_file = \"password\"\n{more}\n",
            netbios.to_lowercase(),
        )
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // Before its folder is removed and its address is free for another test.
        self.stop();
    }
}

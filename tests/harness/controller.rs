//! A real domain controller: Samba, provisioned and filled once, a fresh copy of it for each story.

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
    what: Described,
    _reserved: Reserved,
}

/// A container that somebody may not look into, and who might before.
pub(crate) struct Hidden {
    unit: String,
    before: String,
}

/// What a controller is.
#[derive(Debug, Clone, Copy)]
struct Described {
    /// Where it listens, with LDAP, Kerberos and DNS.
    address: &'static str,
    /// Its first label.
    host: &'static str,
    /// Its domain.
    domain: &'static str,
    netbios: &'static str,
    /// What fills it, as `samba-load.py` takes it.
    load: &'static str,
    /// The file in which it is kept once it is filled.
    kept: &'static str,
}

/// `dc1.corp.example.com` with 10,000 users.
const LARGE: Described = Described {
    address: Controller::ADDRESS,
    host: "dc1",
    domain: "corp.example.com",
    netbios: "CORP",
    load: "10000 500 2000 6000",
    kept: "corp.tar",
};

/// The same domain with the accounts of the stories only.
const SMALL: Described = Described { load: "", kept: "small.tar", ..LARGE };

/// Another domain, in which others have the same names.
const LAB: Described = Described {
    address: "127.0.10.11",
    domain: "lab.example.com",
    netbios: "LAB",
    kept: "lab.tar",
    ..SMALL
};

/// A second controller of the small domain.
const SECOND: Described =
    Described { address: "127.0.10.11", host: "dc2", kept: "second.tar", ..SMALL };

impl Controller {
    /// Where the first listens, with LDAP, Kerberos and DNS.
    pub(crate) const ADDRESS: &str = "127.0.10.10";
    /// Its full name.
    pub(crate) const HOST: &str = "dc1.corp.example.com";
    /// The distinguished name of its domain.
    pub(crate) const BASE: &str = "DC=corp,DC=example,DC=com";

    /// Starts `dc1.corp.example.com` with 10,000 users for `story`; `None` where it cannot be, which
    /// is noted.
    pub(crate) fn start(story: &str) -> Option<Self> {
        Self::unpacked(story, LARGE)
    }

    /// The same with a few users.
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

    fn unpacked(story: &str, what: Described) -> Option<Self> {
        let programs = ["samba", "samba-tool", "ldapsearch", "ldapmodify", "openssl"];
        if let Some(missing) = programs.into_iter().find(|program| peer(program).is_none()) {
            skip(story, &format!("{missing} is not installed"));
            return None;
        }
        if !nix::unistd::Uid::effective().is_root() {
            skip(story, "only root may listen on the ports of a domain controller");
            return None;
        }
        let controller = Self::prepared(what);
        controller.make();
        controller.script("unpack");
        controller.start_again();
        Some(controller)
    }

    fn prepared(what: Described) -> Self {
        let reserved = Reserved::address(what.address);
        let folder = tempfile::tempdir().unwrap();
        Self { running: Mutex::default(), folder, what, _reserved: reserved }
    }

    /// Makes the archive that all controllers of this kind are copies of, unless it is there. Tests
    /// that need it meanwhile wait.
    fn make(&self) {
        fs::create_dir_all(self.cache().parent().unwrap()).unwrap();
        let lock = fs::File::create(self.cache().with_extension("lock")).unwrap();
        lock.lock().unwrap();
        self.script("make");
    }

    /// Where it is kept once it is filled.
    fn cache(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(self.what.kept)
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("dc")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &'static str {
        self.what.address
    }

    fn script(&self, step: &str) {
        let ended = self.command(step).stdin(Stdio::null()).output().unwrap();
        assert!(ended.status.success(), "{step}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    fn command(&self, step: &str) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/samba-dc.sh");
        let Described { address, host, domain, netbios, load, .. } = self.what;
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

    /// Ends it, as a machine that is switched off.
    pub(crate) fn stop(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
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

    /// Puts the copy in its place that was made when it was filled.
    pub(crate) fn restore(&self) {
        self.stop();
        self.script("unpack");
        self.start_again();
    }

    /// The same, and the copy knows that it is one: it has another invocation (MS-ADTS 3.1.1.1.4).
    pub(crate) fn restore_as_backup(&self) {
        self.stop();
        self.script("unpack");
        self.set_invocation();
        self.start_again();
    }

    /// Makes it another invocation of itself. It must not run.
    pub(crate) fn set_invocation(&self) {
        let Described { host, .. } = self.what;
        let settings = format!("CN=NTDS Settings,CN={host},CN=Servers,CN=Default-First-Site-Name");
        let invocation = BASE64_STANDARD.encode([0xb5; 16]);
        let dn = format!("{settings},CN=Sites,CN=Configuration,{}", Self::BASE);
        let ldif = format!(
            "dn: {dn}\nchangetype: modify\nreplace: invocationId\ninvocationId:: {invocation}\n"
        );
        self.write_database("private/sam.ldb", &ldif, &[]);
    }

    /// Adds objects that bring their GUIDs with them, as from another domain of a forest
    /// (MS-ADTS 3.1.1.5.4.2): LDIF. It must not run.
    pub(crate) fn take_over(&self, ldif: &str) {
        self.write_database("private/sam.ldb", ldif, &["--relax"]);
    }

    /// The GUID of an account, in base64.
    pub(crate) fn guid_of(&self, account: &str) -> String {
        let wanted = format!("(sAMAccountName={account})");
        let found = self.search(&["-LLL", "-b", Self::BASE, &wanted, "objectGUID"]);
        let guid = found.lines().find_map(|line| line.strip_prefix("objectGUID:: "));
        guid.unwrap_or_else(|| panic!("{account} has no GUID:\n{found}")).to_owned()
    }

    /// Writes LDIF into its database past every check, as when the disk has made something else of
    /// it. It must not run.
    pub(crate) fn damage(&self, ldif: &str) {
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
        self.change(ldif, &[]);
    }

    /// Brings back to `dn` what was deleted from there and had the GUID `guid` (MS-ADTS 3.1.1.5.3.7).
    pub(crate) fn undelete(&self, guid: &str, dn: &str) {
        let (name, _) = dn.split_once(',').unwrap();
        let deleted = format!("{name}\\0ADEL:{guid},CN=Deleted Objects,{}", Self::BASE);
        let lines =
            format!("delete: isDeleted\n-\nreplace: distinguishedName\ndistinguishedName: {dn}");
        let show_deleted = ["-e", "!1.2.840.113556.1.4.417"];
        self.change(&format!("dn: {deleted}\nchangetype: modify\n{lines}\n"), &show_deleted);
    }

    /// Tries a change that it refuses. What it says.
    pub(crate) fn refuses(&self, ldif: &str) -> String {
        let tried = self.tried(ldif, &[]);
        assert!(!tried.status.success(), "it was taken: {ldif}");
        String::from_utf8_lossy(&tried.stderr).into_owned()
    }

    fn change(&self, ldif: &str, more: &[&str]) {
        let changed = self.tried(ldif, more);
        assert!(changed.status.success(), "{ldif}\n{}", String::from_utf8_lossy(&changed.stderr));
    }

    fn tried(&self, ldif: &str, more: &[&str]) -> Output {
        let file = self.folder.path().join("change.ldif");
        fs::write(&file, ldif).unwrap();
        let (url, file) = (format!("ldap://{}", self.what.address), file.display().to_string());
        let administrator = format!("administrator@{}", self.what.domain);
        let arguments = ["-x", "-H", &url, "-D", &administrator, "-w", ADMINISTRATOR, "-f", &file];
        run(&peer("ldapmodify").unwrap(), &[&arguments, more].concat())
    }

    /// Asks it as its administrator, with the tool of OpenLDAP: what it prints.
    pub(crate) fn search(&self, arguments: &[&str]) -> String {
        let url = format!("ldap://{}", self.what.address);
        let administrator = format!("administrator@{}", self.what.domain);
        let who = ["-x", "-H", &url, "-D", &administrator, "-w", ADMINISTRATOR];
        let found = run(&peer("ldapsearch").unwrap(), &[&who, arguments].concat());
        String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned()
    }

    /// Takes from `account` the right to see what is in the container `unit`. What [`Self::show`]
    /// gives it back with.
    pub(crate) fn hide(&self, unit: &str, account: &str) -> Hidden {
        let before = self.descriptor(unit);
        let (url, object) = (format!("ldap://{}", self.what.address), format!("--objectdn={unit}"));
        let user = format!("--username={}\\administrator%{ADMINISTRATOR}", self.what.netbios);
        let denied = format!("--sddl=(D;;LC;;;{})", self.sid_of(account));
        let arguments = ["dsacl", "set", "-H", &url, &object, &denied, &user];
        let done = run(&peer("samba-tool").unwrap(), &arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Hidden { unit: unit.to_owned(), before }
    }

    /// Gives the right back.
    pub(crate) fn show(&self, Hidden { unit, before }: Hidden) {
        let ldif = format!(
            "dn: {unit}\nchangetype: modify\nreplace: nTSecurityDescriptor\n\
             nTSecurityDescriptor: {before}\n"
        );
        self.write_database("private/sam.ldb", &ldif, &[]);
    }

    /// Who may do what with an object (SDDL, MS-DTYP 2.5.1).
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

    /// The `[[active_directory]]` section that reads it; the password is in the file `password`.
    pub(crate) fn section(&self, more: &str) -> String {
        let Described { address, host, domain, netbios, .. } = self.what;
        format!(
            "[[active_directory]]\nname = \"{}\"\ndomain = \"{domain}\"\n\
             servers = [\"{host}.{domain}\"]\nname_servers = [\"{address}:53\"]\n\
             secret_file = \"password\"\n{more}\n",
            netbios.to_lowercase(),
        )
    }
}

//! The clients file: enforcement points that were added with `rollcall client add`.

mod grant;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use rollcall_identity::{Kind, Name};
use rollcall_wire::srx::Format;
use serde::Serialize;

use crate::environment::Environment;
use crate::load_context::LoadContext;
use crate::scalar::{ClientId, FromToml};
use crate::source_file::SourceFile;
use crate::table_reader::read_file;
use crate::{ConfigError, ConfigErrors, EnforcementPoint, SecretHash, Settings, file};

/// The name of the clients file in the data folder.
pub const CLIENTS_FILE: &str = "clients.toml";

/// The first lines of a new clients file.
const HEADING: &str = "# Enforcement points added with `rollcall client add`. The keys are those of\n\
                       # [[enforcement.points]] in the configuration reference.\n";

/// Reads the enforcement points of the clients file in the data folder `data`, if it exists.
pub(crate) fn read(context: &LoadContext<'_>, data: &Path) -> Vec<EnforcementPoint> {
    let path = data.join(CLIENTS_FILE);
    if !path.exists() {
        return Vec::new();
    }
    match file::secret_text(&path) {
        Ok(text) => points(context, &path, &text),
        Err(message) => {
            context.add_error(ConfigError { file: path, key: String::new(), line: None, message });
            Vec::new()
        }
    }
}

fn points(context: &LoadContext<'_>, path: &Path, text: &str) -> Vec<EnforcementPoint> {
    let base = path.parent().unwrap_or(Path::new(""));
    let file = SourceFile { context, path, text, base };
    let points = read_file(&file, |root| {
        root.subtable("enforcement", |table| {
            table.subtables("points", EnforcementPoint::from_table)
        })
    });
    points.map(|(points, _)| points).unwrap_or_default()
}

/// An enforcement point to add. All settings that are not fields have their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEnforcementPoint {
    /// The name.
    pub name: Name,
    /// The source addresses that it may connect from.
    pub addresses: Vec<IpNet>,
    /// The `client-id` of the SRX, 1 to 64 characters.
    pub client_id: String,
    /// The hash of its `client-secret`.
    pub secret: SecretHash,
    /// The encoding of its responses; `None` for the default.
    pub format: Option<Format>,
    /// The events that it may push.
    pub push: PushGrants,
}

/// The events that an enforcement point may push. If both lists are empty, it may only query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushGrants {
    /// The addresses that it assigns to VPN users: `vpn_up`, `vpn_down` and `rekey`.
    pub vpn_pools: Vec<IpNet>,
    /// The networks of its captive portal: `login` and `logout`.
    pub portals: Vec<IpNet>,
}

impl PushGrants {
    /// The kinds of event with their networks, without those that have no network.
    pub fn iter(&self) -> impl Iterator<Item = (&'static [Kind], &[IpNet])> {
        let grants = [(VPN_KINDS, &*self.vpn_pools), (PORTAL_KINDS, &*self.portals)];
        grants.into_iter().filter(|(_, networks)| !networks.is_empty())
    }
}

/// The events of a VPN gateway.
const VPN_KINDS: &[Kind] = &[Kind::VpnUp, Kind::VpnDown, Kind::Rekey];

/// The events of a captive portal.
const PORTAL_KINDS: &[Kind] = &[Kind::Login, Kind::Logout];

/// Why an enforcement point was not added or changed. The clients file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum AddPointError {
    /// Another enforcement point or PTIM client has the name.
    #[error("the name {0:?} is already in use; choose another name")]
    NameTaken(String),
    /// Another enforcement point or PTIM client has the client ID.
    #[error("the client ID {0:?} is already in use; choose another client ID")]
    ClientIdTaken(String),
    /// The clients file does not have the enforcement point.
    #[error(
        "{CLIENTS_FILE} in the data folder has no enforcement point {0:?}; if it is in the \
         configuration file, set allow and allow_networks in its [enforcement.points.push]"
    )]
    Unknown(String),
    /// An SRX cannot be configured with the client ID.
    #[error("a client ID must be {}", <ClientId as FromToml>::EXPECTED)]
    BadClientId,
    /// The clients file would be invalid with the new enforcement point.
    #[error("{0}")]
    Refused(ConfigErrors),
    /// The clients file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
}

/// One block of the clients file.
#[derive(Serialize)]
struct Block<'a> {
    enforcement: EnforcementTable<'a>,
}

#[derive(Serialize)]
struct EnforcementTable<'a> {
    points: [PointTable<'a>; 1],
}

#[derive(Serialize)]
struct PointTable<'a> {
    name: &'a str,
    addresses: &'a [IpNet],
    client_id: &'a str,
    secret_hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<DialectTable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push: Option<PushTable<'a>>,
}

#[derive(Serialize)]
struct DialectTable {
    format: Format,
}

#[derive(Serialize)]
struct PushTable<'a> {
    grants: Vec<GrantTable<'a>>,
}

#[derive(Serialize)]
struct GrantTable<'a> {
    allow: &'a [Kind],
    allow_networks: &'a [IpNet],
}

/// Appends `point` to the clients file in the data folder and returns the path of the file.
///
/// # Errors
/// [`AddPointError`]; the file is then unchanged.
pub fn add_point(
    settings: &Settings,
    environment: &Environment,
    point: &NewEnforcementPoint,
) -> Result<PathBuf, AddPointError> {
    check_unused(settings, point)?;
    update(settings, environment, |text| {
        append(text, point);
        Ok(())
    })
}

/// Grants the enforcement point `name` of the clients file to push the events of `grants`, in
/// addition to what it is granted, and returns the path of the file. A grant that it has is not
/// repeated.
///
/// # Errors
/// [`AddPointError`]; the file is then unchanged.
pub fn grant_push(
    settings: &Settings,
    environment: &Environment,
    name: &Name,
    grants: &PushGrants,
) -> Result<PathBuf, AddPointError> {
    update(settings, environment, |text| {
        *text = grant::with_grants(text, name, grants)?;
        Ok(())
    })
}

/// Changes the text of the clients file in the data folder and returns the path of the file.
///
/// The existing content is kept, including comments. The file is replaced atomically: it is written
/// and synced under another name with mode 0600 and the owner of the folder, and then renamed. A
/// lock on the folder serializes concurrent writers.
fn update(
    settings: &Settings,
    environment: &Environment,
    change: impl FnOnce(&mut String) -> Result<(), AddPointError>,
) -> Result<PathBuf, AddPointError> {
    let data = settings.data.as_path();
    let path = data.join(CLIENTS_FILE);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |cause| AddPointError::File { path, cause }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(at(data))?;
    let folder = File::open(data).map_err(at(data))?;
    folder.lock().map_err(at(data))?;
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => HEADING.to_owned(),
        Err(cause) => return Err(AddPointError::File { path, cause }),
    };
    change(&mut text)?;
    let context = LoadContext::new(environment);
    points(&context, &path, &text);
    if let Some(problems) = ConfigErrors::from_found(context.into_errors()) {
        return Err(AddPointError::Refused(problems));
    }
    replace(&path, &text, &folder).map_err(at(&path))?;
    folder.sync_all().map_err(at(data))?;
    Ok(path)
}

/// Fails if the settings already contain the name or the client ID.
fn check_unused(settings: &Settings, point: &NewEnforcementPoint) -> Result<(), AddPointError> {
    if ClientId::new(&point.client_id).is_none() {
        return Err(AddPointError::BadClientId);
    }
    let points = settings.enforcement.points.iter().map(|p| (&p.name, &p.client_id));
    let clients = settings.ptim.clients.iter().map(|p| (&p.name, &p.client_id));
    for (name, client_id) in points.chain(clients) {
        if name.clone().folded() == point.name.clone().folded() {
            return Err(AddPointError::NameTaken(point.name.to_string()));
        }
        if client_id.eq_ignore_ascii_case(&point.client_id) {
            return Err(AddPointError::ClientIdTaken(point.client_id.clone()));
        }
    }
    Ok(())
}

fn append(text: &mut String, point: &NewEnforcementPoint) {
    let grants: Vec<_> = point
        .push
        .iter()
        .map(|(allow, allow_networks)| GrantTable { allow, allow_networks })
        .collect();
    let table = PointTable {
        name: point.name.as_str(),
        addresses: &point.addresses,
        client_id: &point.client_id,
        secret_hash: point.secret.expose(),
        dialect: point.format.map(|format| DialectTable { format }),
        push: Some(PushTable { grants }).filter(|push| !push.grants.is_empty()),
    };
    let block = toml::to_string(&Block { enforcement: EnforcementTable { points: [table] } })
        .expect("strings, lists of strings and a final table serialize as TOML");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&block);
}

/// Replaces the file at `path`, which is in `folder`, by one with the content `text`.
fn replace(path: &Path, text: &str, folder: &File) -> io::Result<()> {
    let new = path.with_extension("toml.new");
    // A file that a killed process left behind may have another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    // `client add` may run as root, but the service, which owns the folder, must read the file.
    let (owner, created) = (folder.metadata()?, file.metadata()?);
    if owner.uid() != created.uid() {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

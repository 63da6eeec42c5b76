//! The clients file: enforcement points that were added with `rollcall client add`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use rollcall_identity::Name;
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
}

/// Why an enforcement point was not added. The clients file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum AddPointError {
    /// Another enforcement point or PTIM client has the name.
    #[error("the name {0:?} is already in use; choose another name")]
    NameTaken(String),
    /// Another enforcement point or PTIM client has the client ID.
    #[error("the client ID {0:?} is already in use; choose another client ID")]
    ClientIdTaken(String),
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
}

#[derive(Serialize)]
struct DialectTable {
    format: Format,
}

/// Appends `point` to the clients file in the data folder and returns the path of the file.
///
/// The existing content is kept, including comments. The file is replaced atomically: it is written
/// and synced under another name with mode 0600 and the owner of the folder, and then renamed. A
/// lock on the folder serializes concurrent writers.
///
/// # Errors
/// [`AddPointError`]; the file is then unchanged.
pub fn add_point(
    settings: &Settings,
    environment: &Environment,
    point: &NewEnforcementPoint,
) -> Result<PathBuf, AddPointError> {
    check_unused(settings, point)?;
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
    append(&mut text, point);
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
    let table = PointTable {
        name: point.name.as_str(),
        addresses: &point.addresses,
        client_id: &point.client_id,
        secret_hash: point.secret.expose(),
        dialect: point.format.map(|format| DialectTable { format }),
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

//! The clients file: enforcement points that `rollcall client add` wrote, beside the configuration.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use rollcall_identity::Name;
use serde::Serialize;

use crate::leaf::ClientId;
use crate::reading::{Document, Environment, Reading};
use crate::{Point, Problem, Problems, SecretHash, Settings, file};

/// Its name in the data folder.
pub const CLIENTS_FILE: &str = "clients.toml";

/// What a new clients file begins with.
const HEADING: &str = "# Enforcement points added by `rollcall client add`. The keys are those of\n\
                       # [[enforcement.points]] in the configuration reference.\n";

/// Reads the enforcement points of the clients file in `data`, if there is one.
pub(crate) fn read(reading: &Reading<'_>, data: &Path) -> Vec<Point> {
    let path = data.join(CLIENTS_FILE);
    if !path.exists() {
        return Vec::new();
    }
    match file::secret_text(&path) {
        Ok(text) => points(reading, &path, &text),
        Err(message) => {
            reading.complain(Problem { file: path, key: String::new(), line: None, message });
            Vec::new()
        }
    }
}

fn points(reading: &Reading<'_>, path: &Path, text: &str) -> Vec<Point> {
    let base = path.parent().unwrap_or(Path::new(""));
    let document = Document { reading, file: path, text, base };
    let points = document.read(|root| {
        root.section("enforcement", |section| section.sections("points", Point::read))
    });
    points.unwrap_or_default()
}

/// An enforcement point to add; everything else is as by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPoint {
    /// Its name.
    pub name: Name,
    /// From where it may connect.
    pub addresses: Vec<IpNet>,
    /// The SRX's `client-id`, 1 to 64 characters.
    pub client_id: String,
    /// The hash of its `client-secret`.
    pub secret: SecretHash,
}

/// Why an enforcement point was not added. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum NotAdded {
    /// Another one, or a pusher, has the name.
    #[error("the name {0:?} is taken")]
    NameTaken(String),
    /// Another one, or a pusher, has the client id.
    #[error("the client id {0:?} is taken")]
    ClientIdTaken(String),
    /// The client id is not what an SRX can be configured with.
    #[error("a client id must be {}", <ClientId as crate::leaf::Leaf>::EXPECTED)]
    BadClientId,
    /// The clients file, with the new point in it, would be refused.
    #[error("{0}")]
    Refused(Problems),
    /// The clients file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// One block of the file, as serde writes it.
#[derive(Serialize)]
struct Written<'a> {
    enforcement: WrittenPoints<'a>,
}

#[derive(Serialize)]
struct WrittenPoints<'a> {
    points: [WrittenPoint<'a>; 1],
}

#[derive(Serialize)]
struct WrittenPoint<'a> {
    name: &'a str,
    addresses: &'a [IpNet],
    client_id: &'a str,
    secret_hash: &'a str,
}

/// Appends `point` to the clients file in the data folder and returns the file's path.
///
/// What is in the file stays as it is, comments included. The file is replaced as a whole (mode
/// 0600, written and synced under another name, renamed), so that a reader sees the old or the new
/// one; a lock on the folder lets one process write at a time.
///
/// # Errors
/// [`NotAdded`]; the file is then as it was.
pub fn add_point(
    settings: &Settings,
    environment: &Environment,
    point: &NewPoint,
) -> Result<PathBuf, NotAdded> {
    free(settings, point)?;
    let data = settings.data.as_path();
    let path = data.join(CLIENTS_FILE);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |cause| NotAdded::File { path, cause }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(at(data))?;
    let folder = File::open(data).map_err(at(data))?;
    folder.lock().map_err(at(data))?;
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => HEADING.to_owned(),
        Err(cause) => return Err(NotAdded::File { path, cause }),
    };
    append(&mut text, point);
    let reading = Reading::new(environment);
    points(&reading, &path, &text);
    if let Some(problems) = Problems::from_found(reading.into_problems()) {
        return Err(NotAdded::Refused(problems));
    }
    replace(&path, &text).map_err(at(&path))?;
    folder.sync_all().map_err(at(data))?;
    Ok(path)
}

/// Whether nobody in force has the name or the client id.
fn free(settings: &Settings, point: &NewPoint) -> Result<(), NotAdded> {
    if ClientId::new(&point.client_id).is_none() {
        return Err(NotAdded::BadClientId);
    }
    let points = settings.enforcement.points.iter().map(|p| (&p.name, &p.client_id));
    let pushers = settings.ptim.clients.iter().map(|p| (&p.name, &p.client_id));
    for (name, client_id) in points.chain(pushers) {
        if name.folded() == point.name.folded() {
            return Err(NotAdded::NameTaken(point.name.to_string()));
        }
        if client_id.eq_ignore_ascii_case(&point.client_id) {
            return Err(NotAdded::ClientIdTaken(point.client_id.clone()));
        }
    }
    Ok(())
}

fn append(text: &mut String, point: &NewPoint) {
    let written = WrittenPoint {
        name: point.name.as_str(),
        addresses: &point.addresses,
        client_id: &point.client_id,
        secret_hash: point.secret.expose(),
    };
    let block = toml::to_string(&Written { enforcement: WrittenPoints { points: [written] } })
        .expect("text and lists of text can be written as TOML");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&block);
}

/// Puts `text` in the place of the file at `path`.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("toml.new");
    // What a killed process left may have another mode: it is made anew.
    match fs::remove_file(&new) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

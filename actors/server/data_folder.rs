//! Checks that nobody but the service and root controls the data folder: its files hold secrets, and
//! the sessions of a restart.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rollcall_producers::registration::BindError;
use rollcall_runtime::telemetry::TelemetryEvent;
use rustix::process::geteuid;

use crate::telemetry::FolderReplaceable;

/// The permission bits of the group and of other users.
const OTHERS: u32 = 0o077;

/// The write permission of the group and of other users.
const OTHERS_WRITE: u32 = 0o022;

/// In such a folder, only the owner of a file can replace it.
const STICKY: u32 = 0o1000;

/// Checks the data folder, everything in it, and its parents. A folder of this user gets the mode
/// 0700. In evaluation mode, a parent that another user can replace is only logged: the folder is
/// then below the working directory.
///
/// # Errors
/// The first file or folder that another user controls, with the command that corrects it.
pub(crate) fn check(data: &Path, is_evaluation: bool) -> Result<(), BindError> {
    let folder = fs::canonicalize(data).map_err(|error| unreadable(data, &error))?;
    check_owners(&folder, geteuid().as_raw(), is_evaluation)?;
    if metadata(&folder)?.mode() & OTHERS != 0 {
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(|error| {
            let folder = folder.display();
            BindError::Config(format!("chmod 0700 {folder}: {error}"))
        })?;
    }
    Ok(())
}

/// Checks the data folder for a server that runs as the owner of the folder. Changes nothing. A user
/// who is neither this owner nor root cannot check it, and gets no error.
///
/// # Errors
/// The first file or folder that another user controls, with the command that corrects it.
pub fn check_for_owner(data: &Path, is_evaluation: bool) -> Result<(), BindError> {
    let folder = fs::canonicalize(data).map_err(|error| unreadable(data, &error))?;
    let owner = metadata(&folder)?.uid();
    if is_trusted(owner, geteuid().as_raw()) || geteuid().is_root() {
        check_owners(&folder, owner, is_evaluation)
    } else {
        Ok(())
    }
}

/// Checks that everything belongs to the user `us` of the service or to root.
fn check_owners(folder: &Path, us: u32, is_evaluation: bool) -> Result<(), BindError> {
    check_tree(folder, us)?;
    for parent in folder.ancestors().skip(1) {
        match check_parent(parent, us) {
            Err(problem) if is_evaluation => FolderReplaceable { problem: &problem }.emit(),
            checked => checked.map_err(BindError::Config)?,
        }
    }
    Ok(())
}

/// Checks the owner of `path` and of everything below it, and that others cannot write it.
fn check_tree(path: &Path, us: u32) -> Result<(), BindError> {
    let found = metadata(path)?;
    let shown = path.display();
    if !is_trusted(found.uid(), us) {
        return Err(BindError::Config(format!(
            "{shown} belongs to user {}, who could read or replace the data; run Rollcall as that \
             user, or run: chown -R {us} {shown}",
            found.uid()
        )));
    }
    if found.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
        for entry in entries {
            check_tree(&entry.map_err(|error| unreadable(path, &error))?.path(), us)?;
        }
    } else if found.is_file() && found.mode() & OTHERS_WRITE != 0 {
        return Err(BindError::Config(format!(
            "other users can write {shown}; run: chmod go-w {shown}"
        )));
    }
    Ok(())
}

/// Checks that no other user can rename what is in the folder `parent`.
fn check_parent(parent: &Path, us: u32) -> Result<(), String> {
    let found = metadata(parent).map_err(|error| error.to_string())?;
    let shown = parent.display();
    if !is_trusted(found.uid(), us) {
        return Err(format!(
            "{shown} belongs to user {}, who could replace the data folder below it; run: chown root \
             {shown}",
            found.uid()
        ));
    }
    let is_private_group = found.gid() == found.uid();
    let writable = if is_private_group { OTHERS_WRITE & 0o002 } else { OTHERS_WRITE };
    if found.mode() & STICKY == 0 && found.mode() & writable != 0 {
        return Err(format!(
            "other users can write {shown} and could replace the data folder below it; run: chmod \
             go-w {shown}"
        ));
    }
    Ok(())
}

/// Whether the user `uid` controls a service of the user `us` anyway.
fn is_trusted(uid: u32, us: u32) -> bool {
    uid == 0 || uid == us
}

fn metadata(path: &Path) -> Result<Metadata, BindError> {
    fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> BindError {
    let path: PathBuf = path.to_owned();
    BindError::io(&format!("the data folder, {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn refusal(data: &Path) -> String {
        check(data, false).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_of_this_user_is_made_private() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        fs::create_dir(&data).unwrap();
        set_mode(&data, 0o755);
        check(&data, false).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_that_others_can_write_is_refused_with_the_remedy() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("clients.toml");
        fs::write(&file, "").unwrap();
        set_mode(&file, 0o662);
        let refused = refusal(data.path());
        assert!(refused.ends_with(&format!("run: chmod go-w {}", file.display())), "{refused}");
    }

    #[test]
    fn a_parent_that_others_can_write_is_refused_and_tolerated_for_evaluation() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        fs::create_dir(&data).unwrap();
        set_mode(parent.path(), 0o777);
        assert!(refusal(&data).contains("could replace the data folder"));
        check(&data, true).unwrap();
        set_mode(parent.path(), 0o1777);
        check(&data, false).unwrap();
    }

    /// Only root can give a file to another user.
    #[test]
    fn root_checks_the_folder_of_the_user_of_the_service() {
        let data = tempfile::tempdir().unwrap();
        let (service, other) = (Some(65_533), Some(65_534));
        let token = data.path().join("admin.token");
        fs::write(&token, "").unwrap();
        if chown(data.path(), service, service).is_ok() {
            check_for_owner(data.path(), false).unwrap();
            chown(&token, service, service).unwrap();
            check_for_owner(data.path(), false).unwrap();
            assert!(refusal(data.path()).contains("belongs to user 65533"), "root is not its user");
            chown(&token, other, other).unwrap();
            let refused = check_for_owner(data.path(), false).unwrap_err().to_string();
            assert!(refused.contains("chown -R 65533 "), "{refused}");
        } else {
            check_for_owner(data.path(), false).unwrap();
        }
    }

    /// Only root can give a file to another user.
    #[test]
    fn a_token_that_another_user_created_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let token = data.path().join("admin.token");
        fs::write(&token, "known to the other user").unwrap();
        if chown(&token, Some(65_534), Some(65_534)).is_ok() {
            let refused = refusal(data.path());
            assert!(refused.contains("belongs to user 65534"), "{refused}");
            assert!(refused.contains("chown -R 0 "), "{refused}");
        } else {
            check(data.path(), false).unwrap();
        }
    }
}

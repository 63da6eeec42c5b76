//! Writes the archive of a backup: regular files in the ustar interchange format of POSIX.1-2017
//! (pax, "ustar Interchange Format"), with sizes beyond 8 GB in the encoding of GNU tar.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tar::{Builder, Header};

use super::layout::name_of;

/// An archive that is being written.
pub(super) struct ArchiveWriter(Builder<BufWriter<File>>);

impl ArchiveWriter {
    /// Creates the archive with mode 0600. The file must not exist.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self(Builder::new(BufWriter::new(file))))
    }

    /// Adds the file at `path` under its name without a folder. The content is streamed.
    pub(super) fn add(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let (size, mode) = (metadata.len(), metadata.permissions().mode() & 0o777);
        let modified = u64::try_from(metadata.mtime()).unwrap_or_default();
        let header = header(&name_of(path), (mode, size, modified))?;
        let mut content = file.take(size);
        self.0.append(&header, &mut content)?;
        if content.limit() > 0 {
            let text = format!("{} became shorter while it was copied", path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(())
    }

    /// Writes the end of the archive.
    pub(super) fn finish(self) -> io::Result<()> {
        self.0.into_inner()?.flush()
    }
}

/// The header of a regular file: its name, its mode, its size in bytes, and its modification time
/// in seconds since 1970. It has no owner, so that it belongs to the user that extracts it.
fn header(name: &str, (mode, size, modified): (u32, u64, u64)) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(modified);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// Headers and contents begin at a multiple of this.
    const BLOCK: usize = 512;

    /// The largest size in eleven octal digits.
    const OCTAL: u64 = (1 << 33) - 1;

    #[test]
    fn tar_extracts_the_archived_files() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        let contents = [("empty", 0), ("one", 1), ("block", BLOCK), ("more", 3 * BLOCK + 7)];
        let mut archive = ArchiveWriter::create(&of("all.tar")).unwrap();
        for (name, size) in contents {
            fs::write(of(name), vec![b'x'; size]).unwrap();
            fs::set_permissions(of(name), fs::Permissions::from_mode(0o440)).unwrap();
            archive.add(&of(name)).unwrap();
        }
        archive.finish().unwrap();
        let mode = fs::metadata(of("all.tar")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let target = tempfile::tempdir().unwrap();
        let mut tar = Command::new("tar");
        let tar = tar.arg("-xf").arg(of("all.tar")).arg("-C").arg(target.path());
        assert!(tar.status().unwrap().success());
        for (name, size) in contents {
            let unpacked = target.path().join(name);
            assert_eq!(fs::read(&unpacked).unwrap(), vec![b'x'; size]);
            let (source, target) =
                (fs::metadata(of(name)).unwrap(), fs::metadata(unpacked).unwrap());
            assert_eq!(target.permissions().mode() & 0o777, 0o440);
            assert_eq!(target.mtime(), source.mtime());
        }
        assert!(
            ArchiveWriter::create(&of("all.tar")).is_err(),
            "an existing file is not overwritten"
        );
    }

    #[test]
    fn sizes_beyond_octal_use_the_gnu_encoding() {
        let large = header("large", (0o440, OCTAL + 1, 0)).unwrap();
        assert_eq!(large.as_bytes()[124..136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        let largest = header("largest", (0o440, OCTAL, 0)).unwrap();
        assert_eq!(largest.as_bytes()[124..136], *b"77777777777\0");
        assert!(header(&"x".repeat(101), (0o440, 0, 0)).is_err(), "ustar names have 100 bytes");
    }
}

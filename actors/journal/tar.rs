//! One file that holds others, as `tar` reads it: the ustar interchange format of POSIX.1-2017 (pax,
//! "ustar Interchange Format"), with sizes beyond 8 GB as GNU tar writes them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::layout::name_of;

/// Headers and contents begin on a multiple of this.
const BLOCK: usize = 512;

/// The largest size that eleven octal digits hold.
const OCTAL: u64 = (1 << 33) - 1;

/// An archive that is written.
pub(super) struct TarWriter(BufWriter<File>);

impl TarWriter {
    /// A new one, which nobody else may read.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self(BufWriter::new(file)))
    }

    /// Adds the file at `path`, under its name without a folder.
    pub(super) fn add(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        let (size, mode) = (about.len(), about.permissions().mode() & 0o777);
        let modified = u64::try_from(about.mtime()).unwrap_or_default();
        self.0.write_all(&header(&name_of(path), (mode, size, modified))?)?;
        let copied = io::copy(&mut file.take(size), &mut self.0)?;
        if copied != size {
            let text = format!("{} became shorter while it was copied", path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        self.0.write_all(&[0; BLOCK][..(BLOCK - over) % BLOCK])
    }

    /// Ends it, with two blocks of nothing.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.flush()
    }
}

/// What precedes a regular file: its name, and its mode, its size in bytes and when it was modified, in
/// seconds since 1970. It belongs to whoever unpacks it.
fn header(name: &str, (mode, size, modified): (u32, u64, u64)) -> io::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let field = header.get_mut(..name.len()).filter(|field| field.len() < 100);
    let field = field.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidFilename, name))?;
    field.copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    if size <= OCTAL {
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    } else {
        header[124] = 0x80;
        header[128..136].copy_from_slice(&size.to_be_bytes());
    }
    header[136..147].copy_from_slice(format!("{:011o}", modified.min(OCTAL)).as_bytes());
    // The sum is made as if its own field held spaces.
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn tar_extracts_the_archived_files() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        let contents = [("empty", 0), ("one", 1), ("block", BLOCK), ("more", 3 * BLOCK + 7)];
        let mut archive = TarWriter::create(&of("all.tar")).unwrap();
        for (name, size) in contents {
            fs::write(of(name), vec![b'x'; size]).unwrap();
            fs::set_permissions(of(name), fs::Permissions::from_mode(0o440)).unwrap();
            archive.add(&of(name)).unwrap();
        }
        archive.finish().unwrap();
        let target = tempfile::tempdir().unwrap();
        let mut tar = Command::new("tar");
        let tar = tar.arg("-xf").arg(of("all.tar")).arg("-C").arg(target.path());
        assert!(tar.status().unwrap().success());
        for (name, size) in contents {
            let unpacked = target.path().join(name);
            assert_eq!(fs::read(&unpacked).unwrap(), vec![b'x'; size]);
            assert_eq!(fs::metadata(unpacked).unwrap().permissions().mode() & 0o777, 0o440);
        }
        assert!(TarWriter::create(&of("all.tar")).is_err(), "an existing file is not overwritten");
    }

    #[test]
    fn sizes_beyond_octal_use_the_gnu_encoding() {
        let large = header("large", (0o440, OCTAL + 1, 0)).unwrap();
        assert_eq!(large[124..136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        let largest = header("largest", (0o440, OCTAL, 0)).unwrap();
        assert_eq!(largest[124..136], *b"77777777777\0");
        assert!(header(&"x".repeat(100), (0o440, 0, 0)).is_err());
    }
}

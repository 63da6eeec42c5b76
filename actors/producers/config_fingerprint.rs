//! What a producer was bound from: a reload compares it to decide whether to replace the producer.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The configuration that a producer depends on: its section, and a digest of the files that the
/// section names.
#[derive(Clone)]
pub struct ConfigFingerprint {
    section: Arc<dyn Section>,
    files: FileDigest,
}

impl ConfigFingerprint {
    /// The fingerprint of `section` and of the contents of `files`.
    pub fn new<'a, S: PartialEq + Send + Sync + 'static>(
        section: S,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> Self {
        Self { section: Arc::new(section), files: digest_files(files) }
    }
}

impl PartialEq for ConfigFingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files && self.section.is_equal(&*other.section)
    }
}

/// A section of any type that can be compared with another one.
trait Section: Any + Send + Sync {
    fn is_equal(&self, other: &dyn Any) -> bool;
}

impl<S: PartialEq + Send + Sync + 'static> Section for S {
    fn is_equal(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<S>() == Some(self)
    }
}

/// A SHA-256 digest of files. A reload compares it to detect replaced certificates.
pub type FileDigest = [u8; 32];

/// The digest of `files`. A file that cannot be read counts as empty; the component that needs the
/// file reports the error.
pub fn digest_files<'a>(files: impl IntoIterator<Item = &'a Path>) -> FileDigest {
    let mut digest = Sha256::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap_or_default();
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    }
    digest.finalize().into()
}

//! The section of one push dialect: its name and its settings, whose type only the dialect knows.

use std::any::Any;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::table_reader::TableReader;

/// The settings of one dialect.
pub trait DialectSettings: Debug + PartialEq + Send + Sync + 'static {
    /// The name of the section, below `push`. It is the kind of the target in the REST API.
    const SECTION: &'static str;
}

/// The settings of a push target that belong to its dialect.
#[derive(Debug, Clone)]
pub struct DialectSection {
    name: &'static str,
    settings: Arc<dyn AnySettings>,
}

impl DialectSection {
    /// The section with these settings.
    pub fn new<S: DialectSettings>(settings: S) -> Self {
        Self { name: S::SECTION, settings: Arc::new(settings) }
    }

    /// The name of the section.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The settings; `None` if they are those of another dialect.
    pub fn settings<S: DialectSettings>(&self) -> Option<&S> {
        let settings: &dyn Any = &*self.settings;
        settings.downcast_ref()
    }
}

impl PartialEq for DialectSection {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.settings.is_equal(&*other.settings)
    }
}

/// Settings of any type that can be compared with others.
trait AnySettings: Any + Debug + Send + Sync {
    fn is_equal(&self, other: &dyn Any) -> bool;
}

impl<S: DialectSettings> AnySettings for S {
    fn is_equal(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<S>() == Some(self)
    }
}

/// Reads the tables of one section.
pub(super) struct PushSection {
    /// The name of the section, below `push`.
    pub(super) name: &'static str,
    /// The default of `batch_size`.
    pub(super) batch_size: usize,
    /// Reads the keys of the dialect from the table of the target with this name. The folder holds
    /// the files of push targets.
    pub(super) read: fn(&TableReader<'_>, &str, &Path) -> Option<DialectSection>,
}

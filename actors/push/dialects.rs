//! The dialects of push targets. Each is one file here, over its codec in `src/wire`.

mod secure_edge;
mod srx_web_api;

use std::path::PathBuf;
use std::sync::Arc;

use rollcall_config::PushTarget;

use crate::dialect::{DialectFactory, Registration};

/// All dialects. A new dialect adds its own files and one line here.
pub(crate) const REGISTRATIONS: &[Registration] =
    &[secure_edge::REGISTRATION, srx_web_api::REGISTRATION];

/// The dialect of a target.
///
/// # Panics
/// If no dialect is registered for the section of the target. The test
/// `every_section_of_the_configuration_has_a_dialect` prevents that.
pub(crate) fn factory(target: &PushTarget) -> Arc<dyn DialectFactory> {
    find(REGISTRATIONS, target).expect("each section of push targets has a dialect")
}

/// The dialect of a target among these.
pub(crate) fn find<'a>(
    registrations: impl IntoIterator<Item = &'a Registration>,
    target: &PushTarget,
) -> Option<Arc<dyn DialectFactory>> {
    let of_section = |dialect: &&Registration| dialect.section == target.dialect.name();
    let registration = registrations.into_iter().find(of_section)?;
    (registration.factory)(target)
}

/// The files of a target whose replacement restarts it at a reload.
pub fn target_files(target: &PushTarget) -> Vec<PathBuf> {
    let mut files = vec![target.ca.clone()];
    files.extend(target.identity.iter().flat_map(|(certificate, key)| [certificate, key]).cloned());
    files.extend(factory(target).files());
    files
}

//! The syslog templates that Rollcall ships with, the files of `config/syslog`.

/// Name and text of each, in the order in which a client without a list tries them.
pub const SHIPPED: &[(&str, &str)] = &[];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_of_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("syslog");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let shipped: BTreeSet<String> =
            SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(shipped, files);
        assert_eq!(shipped.len(), SHIPPED.len(), "a template is listed twice");
    }
}

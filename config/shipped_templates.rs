//! The syslog templates that Rollcall ships with: the files in `config/syslog`.

/// Name and text of each template, in the order in which a client without `templates` tries them.
/// The template for SRX firewalls is the first, because the first match decides and each further
/// attempt costs time.
pub const SHIPPED_TEMPLATES: &[(&str, &str)] = &[
    ("junos-vpn", include_str!("syslog/junos-vpn.toml")),
    ("aruba-clearpass", include_str!("syslog/aruba-clearpass.toml")),
    ("cisco-asa-anyconnect", include_str!("syslog/cisco-asa-anyconnect.toml")),
    ("cisco-ise", include_str!("syslog/cisco-ise.toml")),
    ("fortinet-ssl-vpn", include_str!("syslog/fortinet-ssl-vpn.toml")),
    ("freeradius", include_str!("syslog/freeradius.toml")),
    ("isc-dhcpd", include_str!("syslog/isc-dhcpd.toml")),
    ("kea", include_str!("syslog/kea.toml")),
    ("openvpn", include_str!("syslog/openvpn.toml")),
    ("paloalto-globalprotect", include_str!("syslog/paloalto-globalprotect.toml")),
    ("pulse-connect-secure", include_str!("syslog/pulse-connect-secure.toml")),
    ("samba-audit", include_str!("syslog/samba-audit.toml")),
    ("strongswan", include_str!("syslog/strongswan.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_in_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("syslog");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let shipped: BTreeSet<String> =
            SHIPPED_TEMPLATES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(shipped, files);
        assert_eq!(shipped.len(), SHIPPED_TEMPLATES.len(), "a template is listed twice");
    }
}

//! The templates shipped in `config/syslog`: each is valid, and its samples give the expected
//! results.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use rollcall_identity::{Event, Name, Origin, Producer, Timestamp};

use super::{
    ClientDefaults, LineOutcome, LineReader, LookupTables, SenderClock, SyslogMessage,
    SyslogParseError, Template, TemplateField,
};

/// Every shipped template, by name.
fn shipped() -> Vec<(String, Template)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/syslog");
    let mut templates: Vec<(String, Template)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            match Template::from_toml(&std::fs::read_to_string(&path).unwrap()) {
                Ok(template) => (name, template),
                Err(problems) => panic!("{name}: {problems:#?}"),
            }
        })
        .collect();
    templates.sort_by(|one, other| one.0.cmp(&other.0));
    templates
}

fn origin(form: &str) -> Arc<Origin> {
    let name = |text| Name::new(text).unwrap();
    let (producer, client, form) = (name("syslog"), name("branch-fw"), name(form));
    Arc::new(Origin { kind: Producer::Syslog, producer, client, form })
}

fn reader(names: &[&str], defaults: ClientDefaults) -> LineReader {
    let templates = shipped().into_iter().filter(|(name, _)| names.contains(&name.as_str()));
    let templates = templates.map(|(name, t)| (Arc::new(t), origin(&name))).collect();
    LineReader::new(templates, defaults)
}

fn read(reader: &LineReader, line: &[u8]) -> (LineOutcome, Vec<Event>) {
    let seen: Timestamp = "2026-11-21T20:00:00Z".parse().unwrap();
    let clock = || SenderClock::new(TimeZone::UTC);
    let (mut events, mut events_of_line) = (Vec::new(), Vec::new());
    let outcome = reader.read(&SyslogMessage::read(line, seen, &mut clock()), seen, &mut events);
    let of_line = reader.read_line(line, (seen, &mut clock()), &mut events_of_line);
    assert_eq!((of_line, events_of_line), (outcome, events.clone()), "as it came, or its message");
    (outcome, events)
}

const JUNOS_UP: &str = "<30>Nov 21 19:59:58 fw1 iked[17437]: IKE_VPN_UP_ALARM_USER: VPN ra-vpn from 81.93.249.121 is up. Local-ip: 89.187.136.172, gateway name: ra-gw, vpn name: ra-vpn, tunnel-id: 500027, local tunnel-if: st0.0, remote tunnel-ip: 80.92.248.120, Local IKE-ID: p4.jnpr.cz, Remote IKE-ID: ra@example.net, AAA username: Alice, VR id: root, Traffic-selector: ts1, Traffic-selector local ID: ipv4(0,0-65535,0.0.0.0-255.255.255.255) , Traffic-selector remote ID: ipv4(0,0-65535,10.1.11.18-10.1.11.18) , SA Type: dynamic";

#[test]
fn every_shipped_template_passes_its_samples() {
    let shipped = shipped();
    let names: Vec<&str> = shipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "aruba-clearpass",
            "cisco-asa-anyconnect",
            "cisco-ise",
            "fortinet-ssl-vpn",
            "freeradius",
            "isc-dhcpd",
            "junos-vpn",
            "kea",
            "openvpn",
            "paloalto-globalprotect",
            "pulse-connect-secure",
            "samba-audit",
            "strongswan",
        ]
    );
    for (name, template) in &shipped {
        assert_eq!(template.name().as_str(), name);
        let failures: Vec<String> = template.verify().iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{name}:\n{}", failures.join("\n"));
    }
}

#[test]
fn junos_template_uses_the_literal_matcher() {
    let (_, junos) = shipped().into_iter().find(|(name, _)| name == "junos-vpn").unwrap();
    assert!(junos.is_literal());
}

#[test]
fn client_maps_and_default_domain_complete_a_bare_name() {
    let domain = Some(Name::new("Example.net").unwrap());
    let defaults = ClientDefaults { domain, ..ClientDefaults::default() };
    let (outcome, events) = read(&reader(&["junos-vpn"], defaults.clone()), JUNOS_UP.as_bytes());
    assert_eq!(outcome, LineOutcome::Matched { template: 0, events: 1 });
    assert_eq!(events[0].principal.as_ref().unwrap().to_string(), "alice@example.net");

    let mut maps = LookupTables::default();
    maps.insert(TemplateField::Domain, "RA-VPN", "vpn.example.net");
    let (_, events) =
        read(&reader(&["junos-vpn"], ClientDefaults { maps, ..defaults }), JUNOS_UP.as_bytes());
    assert_eq!(events[0].principal.as_ref().unwrap().to_string(), "alice@vpn.example.net");
}

#[test]
fn time_source_is_configurable() {
    let at = |time| {
        let defaults = ClientDefaults { time, ..ClientDefaults::default() };
        read(&reader(&["junos-vpn"], defaults), JUNOS_UP.as_bytes()).1[0].at.to_string()
    };
    assert_eq!(at(super::TimeSource::Sender), "2026-11-21T19:59:58Z");
    assert_eq!(at(super::TimeSource::Arrival), "2026-11-21T20:00:00Z");
}

#[test]
fn raw_bytes_in_an_ike_id_matter_only_as_user() {
    let reader = reader(&["junos-vpn"], ClientDefaults::default());
    let raw = |line: &str| {
        let mut bytes = line.as_bytes().to_vec();
        let at = line.find("ra@example.net").unwrap();
        bytes.splice(at..at + 14, [b'\r', b'D', 0xca, 0xff]);
        bytes
    };
    assert_eq!(read(&reader, &raw(JUNOS_UP)).1.len(), 1);
    let by_id = raw(&JUNOS_UP.replace("AAA username: Alice", "AAA username: Not-Applicable"));
    let problem = LineOutcome::Problem { template: Some(0), problem: SyslogParseError::BadName };
    assert_eq!(read(&reader, &by_id), (problem, vec![]));
}

#[test]
fn templates_are_tried_in_order() {
    let all: Vec<String> = shipped().into_iter().map(|(name, _)| name).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let reader = reader(&all, ClientDefaults::default());
    let junos = all.iter().position(|name| *name == "junos-vpn").unwrap();
    let (outcome, events) = read(&reader, JUNOS_UP.as_bytes());
    assert_eq!(outcome, LineOutcome::Matched { template: junos, events: 1 });
    assert_eq!(events[0].origin.form.as_str(), "junos-vpn");
    let flow = "<14>1 2026-11-21T19:59:58Z fw1 RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.36 source-address=\"10.1.1.1\" username=\"alice\"]";
    assert_eq!(read(&reader, flow.as_bytes()), (LineOutcome::Unmatched, vec![]));
    let none = LineReader::new(vec![], ClientDefaults::default());
    let problem = LineOutcome::Problem { template: None, problem: SyslogParseError::NoTemplate };
    assert_eq!(read(&none, flow.as_bytes()).0, problem);
}

/// A sample line with bytes replaced, duplicated and removed.
fn spoilt(line: &str, edits: &[(proptest::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    for (at, byte, how) in edits {
        let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match how % 4 {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = *byte,
            1 => bytes.truncate(at),
            2 => bytes.extend_from_within(at..),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(proptest::sample::Index, u8, u8)>> {
    proptest::collection::vec(any::<(proptest::sample::Index, u8, u8)>(), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn damaged_lines_match_the_regular_expression(edits in edits()) {
        let shipped = shipped();
        let names: Vec<&str> = shipped.iter().map(|(name, _)| name.as_str()).collect();
        let reader = reader(&names, ClientDefaults::default());
        for (name, template) in &shipped {
            for line in template.sample_lines() {
                let line = spoilt(line, &edits);
                read(&reader, &line);
                for pattern in template.patterns() {
                    prop_assert_eq!(pattern.find(&line), pattern.find_by_regex(&line), "{}", name);
                }
            }
        }
    }
}

//! Tests of what the table remembers besides sessions, how it explains it, and its memory use.

use super::*;

#[test]
fn explain_lists_session_and_competing_events() {
    let (table, _) = apply_all(
        &rules(),
        &[
            event_at(VpnUp, "alice@corp", 10),
            event_at(Login, "bob@corp", 20),
            received(event_at(Login, "carol@corp", 15), 21),
            received(event_at(Login, "carol@corp", 16), 22),
            event_at(Rekey, "bob@corp", 30),
        ],
    );
    let text = table.explain(address("10.0.0.7"), seconds(30)).to_string();
    assert_eq!(
        text,
        "bob@corp has 10.0.0.7 since 2026-11-21T19:50:20Z, until 2026-11-22T19:50:30Z unless \
         confirmed again, because login from syslog/branch-fw (junos-vpn) at \
         2026-11-21T19:50:20Z; rule later_user\n\
         login of carol@corp from syslog/branch-fw (junos-vpn) at 2026-11-21T19:50:16Z refused: \
         late, a newer event was decided already (repeated once before)\n\
         login of bob@corp from syslog/branch-fw (junos-vpn) at 2026-11-21T19:50:20Z applied: \
         later_user\n\
         vpn_up of alice@corp from syslog/branch-fw (junos-vpn) at 2026-11-21T19:50:10Z applied: \
         first_user"
    );
    let later = table.explain(address("10.0.0.7"), seconds(30 + DAY));
    assert!(later.to_string().starts_with("no session at 10.0.0.7; the last was bob@corp, from "));
    let never = table.explain(address("10.0.0.8"), seconds(30));
    assert_eq!(never.to_string(), "no session at 10.0.0.8");
}

#[test]
fn explain_shows_details_and_their_source() {
    let groups = ["staff", "sales"].map(name);
    let posture = Some(crate::Posture::Quarantine);
    let detailed = Event { posture, ..event_at(Login, "alice@corp", 30) };
    let (table, _) = apply_all(
        &rules(),
        &[
            event_at(VpnUp, "alice@corp", 10),
            event_at(DeviceSeen, "<pc1>", 20),
            Event { roles: Some(groups.to_vec().into()), ..detailed },
        ],
    );
    let text = table.explain(address("10.0.0.7"), seconds(30)).to_string();
    assert_eq!(
        text,
        "alice@corp on pc1 (quarantine) in staff, sales has 10.0.0.7 since 2026-11-21T19:50:10Z, \
         until 2026-11-22T19:50:30Z unless confirmed again, because vpn_up from syslog/branch-fw \
         (junos-vpn) at 2026-11-21T19:50:10Z; rule first_user\n\
         login of alice@corp (quarantine) in staff, sales from syslog/branch-fw (junos-vpn) at \
         2026-11-21T19:50:30Z applied: detail\n\
         device_seen of device pc1 from syslog/branch-fw (junos-vpn) at 2026-11-21T19:50:20Z \
         applied: detail\n\
         vpn_up of alice@corp from syslog/branch-fw (junos-vpn) at 2026-11-21T19:50:10Z applied: \
         first_user"
    );
    let many: Vec<_> = (0..12).map(|n| name(&format!("g{n}"))).collect();
    let login = Event { roles: Some(many.into()), ..event_at(Login, "bob", 10) };
    let text =
        apply_all(&rules(), &[login]).0.explain(address("10.0.0.7"), seconds(11)).to_string();
    assert!(text.starts_with("bob in g0, g1, g2, g3, g4, g5, g6, g7 and 4 more groups has "));
}

#[test]
fn records_per_address_are_bounded_and_the_newest_stay() {
    let mut table = Table::default();
    table.apply(Revision(1), &event_at(VpnUp, "alice", 100), &rules());
    for number in 2..50 {
        let late = received(event_at(Login, &format!("user{number}"), 5), 101);
        table.apply(Revision(number), &late, &rules());
    }
    let explained = table.explain(address("10.0.0.7"), seconds(101));
    assert_eq!(explained.competed.len(), Table::RECORDS_PER_ADDRESS);
    assert_eq!(explained.competed[0].revision, Revision(49));
}

#[test]
fn forged_events_are_bounded_and_evict_no_real_ones() {
    let mut table = Table::default();
    table.apply(Revision(1), &event_at(VpnUp, "alice", 10), &rules());
    table.apply(Revision(2), &event_at(Logout, "bob", 11), &rules());
    let room = Table::MAX_COMPETED as u32;
    for number in 0..room + 1000 {
        let unknown = Address::from(std::net::Ipv4Addr::from(0x0a80_0000 + number));
        let forged = Event { address: unknown, ..event_at(Logout, "mallory", 12) };
        table.apply(Revision(3 + u64::from(number)), &forged, &rules());
    }
    assert_eq!(table.entries.len(), 1 + Table::MAX_COMPETED);
    assert_eq!(table.explain(address("10.0.0.7"), seconds(12)).competed.len(), 2);
    table.forget_before(seconds(13));
    assert_eq!(table.entries.len(), 1);
    assert_eq!(table.explain(address("10.0.0.7"), seconds(12)).competed, []);
}

#[test]
fn an_entry_is_small() {
    // A million entries with their keys take two million buckets of the index.
    assert!(size_of::<(Address, Entry)>() <= 56);
    assert!(size_of::<Session>() <= 216, "{}", size_of::<Session>());
}

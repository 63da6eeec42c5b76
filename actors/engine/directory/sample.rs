//! A small directory for tests of those who answer from it.
#![allow(clippy::unwrap_used, reason = "test support: a failure ends the test")]

use rollcall_identity::Name;
use rollcall_identity::directory::{
    Account, AccountKind, AccountState, Directory, DomainNames, Guid, Member, Object,
    UnqualifiedNames, Update,
};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A domain with Alice, who is in three groups, one of them through another, and her computer.
pub fn corp(directory: &mut Directory) {
    let (dns, netbios) = (name("corp.example.com"), name("corp"));
    let sid = "S-1-5-21-1-2-3".parse().unwrap();
    directory
        .put_domain(DomainNames { dns: dns.clone(), netbios, sid }, UnqualifiedNames::ThisDomain);
    let account = |kind, called| Account {
        kind,
        name: name(called),
        upn: None,
        display: None,
        mail: None,
        host: None,
        system: None,
        state: AccountState::Enabled,
        primary_group: None,
    };
    let alice = account(AccountKind::User, "Alice");
    let alice = Account { upn: Some(name("a.smith@example.org")), ..alice };
    let pc1 = account(AccountKind::Device, "PC1$");
    let pc1 = Account { host: Some(Box::new(name("pc1.corp.example.com"))), ..pc1 };
    let seen = |number: u8, dn: &str, object| {
        let dn = format!("{dn},DC=corp,DC=example,DC=com").into();
        Update::Upsert { guid: Guid([number; 16]), dn, sid: None, object }
    };
    let group = |number, dn, called, member: u8| {
        let members = vec![Member::Object(Guid([member; 16]))];
        seen(number, dn, Object::Group { name: name(called), members })
    };
    let updates = vec![
        seen(1, "CN=Alice", Object::Account(alice)),
        seen(5, "CN=PC1,OU=Laptops", Object::Account(pc1)),
        group(2, "CN=Staff", "Staff", 1),
        group(3, "CN=Everybody", "Everybody", 2),
        group(4, "CN=VPN-Users,OU=Firewall", "VPN-Users", 1),
        group(6, "CN=Laptops,OU=Firewall", "Laptops", 5),
    ];
    directory.apply(&dns, updates).unwrap();
}

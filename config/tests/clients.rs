//! Enforcement points that are added to the clients file.

use std::os::unix::fs::{MetadataExt, chown};

use rollcall_identity::Name;
use rollcall_wire::srx::Format;

use super::*;

fn point(name: &str, client_id: &str) -> NewEnforcementPoint {
    NewEnforcementPoint {
        name: Name::new(name).unwrap(),
        addresses: vec!["10.0.0.1/32".parse().unwrap(), "2001:db8::/64".parse().unwrap()],
        client_id: client_id.to_owned(),
        secret: SecretHash::new(HASH).unwrap(),
        format: None,
        push: PushGrants::default(),
    }
}

#[test]
fn added_points_are_loaded() {
    let scratch = Scratch::new();
    let environment = scratch.environment();
    let before = scratch.read("").unwrap();
    let path = add_point(&before, &environment, &point("one", "id-1")).unwrap();
    add_point(&scratch.read("").unwrap(), &environment, &point("t\"wo", "id-2")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().starts_with("# Enforcement points added with"));
    let after = scratch.read("").unwrap();
    let names: Vec<&str> = after.enforcement.points.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["one", "t\"wo"]);
    let [one, _] = after.enforcement.points.as_slice() else { panic!("two points") };
    assert_eq!(one.addresses, point("one", "id-1").addresses);
    assert_eq!(one.secret.expose(), HASH);
    assert_eq!(one.push, None, "it may only query");
    assert!(after.rules.authorities.keys().all(|(producer, _)| *producer != after.ptim.name));
}

#[test]
fn an_added_point_is_granted_the_events_of_its_networks() {
    let scratch = Scratch::new();
    let network = |text: &str| vec![text.parse().unwrap()];
    let (vpn_pools, portals) = (network("10.8.0.0/16"), network("10.1.0.0/16"));
    let push = PushGrants { vpn_pools, portals };
    let new = NewEnforcementPoint { push, ..point("one", "id-1") };
    add_point(&scratch.read("").unwrap(), &scratch.environment(), &new).unwrap();
    let after = scratch.read("").unwrap();
    let push = after.enforcement.points[0].push.as_ref().unwrap();
    let granted: Vec<_> = push.grants.iter().map(|g| (&*g.kinds, &*g.networks)).collect();
    assert_eq!(granted, new.push.iter().collect::<Vec<_>>());
    assert!(push.grants.iter().all(|grant| grant.roles == RoleGrant::None && !grant.posture));
}

#[test]
fn grants_are_added_to_one_point_and_comments_are_kept() {
    let scratch = Scratch::new();
    let environment = scratch.environment();
    let mut path = PathBuf::new();
    for name in ["one", "two"] {
        path = add_point(&scratch.read("").unwrap(), &environment, &point(name, name)).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap().replace("\n[[", "\n# a comment\n[[");
    fs::write(&path, &text).unwrap();
    let network = |text: &str| vec![text.parse().unwrap()];
    let settings = scratch.read("").unwrap();
    let grant = |name: &str, vpn_pools, portals| {
        let grants = PushGrants { vpn_pools, portals };
        grant_push(&settings, &environment, &Name::new(name).unwrap(), &grants)
    };
    grant("One", network("10.8.0.0/16"), Vec::new()).unwrap();
    grant("one", network("10.8.0.0/16"), network("10.1.0.0/16")).unwrap();
    let after = scratch.read("").unwrap();
    let [one, two] = after.enforcement.points.as_slice() else { panic!("two points") };
    let granted: Vec<_> =
        one.push.iter().flat_map(|push| &push.grants).map(|grant| &*grant.networks).collect();
    assert_eq!(granted, [network("10.8.0.0/16"), network("10.1.0.0/16")]);
    assert_eq!(two.push, None);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("# a comment").count(), 2);
    let unknown = grant("three", network("10.8.0.0/16"), Vec::new()).unwrap_err();
    assert!(matches!(unknown, AddPointError::Unknown(_)), "{unknown}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "unchanged");
}

/// Only root can change the owner of a folder. Otherwise the file belongs to the user of the test.
#[test]
fn the_file_has_the_owner_of_the_folder() {
    let scratch = Scratch::new();
    let settings = scratch.read("").unwrap();
    fs::create_dir(&settings.data).unwrap();
    let mine = fs::metadata(&settings.data).unwrap().uid();
    let given = chown(&settings.data, Some(65_534), Some(65_533)).is_ok();
    let path = add_point(&settings, &scratch.environment(), &point("one", "id")).unwrap();
    let file = fs::metadata(path).unwrap();
    let expected = if given { (65_534, 65_533) } else { (mine, file.gid()) };
    assert_eq!((file.uid(), file.gid()), expected);
    assert_eq!(file.mode() & 0o777, 0o600);
}

#[test]
fn an_added_point_has_its_format() {
    let scratch = Scratch::new();
    let environment = scratch.environment();
    for (name, format) in [("one", Some(Format::Xml)), ("two", Some(Format::Json)), ("three", None)]
    {
        let new = NewEnforcementPoint { format, ..point(name, name) };
        add_point(&scratch.read("").unwrap(), &environment, &new).unwrap();
    }
    let points = scratch.read("").unwrap().enforcement.points;
    let formats: Vec<Format> = points.iter().map(|point| point.dialect.format).collect();
    assert_eq!(formats, [Format::Xml, Format::Json, Format::default()]);
}

#[test]
fn comments_of_the_administrator_are_kept() {
    let scratch = Scratch::new();
    let settings = scratch.read("").unwrap();
    fs::create_dir(&settings.data).unwrap();
    scratch.file("rollcall-data/clients.toml", "# mine, without an end of line", 0o600);
    let path = add_point(&settings, &scratch.environment(), &point("one", "id")).unwrap();
    assert!(fs::read_to_string(path).unwrap().starts_with("# mine, without an end of line\n\n[["));
}

#[test]
fn a_duplicate_name_or_id_is_refused_and_the_file_is_unchanged() {
    let scratch = Scratch::new();
    let environment = scratch.environment();
    let old = scratch.read("").unwrap();
    let path = add_point(&old, &environment, &point("one", "id-1")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let now = scratch.read("").unwrap();
    let refused = |settings: &Settings, name: &str, id: &str| {
        let refused = add_point(settings, &environment, &point(name, id)).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert!(!refused.to_string().contains("$argon2id$"));
        refused
    };
    assert!(matches!(refused(&now, "ONE", "id-2"), AddPointError::NameTaken(_)));
    assert!(matches!(refused(&now, "two", "id-1"), AddPointError::ClientIdTaken(_)));
    assert!(matches!(refused(&now, "two", "i d"), AddPointError::BadClientId));
    // The settings are from before the first addition: the file itself is checked, too.
    assert!(matches!(refused(&old, "one", "id-2"), AddPointError::Refused(_)));
}

#[test]
fn errors_of_the_clients_file_are_reported_with_the_others() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path().join("rollcall-data")).unwrap();
    let text = "[[enforcement.points]]\nname = 'fw'\nclient_id = 'fw'\naddresses = ['10.0.0.1']\n";
    let path = scratch.file("rollcall-data/clients.toml", text, 0o600);
    let problems = scratch.read("shutdown_timeout = 'soon'\n").unwrap_err();
    let files: Vec<&Path> = problems.iter().map(|p| p.file.as_path()).collect();
    assert_eq!(files, [Path::new("rollcall.toml"), &path], "{problems}");
    scratch.file("rollcall-data/clients.toml", &format!("{text}secret_hash = '{HASH}'\n"), 0o644);
    let problems = scratch.read("").unwrap_err().to_string();
    assert!(problems.contains("is accessible to every user"), "{problems}");
}

#[test]
fn names_are_unique_across_configuration_and_clients_file() {
    let scratch = Scratch::new();
    add_point(&scratch.read("").unwrap(), &scratch.environment(), &point("fw", "a")).unwrap();
    let text = format!(
        "[[ptim.clients]]\nname = 'fw'\nclient_id = 'b'\naddresses = ['10.0.0.1']\n\
         secret_hash = '{HASH}'\n"
    );
    let problems = scratch.read(&text).unwrap_err().to_string();
    assert!(
        problems.contains("\"fw\" is already used by ptim.clients[0].name in rollcall.toml"),
        "{problems}"
    );
}

#[test]
fn concurrent_additions_are_all_kept() {
    let scratch = Scratch::new();
    let settings = scratch.read("").unwrap();
    std::thread::scope(|scope| {
        for index in 0..8 {
            let settings = &settings;
            scope.spawn(move || {
                let environment = Environment::new(|_| None, TimeZone::UTC);
                let point = point(&format!("fw{index}"), &format!("id{index}"));
                add_point(settings, &environment, &point).unwrap();
            });
        }
    });
    assert_eq!(scratch.read("").unwrap().enforcement.points.len(), 8);
}

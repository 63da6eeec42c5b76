//! Tests of `test syslog`.

use super::*;

#[test]
fn each_line_has_events_or_a_reason() {
    let tried = |templates: &[&str], mut input: &[u8]| {
        let mut arguments = vec!["rollcall", "test", "syslog"];
        templates.iter().for_each(|name| arguments.extend(["--template", name]));
        let line = CommandLine::try_parse_from(arguments).unwrap();
        let Some(Command::Test(test::Test::Syslog(test))) = line.command else {
            panic!("another command")
        };
        let mut printed = Vec::new();
        let mut output = Output::new(Box::new(&mut printed), OutputFormat::Text);
        let done = test.run(None, &mut input, &mut output);
        drop(output);
        (done, String::from_utf8(printed).unwrap())
    };
    let (_, text) =
        rollcall_config::SHIPPED_TEMPLATES.iter().find(|(name, _)| *name == "openvpn").unwrap();
    let table: toml::Table = text.parse().unwrap();
    let samples = table["sample"].as_array().unwrap();
    let good = samples.iter().find(|sample| sample.get("event").is_some()).unwrap();
    let input = format!("{}\nnothing of ours\n\n", good["line"].as_str().unwrap());
    let (done, printed) = tried(&["openvpn"], input.as_bytes());
    assert_eq!(done, Ok(()), "{printed}");
    assert!(printed.starts_with("1: openvpn: "), "{printed}");
    assert!(
        printed.contains("\n2: no event: ") && printed.contains("\n2 lines: 1 gave"),
        "{printed}"
    );
    assert_eq!(tried(&[], b"nothing of ours\n").0, Err(CommandError::NotFound));
    assert!(matches!(tried(&["no-such"], b"").0, Err(CommandError::Usage(_))));
}

#[test]
fn a_client_of_the_configuration_selects_templates_and_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    let client = |producer: &str, domain: &str| {
        format!(
            "[[syslog]]\nname = \"{producer}\"\nudp = [\"127.0.0.1:0\"]\n[[syslog.clients]]\n\
             name = \"fw1\"\naddresses = [\"10.0.0.1\"]\ntemplates = [\"junos-vpn\"]\n\
             domain = \"{domain}\"\nzone = \"Asia/Tokyo\"\n"
        )
    };
    fs::write(&file, client("one", "one.example") + &client("two", "two.example")).unwrap();
    let tried = |client: &str| {
        let line = ["rollcall", "test", "syslog", "--client", client];
        let line = CommandLine::try_parse_from(line).unwrap();
        let Some(Command::Test(test::Test::Syslog(test))) = line.command else {
            panic!("another command")
        };
        let mut printed = Vec::new();
        let mut output = Output::new(Box::new(&mut printed), OutputFormat::Text);
        let mut input = crate::announce::LINE.as_bytes();
        let done = test.run(Some(&file), &mut input, &mut output);
        drop(output);
        (done, String::from_utf8(printed).unwrap())
    };
    let (done, printed) = tried("two/fw1");
    assert_eq!(done, Ok(()), "{printed}");
    assert!(
        printed.starts_with("1: junos-vpn: vpn_up 10.1.11.18 user=alice@two.example"),
        "{printed}"
    );
    let usage = |client: &str| match tried(client).0 {
        Err(CommandError::Usage(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(usage("fw1"), "fw1 is ambiguous; use one of one/fw1, two/fw1");
    assert!(usage("fw9").ends_with("the clients are one/fw1, two/fw1"));
}

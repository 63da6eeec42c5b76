//! Tests of `client add` and its Junos statements.

use super::*;

#[test]
fn client_add_prints_the_statements() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    fs::write(&file, "data = \"data\"\n").unwrap();
    let (url, token) =
        (format!("http://{}", server.address), server.folder.path().join("admin.token"));
    let add = |arguments: &[&str]| {
        let mut line = vec!["rollcall", "--config", file.to_str().unwrap(), "--url", &url];
        line.extend(["--token-file", token.to_str().unwrap(), "client", "add"]);
        line.extend(arguments);
        run_line(&line)
    };
    let (done, printed) = add(&[
        "branch-fw",
        "--address",
        "192.0.2.1",
        "--address",
        "2001:db8::/64",
        "--server-address",
        "192.0.2.9",
    ]);
    assert_eq!(done, Ok(()), "{printed}");
    let prefix = "set services user-identification identity-management connection";
    for statement in [
        "connect-method https",
        "port 8443",
        "primary address 192.0.2.9",
        "primary client-id branch-fw",
    ] {
        assert!(printed.contains(&format!("{prefix} {statement}\n")), "{statement}: {printed}");
    }
    assert!(printed.contains("The running server has loaded it."), "{printed}");
    let start = printed.find("client-secret \"").unwrap() + "client-secret \"".len();
    let secret = printed[start..].split('"').next().unwrap();
    assert!(secret.len() >= 22, "128 bits at least");
    let clients = fs::read_to_string(folder.path().join("data/clients.toml")).unwrap();
    assert!(clients.contains("branch-fw") && !clients.contains(secret), "only the hash is kept");

    let (Err(CommandError::Usage(why)), _) = add(&["branch-fw", "--address", "192.0.2.2"]) else {
        panic!("the name is in use")
    };
    assert!(why.contains("branch-fw"), "{why}");
    let (done, printed) = add(&["lab-fw", "--address", "192.0.2.3"]);
    assert_eq!(done, Ok(()));
    assert!(printed.contains("# Replace SERVER-ADDRESS"), "{printed}");
}

#[test]
fn a_server_name_that_the_certificate_lacks_causes_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    let text = "[enforcement.tls]\nnames = [\"rollcall.example.net\"]\n";
    fs::write(&file, format!("data = \"data\"\n{text}")).unwrap();
    let add = |name: &str, server: &str| {
        // No server listens there; the statements are the same.
        let line = ["rollcall", "--config", file.to_str().unwrap(), "--url", "http://127.0.0.1:9"];
        let added = ["client", "add", name, "--address", "192.0.2.1", "--server-address", server];
        let (done, printed) = run_line(&[&line[..], &added, &["--dialect", "xml"]].concat());
        assert_eq!(done, Ok(()), "{printed}");
        printed
    };
    let covered = add("one", "Rollcall.Example.NET");
    assert!(covered.contains("connection primary address Rollcall.Example.NET\n"), "{covered}");
    assert!(!covered.contains("WARNING"), "{covered}");
    let lacking = add("two", "other.example.net");
    assert!(lacking.contains("connection primary address other.example.net\n"), "{lacking}");
    let setting = "[enforcement.tls] names = [\"other.example.net\"]";
    assert!(lacking.contains("WARNING") && lacking.contains(setting), "{lacking}");
    let clients = fs::read_to_string(folder.path().join("data/clients.toml")).unwrap();
    assert_eq!(clients.matches("format = \"xml\"").count(), 2, "{clients}");

    for wrong in ["10.0.0", "a b", "-a.example", "a..example", "https://a.example", ""] {
        let line = ["rollcall", "client", "add", "x", "--address", "192.0.2.1", "--server-address"];
        let line = line.into_iter().chain([wrong]);
        assert!(CommandLine::try_parse_from(line).is_err(), "{wrong:?}");
    }
}

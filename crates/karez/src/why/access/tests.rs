use super::super::settings::{File, Files, Variables, places};
use super::*;
use std::path::Path;

const URL: (&str, &str) = ("OS_AUTH_URL", "http://cloud.example/identity/");
const PASSWORD: [(&str, &str); 3] = [URL, ("OS_USERNAME", "ann"), ("OS_PASSWORD", "correct horse")];

fn variables(pairs: &[(&str, &str)]) -> Variables {
    Variables::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn read(pairs: &[(&str, &str)], option: Option<&str>, files: &Files) -> Result<Access> {
    let variables = variables(pairs);
    Access::read(&Settings::choose(&variables, option, files)?)
}

fn of_variables(pairs: &[&[(&str, &str)]]) -> Result<Access> {
    read(&pairs.concat(), None, &Files::default())
}

fn file(path: &str, text: &str) -> Option<File> {
    Some(File { path: PathBuf::from(path), text: text.to_owned() })
}

fn clouds(text: &str) -> Files {
    Files { clouds: file("/home/ann/clouds.yaml", text), ..Files::default() }
}

fn error(result: Result<Access>) -> String {
    let error = format!("{:#}", result.err().unwrap());
    assert!(!error.contains("correct horse"), "{error}");
    error
}

#[test]
fn an_openrc_is_read_as_clients_read_it() {
    let access = of_variables(&[
        &PASSWORD,
        &[
            ("OS_USER_DOMAIN_NAME", "Default"),
            ("OS_PROJECT_NAME", "p"),
            ("OS_PROJECT_DOMAIN_ID", "d"),
            ("OS_REGION_NAME", "north"),
            ("OS_INTERFACE", "internalURL"),
            ("OS_CACERT", "~/ca.pem"),
            ("OS_NETWORK_ENDPOINT_OVERRIDE", "http://vpn.example:9696/"),
            ("HOME", "/home/ann"),
        ],
    ])
    .unwrap();
    assert_eq!(access.auth_url, "http://cloud.example/identity/v3");
    assert_eq!(
        access.login(),
        json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "ann", "domain": {"name": "Default"}, "password": "correct horse",
            }}},
            "scope": {"project": {"name": "p", "domain": {"id": "d"}}},
        }})
    );
    assert_eq!(access.region.as_deref(), Some("north"));
    assert_eq!(access.interface, "internal");
    assert_eq!(access.trust, Trust::Only("/home/ann/ca.pem".into()));
    assert_eq!(access.network_endpoint.as_deref(), Some("http://vpn.example:9696"));
}

#[test]
fn ids_go_before_names_and_a_name_without_a_domain_is_of_the_default_one() {
    let ids = [("OS_USER_ID", "u"), ("OS_TENANT_ID", "t"), ("OS_TENANT_NAME", "other")];
    let login = of_variables(&[&PASSWORD, &ids]).unwrap().login();
    assert_eq!(
        login["auth"]["identity"]["password"]["user"],
        json!({"id": "u", "password": "correct horse"})
    );
    assert_eq!(login["auth"]["scope"], json!({"project": {"id": "t"}}));
    let login = of_variables(&[&PASSWORD, &[("OS_PROJECT_NAME", "p")]]).unwrap().login();
    assert_eq!(login["auth"]["scope"]["project"]["domain"], json!({"id": "default"}));
    assert_eq!(login["auth"]["identity"]["password"]["user"]["domain"], json!({"id": "default"}));
}

#[test]
fn tokens_and_application_credentials_are_other_ways_in() {
    let access = of_variables(&[&[URL, ("OS_TOKEN", "t0"), ("OS_AUTH_TYPE", "v3token")]]).unwrap();
    assert_eq!(access.login(), json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "t0"}}}}));
    let access = of_variables(&[&[URL, ("OS_TOKEN", "t0"), ("OS_PROJECT_ID", "p")]]).unwrap();
    assert_eq!(access.login()["auth"]["scope"], json!({"project": {"id": "p"}}));

    let secret = ("OS_APPLICATION_CREDENTIAL_SECRET", "s");
    let by_id = [URL, ("OS_APPLICATION_CREDENTIAL_ID", "c"), secret, ("OS_PROJECT_ID", "p")];
    let login = of_variables(&[&by_id]).unwrap().login();
    assert_eq!(login["auth"]["identity"]["application_credential"], json!({"id": "c", "secret": "s"}));
    assert_eq!(login["auth"]["scope"], Json::Null, "it has its project already");
    let by_name = [URL, ("OS_APPLICATION_CREDENTIAL_NAME", "c"), secret, ("OS_USER_ID", "u")];
    let login = of_variables(&[&by_name]).unwrap().login();
    let credential = &login["auth"]["identity"]["application_credential"];
    assert_eq!(*credential, json!({"name": "c", "user": {"id": "u"}, "secret": "s"}));
}

#[test]
fn what_is_missing_or_cannot_be_is_named_as_it_is_called_there() {
    let project = ("OS_PROJECT_NAME", "p");
    for (pairs, named) in [
        (vec![("OS_USERNAME", "ann")], "OS_AUTH_URL is missing"),
        (vec![URL], "OS_USERNAME or OS_USER_ID is missing"),
        (vec![URL, ("OS_USERNAME", "ann"), project], "OS_PASSWORD is missing"),
        (PASSWORD.to_vec(), "OS_PROJECT_NAME or OS_PROJECT_ID is missing"),
        (vec![URL, ("OS_AUTH_TYPE", "v3totp")], "OS_AUTH_TYPE \"v3totp\""),
        (vec![("OS_AUTH_URL", "cloud.example")], "OS_AUTH_URL \"cloud.example\""),
        (vec![("OS_AUTH_URL", "http://ann:correct horse@cloud.example")], "OS_AUTH_URL in the environment"),
        ([&PASSWORD[..], &[project, ("OS_INSECURE", "perhaps")]].concat(), "OS_INSECURE \"perhaps\""),
        (vec![URL, ("OS_AUTH_TYPE", "token")], "OS_TOKEN or OS_AUTH_TOKEN is missing"),
        (vec![URL, ("OS_APPLICATION_CREDENTIAL_ID", "c")], "OS_APPLICATION_CREDENTIAL_SECRET is missing"),
    ] {
        let error = error(of_variables(&[&pairs]));
        assert!(error.contains(named), "{pairs:?}: {error}");
    }
    let error = error(read(&[], None, &clouds("clouds: {a: {auth: {auth_url: 'http://x', username: ann}}}")));
    assert_eq!(error, "password is missing in the cloud \"a\" of /home/ann/clouds.yaml");
}

const TWO: &str = "
clouds:
  one:
    auth: {auth_url: 'https://one.example:5000', username: ann, project_name: p, user_domain_name: users}
    regions: [{name: north}, south]
    verify: no
  two:
    profile: somebody
    auth: {auth_url: 'https://two.example/v3', user_id: u, password: 12345, project_id: p}
    region_name: east
    endpoint_type: adminURL
    network-endpoint-override: 'https://vpn.two.example/v2.0'
    cacert: /etc/ca.pem
";

#[test]
fn a_cloud_of_a_file_is_chosen_by_the_option_before_the_variable_and_before_other_variables() {
    let files = clouds(TWO);
    let access = read(&[("OS_CLOUD", "two"), URL, ("OS_USERNAME", "other")], None, &files).unwrap();
    assert_eq!(access.auth_url, "https://two.example/v3");
    let user = json!({"id": "u", "password": "12345"});
    assert_eq!(access.login()["auth"]["identity"]["password"]["user"], user);
    assert_eq!((access.region.as_deref(), access.interface.as_str()), (Some("east"), "admin"));
    assert_eq!(access.network_endpoint.as_deref(), Some("https://vpn.two.example/v2.0"));
    assert_eq!(access.trust, Trust::Only("/etc/ca.pem".into()));

    let filled = [("OS_CLOUD", "two"), ("OS_PASSWORD", "correct horse"), ("OS_CACERT", "/other.pem")];
    let access = read(&filled, Some("one"), &files).unwrap();
    assert_eq!(access.auth_url, "https://one.example:5000/v3");
    let user = json!({"name": "ann", "domain": {"name": "users"}, "password": "correct horse"});
    assert_eq!(access.login()["auth"]["identity"]["password"]["user"], user);
    assert_eq!((access.region.as_deref(), access.trust), (Some("north"), Trust::Blind));
    assert_eq!(access.place, "the cloud \"one\" of /home/ann/clouds.yaml");
}

#[test]
fn the_only_cloud_of_a_file_needs_no_name_and_secrets_may_lie_beside_it() {
    let only = "clouds: {a: {auth: {auth_url: 'http://x', username: ann, project_id: p}}}";
    let secure = file("/home/ann/secure.yaml", "clouds: {a: {auth: {password: correct horse}}}");
    let files = Files { secure, ..clouds(only) };
    let login = read(&[], None, &files).unwrap().login();
    assert_eq!(login["auth"]["identity"]["password"]["user"]["password"], "correct horse");
    // Variables that lead somewhere go before it.
    let project = ("OS_PROJECT_ID", "p");
    let access = read(&[&PASSWORD[..], &[project]].concat(), None, &files).unwrap();
    assert_eq!(access.auth_url, "http://cloud.example/identity/v3");
}

#[test]
fn a_cloud_that_is_not_found_is_told_with_what_there_is_and_where_was_looked() {
    let nothing = Files {
        looked: vec!["/here/clouds.yaml".into(), "/etc/openstack/clouds.yaml".into()],
        ..Files::default()
    };
    for (pairs, named) in [
        (
            &[][..],
            &["OS_AUTH_URL is not set", "OS_CLOUD", "/here/clouds.yaml, /etc/openstack/clouds.yaml"][..],
        ),
        (&[("OS_CLOUD", "three")], &["\"three\"", "/here/clouds.yaml"]),
    ] {
        let error = error(read(pairs, None, &nothing));
        assert!(named.iter().all(|word| error.contains(word)), "{error}");
    }
    let error = error(read(&[], Some("three"), &clouds(TWO)));
    assert_eq!(error, "/home/ann/clouds.yaml has no cloud \"three\"; it has: one, two");
    let error = self::error(read(&[], None, &clouds(TWO)));
    assert!(error.contains("name one of one, two with --os-cloud or OS_CLOUD"), "{error}");
    for (text, named) in
        [("a: 1", "clouds is missing"), ("clouds: [a]", "must be a mapping"), ("a: 1\na: 2", "line 2")]
    {
        let error = self::error(read(&[], Some("a"), &clouds(text)));
        assert!(error.starts_with("/home/ann/clouds.yaml: ") && error.contains(named), "{error}");
    }
}

#[test]
fn files_are_looked_for_where_clients_look() {
    let here = Path::new("/here");
    let usual = places("clouds", &variables(&[("HOME", "/home/ann")]), here);
    let yaml: Vec<_> =
        usual.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert_eq!(
        yaml,
        [
            Path::new("/here/clouds.yaml"),
            Path::new("/home/ann/.config/openstack/clouds.yaml"),
            Path::new("/etc/openstack/clouds.yaml"),
        ]
    );
    let own = places("secure", &variables(&[("HOME", "/home/ann"), ("XDG_CONFIG_HOME", "/conf")]), here);
    assert!(own.contains(&PathBuf::from("/conf/openstack/secure.yaml")), "{own:?}");
    let chosen = [("OS_CLIENT_CONFIG_FILE", "~/c.yaml"), ("HOME", "/home/ann")];
    assert_eq!(places("clouds", &variables(&chosen), here), [PathBuf::from("/home/ann/c.yaml")]);
    let relative = variables(&[("OS_CLIENT_CONFIG_FILE", "c.yaml")]);
    assert_eq!(places("clouds", &relative, here), [PathBuf::from("/here/c.yaml")]);
}

use super::*;

const LEAST: &str = "[store]\nurl = \"sqlite:/tmp/karez.db\"\n[secrets]\nkey_file = \"/tmp/secret.key\"\n";

fn load(text: &str) -> Result<Config> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("karez.toml");
    std::fs::write(&path, text)?;
    Config::load(&path)
}

fn refused(text: &str) -> String {
    format!("{:#}", load(text).err().expect("an error"))
}

#[test]
fn the_least_configuration_has_defaults_for_the_rest() {
    let config = load(LEAST).expect("a configuration");
    assert_eq!(config.identity.mode, Mode::Embedded);
    assert_eq!(config.api.listen.to_string(), "127.0.0.1:9696");
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let why = refused(&format!("{LEAST}[api]\nlissen = \"127.0.0.1:1\"\n"));
    assert!(why.contains("lissen") && why.contains("line 6"), "{why}");
}

#[test]
fn an_error_in_a_line_with_a_password_does_not_show_it() {
    let why = refused(&format!("{LEAST}[identity.embedded]\nadmin_password = \"s3cret\" oops\n"));
    assert!(!why.contains("s3cret"), "{why}");
}

#[test]
fn headers_are_believed_on_loopback_only() {
    let why = refused(&format!("{LEAST}[api]\nlisten = \"0.0.0.0:9696\"\n[identity]\nmode = \"none\"\n"));
    assert!(why.contains("loopback"), "{why}");
}

#[test]
fn the_shown_configuration_has_no_password() {
    let text = "[store]\nurl = \"postgresql://karez:s3cret@db/karez?password=s3cret&sslmode=prefer\"\n\
        [secrets]\nkey_file = \"k\"\n[identity.embedded]\nadmin_password = \"s3cret\"\n";
    let shown = load(text).and_then(|config| config.shown()).expect("shown");
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("karez:***@db"), "{shown}");
}

#[test]
fn a_quota_that_does_not_exist_is_named() {
    assert!(refused(&format!("{LEAST}[quotas]\nikepolice = 3\n")).contains("quotas.ikepolice"));
}

#[test]
fn what_is_protected_is_networks_and_an_agent_beside_the_server_has_the_same() {
    let config = load(&format!("{LEAST}[vpn]\nprotected_networks = [\"10.9.0.0/16\", \"fd09::/16\"]\n"));
    let bounds = config.expect("a configuration").vpn.bounds();
    assert!(bounds.around(&"10.9.1.0/24".parse().expect("a network")).is_some());
    assert!(bounds.around(&"10.0.0.0/8".parse().expect("a network")).is_none());
    let why = refused(&format!("{LEAST}[vpn]\nprotected_networks = [\"10.9.0.0\"]\n"));
    assert!(why.contains("10.9.0.0") && why.contains("CIDR") && why.contains("line"), "{why}");
}

#[test]
fn a_machine_that_is_a_router_says_what_of_it_tunnels_may_take() {
    let host = format!(
        "{LEAST}[agent.gateway]\nshape = \"host\"\nrouter_id = \"7f0b3c9e-3a52-4c4b-8f11-0c5f8a3b2d10\"\n"
    );
    assert!(refused(&host).contains("local_subnets"));
    let config = load(&format!("{host}local_subnets = [\"192.168.1.0/24\"]\n")).expect("a configuration");
    let bounds = config.agent.expect("an agent").bounds();
    assert_eq!(bounds.local, Some(vec!["192.168.1.0/24".parse().expect("a network")]));
}

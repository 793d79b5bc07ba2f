//! The settings of a daemon, in place of `strongswan.conf`. There are no secrets and no connections in it; those go by
//! VICI.
//!
//! All files of a daemon are named `charon.…`: of what is in `/run`, the AppArmor profile of Debian and Ubuntu lets
//! charon have those alone.

use karez_engine::Datapath;
use std::fmt::Write as _;

/// The settings' own file name.
pub(crate) const SETTINGS: &str = "charon.conf";

/// The socket's file name.
pub(crate) const SOCKET: &str = "charon.vici";

/// The file name of the log.
pub(crate) const LOG: &str = "charon.log";

/// The mark that a packet would have to have, whole, to be led by charon's own routing rule, and that nobody sets: which
/// packets enter tunnels is for lanes to say ([`karez_net::lane`]). Neutron's marks are within 0xffff, where it has but a
/// few low numbers, and 0xffff0000. Only the rule is confined by it; charon's sockets set none, and it looks up routes
/// without.
const NOBODYS_MARK: u32 = 0x4b61_ffff;

/// Seconds before a message is sent again for the first time; each further pause is half as long again, up to
/// [`RETRANSMIT_LIMIT`].
const RETRANSMIT_TIMEOUT: u32 = 2;

/// The longest pause between two of them, seconds.
const RETRANSMIT_LIMIT: u32 = 15;

/// How often a message is sent again before charon gives up: after 2, 3, 4.5, 6.8, 10.1 and then 15 seconds each,
/// which is 116 seconds in all. That is as patient as the API's default for dead peer detection (120 seconds); the
/// engine itself ends sooner what should end sooner, and says after ten seconds that nothing is heard.
const RETRANSMIT_TRIES: u32 = 10;

/// The plugins that tunnels with pre-shared keys need. A short list starts in a fourth of the time and takes half the
/// memory of all that is installed. What is not installed is left out by charon, and what it cannot do then shows in
/// its list of algorithms.
const PLUGINS: [&str; 16] = [
    "random",
    "nonce",
    "openssl",
    "gmp",
    "aes",
    "sha1",
    "sha2",
    "hmac",
    "kdf",
    "drbg",
    "ccm",
    "gcm",
    "ctr",
    "cmac",
    "xcbc",
    "curve25519",
];

/// The text of the settings, for a daemon that sees its own directory as `/run`.
pub(crate) fn text(datapath: Datapath, plugins: Option<&[String]>) -> String {
    let mut load: Vec<&str> = match plugins {
        Some(plugins) => plugins.iter().map(String::as_str).collect(),
        None => PLUGINS.to_vec(),
    };
    if datapath == Datapath::Userspace {
        load.push("kernel-libipsec");
    }
    load.extend(["kernel-netlink", "socket-default", "vici"]);
    let load = load.join(" ");
    // Where the kernel encrypts, a packet needs any way at all, and which packets it takes is its policies' to say.
    let install_routes = if datapath == Datapath::Userspace { "yes" } else { "no" };
    let mut text = String::new();
    let _ = write!(
        text,
        "# Written by karez; changes are lost.
charon {{
  load = {load}
  # Fewer than about ten can hang VICI.
  threads = 16
  retransmit_timeout = {RETRANSMIT_TIMEOUT}.0
  retransmit_base = 1.5
  retransmit_tries = {RETRANSMIT_TRIES}
  retransmit_limit = {RETRANSMIT_LIMIT}
  half_open_timeout = 30
  # All tunnels of a router may lead to one peer, which may begin them all at once.
  block_threshold = 0
  cookie_threshold = 100
  ikesa_table_size = 64
  ikesa_table_segments = 4
  # A gateway has many addresses and gets new routes; none of that moves a tunnel.
  process_route = no
  install_routes = {install_routes}
  install_virtual_ip = no
  send_vendor_id = no
  # The tenant chooses aggressive mode; the API says what that is worth.
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  # What happens and why; single messages, and with them all that could be secret, come at higher levels. Appended to,
  # so that the file can be cut while charon has it open.
  filelog {{
    log {{
      path = /run/{LOG}
      append = yes
      flush_line = yes
      time_format = %FT%T
      ike_name = yes
      default = 1
      enc = 0
      net = 0
    }}
  }}
  syslog {{
    daemon {{ default = -1 }}
    auth {{ default = -1 }}
  }}
  plugins {{
    vici {{ socket = unix:///run/{SOCKET} }}
    kernel-netlink {{
      roam_events = no
      fwmark = {NOBODYS_MARK:#x}/0xffffffff
    }}
  }}
}}
"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::{SETTINGS, text};
    use karez_engine::Datapath;

    #[test]
    fn only_the_userspace_data_path_loads_libipsec() {
        assert!(text(Datapath::Userspace, None).contains("kernel-libipsec kernel-netlink"));
        assert!(!text(Datapath::Kernel, None).contains("libipsec"));
    }

    #[test]
    fn apparmor_lets_charon_have_every_file_that_it_is_told_of() {
        let text = text(Datapath::Kernel, None);
        let files: Vec<&str> = text.match_indices("/run/").filter_map(|(at, _)| text.get(at..)).collect();
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|file| file.starts_with("/run/charon.")), "{files:?}");
        assert!(SETTINGS.starts_with("charon."));
    }

    #[test]
    fn no_packet_is_led_by_charons_own_rule() {
        for datapath in [Datapath::Userspace, Datapath::Kernel] {
            assert!(text(datapath, None).contains("fwmark = 0x4b61ffff/0xffffffff"));
        }
    }

    #[test]
    fn the_list_of_plugins_can_be_given() {
        let plugins = ["openssl".to_owned(), "kdf".to_owned()];
        let text = text(Datapath::Kernel, Some(&plugins));
        assert!(text.contains("load = openssl kdf kernel-netlink socket-default vici\n"));
    }
}

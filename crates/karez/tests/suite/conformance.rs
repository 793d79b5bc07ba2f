//! The numbered conformance cases of the Neutron VPNaaS API, over HTTP against the real binary, on
//! both stores. The cases are data: see `cases/*.toml`, and `conformance/case.rs` for their form.

pub mod case;
pub mod expect;
pub mod page;
pub mod path;
pub mod runner;
pub mod scene;

use self::runner::run;
use crate::support::StoreKind::{Postgresql, Sqlite};

macro_rules! on_both_stores {
    ($($file:literal: $sqlite:ident, $postgresql:ident;)*) => {$(
        #[test]
        fn $sqlite() -> anyhow::Result<()> {
            run($file, Sqlite)
        }

        #[test]
        fn $postgresql() -> anyhow::Result<()> {
            run($file, Postgresql)
        }
    )*

        #[test]
        fn every_file_of_cases_is_run() {
            assert_eq!(page::FILES, [$($file),*]);
        }
    };
}

on_both_stores! {
    "versions": versions_on_sqlite, versions_on_postgresql;
    "bodies": bodies_on_sqlite, bodies_on_postgresql;
    "ikepolicies": ikepolicies_on_sqlite, ikepolicies_on_postgresql;
    "ipsecpolicies": ipsecpolicies_on_sqlite, ipsecpolicies_on_postgresql;
    "vpnservices": vpnservices_on_sqlite, vpnservices_on_postgresql;
    "endpoint_groups": endpoint_groups_on_sqlite, endpoint_groups_on_postgresql;
    "connection_create": connection_create_on_sqlite, connection_create_on_postgresql;
    "connection_update": connection_update_on_sqlite, connection_update_on_postgresql;
    "core_guards": core_guards_on_sqlite, core_guards_on_postgresql;
    "lists": lists_on_sqlite, lists_on_postgresql;
    "rbac_and_quotas": rbac_and_quotas_on_sqlite, rbac_and_quotas_on_postgresql;
    "status_and_agents": status_and_agents_on_sqlite, status_and_agents_on_postgresql;
}

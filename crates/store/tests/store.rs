//! One suite for both databases: what holds for one must hold for the other.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where something unexpected begins")]

mod suite {
    pub mod cache;
    pub mod doorbell;
    pub mod ground;
    pub mod objects;
    pub mod paging;
    pub mod queries;
    pub mod samples;
    pub mod schema;
    pub mod secrets;
    pub mod transactions;
    pub mod writers;
}

macro_rules! on_both_stores {
    ($($module:ident: $($sentence:ident),+;)*) => {
        mod sqlite {
            use crate::suite::{self, ground::Ground};
            use karez_testing::StoreKind;

            $($(
                #[test]
                fn $sentence() {
                    suite::$module::$sentence(&Ground::new(StoreKind::Sqlite));
                }
            )+)*
        }

        mod postgresql {
            use crate::suite::{self, ground::Ground};
            use karez_testing::StoreKind;

            $($(
                #[test]
                fn $sentence() {
                    suite::$module::$sentence(&Ground::new(StoreKind::Postgresql));
                }
            )+)*
        }
    };
}

on_both_stores! {
    objects:
        an_object_of_every_kind_comes_back_as_it_was_stored,
        null_is_a_value_wherever_an_attribute_may_be_null,
        a_node_is_shown_as_an_agent,
        an_object_that_others_refer_to_is_not_deleted,
        the_same_id_is_not_inserted_twice,
        objects_of_more_ids_than_fit_into_one_statement_are_all_found;
    paging:
        pages_in_both_directions_are_cut_from_one_order,
        a_list_is_read_in_parts,
        without_pages_and_keys_the_order_is_that_of_creation;
    queries:
        a_caller_sees_his_project_and_what_is_public,
        filters_on_one_attribute_are_alternatives_and_on_several_all_hold,
        a_filter_without_values_finds_nothing,
        tags_are_compared_as_they_are,
        ports_are_found_by_subnet_and_address,
        connections_are_found_by_the_router_of_their_service,
        objects_are_counted_by_project;
    transactions:
        a_stale_update_is_refused_and_leaves_nothing,
        a_stale_update_that_reads_again_is_done_once,
        a_use_case_that_fails_leaves_nothing,
        what_is_reported_as_done_is_there_even_after_a_statement_that_failed,
        each_call_is_reported_to_the_observer;
    writers:
        those_who_fail_or_panic_among_many_leave_the_others_alone,
        revisions_of_a_node_go_up_by_one_with_each_write,
        a_router_without_a_node_has_nothing_to_count,
        readers_see_whole_rows_while_others_write;
    cache:
        a_row_that_was_changed_by_somebody_else_is_read_again,
        what_was_rolled_back_is_never_served,
        a_row_that_was_replaced_under_its_id_is_read_again,
        an_object_that_was_deleted_is_gone_though_it_was_cached,
        of_some_ids_only_those_are_served_that_are_as_they_were_read;
    secrets:
        secrets_are_sealed_again_with_the_newest_key,
        a_secret_that_was_moved_to_another_row_is_refused,
        a_server_that_knows_only_the_old_key_seals_with_the_new_one,
        a_key_that_was_retired_still_opens_what_was_read_before;
    schema:
        every_attribute_has_its_column,
        opening_twice_migrates_once,
        a_newer_schema_is_refused_by_name,
        a_sound_database_has_no_faults;
}

mod postgresql_alone {
    use crate::suite::{doorbell, ground::Ground};
    use karez_testing::StoreKind;

    #[test]
    fn a_ring_is_heard_by_the_other_servers() {
        doorbell::a_ring_is_heard_by_the_other_servers(&Ground::new(StoreKind::Postgresql));
    }

    #[test]
    fn a_listener_whose_connection_is_cut_listens_again() {
        doorbell::a_listener_whose_connection_is_cut_listens_again(&Ground::new(StoreKind::Postgresql));
    }
}

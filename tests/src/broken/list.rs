//! The list of defects.

/// Every defect, once, and in the end the detours that are none.
///
/// `defects!(tests)` makes a `#[test]` of each, in a module for each subject.
#[macro_export]
macro_rules! defects {
    (table) => { $crate::defects!(@list table;) };
    (sound) => { $crate::defects!(@list sound;) };
    (tests) => { $crate::defects!(@list tests;); };
    (@list $($how:tt)*) => {
        $crate::defects! {
            @$($how)*
            guards {
                skips_the_versions_of_channels
                skips_the_versions_of_link_nodes
                takes_absent_for_any_version
                creates_what_exists
                takes_older_versions
                checks_the_first_guard_alone
                checks_guards_of_sets_with_channels_alone
                keeps_half_of_a_stale_set
                keeps_acks_of_a_stale_set
                keeps_the_unguarded_part_of_a_stale_set
                stops_at_a_stale_set
                fails_a_batch_with_a_stale_set
                lets_a_stale_set_poison_its_batch
                answers_backwards
                answers_with_conflicts_last
                calls_a_stale_set_applied
                has_no_verdict_on_stale_sets
                blames_the_first_subject
            }
            steps {
                does_not_replace
                misses_the_last_put
                removes_nothing
                removes_one_record_of_a_set
                removes_the_packages_below
                fails_to_remove_the_absent
                keeps_the_htlcs_of_a_closed_channel
                keeps_the_log_of_a_closed_channel
                drops_updates_of_a_package_written_again
                drops_the_diff_of_a_channel_written_again
                shares_htlcs_across_channels
                forgets_acks
                stores_one_ack_of_a_set
                stores_one_ack_of_a_package_in_a_batch
                acks_the_next_update
                acks_the_other_list
                acks_the_whole_package
                creates_what_it_acks
                fails_to_ack_the_absent
                toggles_acks
                stores_the_first_set_of_a_batch
                says_not_stored_of_what_is
                fails_on_an_empty_set
                panics_on_a_batch_of_two
            }
            values {
                drops_unknown_status_bits
                drops_unknown_type_bits
                keeps_eight_status_bits
                keeps_63_bits_of_a_scid
                keeps_63_bits_of_a_confirmed_scid
                keeps_63_bits_of_a_package_source
                keeps_63_bits_of_a_balance
                keeps_32_bits_of_a_balance
                rounds_balances_to_satoshi
                keeps_32_bits_of_a_total
                keeps_32_bits_of_a_time
                keeps_8_bits_of_an_output_index
                cuts_long_values
                ends_values_at_a_zero_byte
                takes_a_height_of_zero_for_none
                takes_no_height_for_zero
                takes_empty_terms_for_absent
                takes_an_amount_of_zero_for_none
                takes_an_empty_list_for_absent
                takes_an_empty_value_for_absent
                swaps_the_sides_of_commitments
                swaps_balances
                swaps_totals
                sorts_the_htlcs_of_a_commitment
                loses_htlc_signatures
                loses_own_terms
                loses_unknown_tlvs
                loses_onions
                loses_custom_records
                loses_witnesses
                turns_txids_round
                loses_circuits
                turns_update_lists_round
                forgets_that_an_htlc_ended_on_chain
                loses_the_reestablish_of_a_summary
                loses_forward_filters
                keeps_one_address
            }
            reads {
                reads_in_key_order
                reads_duplicates_once
                leaves_out_absent_records
                forgets_the_transfer
                reads_absent_values_as_empty
                reads_nothing_if_one_is_absent
                fails_to_read_the_absent
                fails_to_read_no_keys
                reads_a_thousand_keys_at_most
                reads_from_a_cache_for_ever
                reads_acks_from_an_old_cache
                reads_removed_records_from_a_cache
                scans_backwards
                sorts_numbers_as_signed
                sorts_numbers_as_text
                sorts_numbers_as_little_endian
                sorts_short_names_first
                scans_from_the_key_before
                scans_from_the_start
                needs_the_key_to_go_on_after
                scans_without_a_limit
                stops_one_record_short
                scans_one_record_more
                scans_a_hundred_records_at_most
                takes_a_limit_of_zero_for_none
                scans_the_whole_kind
                scans_by_the_first_component
                takes_a_prefix_as_bytes
                misses_the_last_key_of_a_range
                folds_the_case_of_names
            }
            standing {
                does_not_raise_the_epoch
                does_not_keep_the_epoch
                does_not_fence
                stores_the_batch_of_a_fenced_claim
                calls_fencing_not_stored
                ignores_at_least
                takes_a_store_one_commit_too_old
                refuses_a_store_as_old_as_known
                raises_the_epoch_of_a_store_too_old
                counts_applied_sets_alone
                counts_batches
                does_not_keep_the_sequence_number
                takes_a_batch_out_of_step
                takes_a_batch_from_the_past
                keeps_half_of_a_batch_not_stored
                settles_everything_as_stored
                settles_everything_as_not_stored
                settles_every_set_as_applied
                settles_with_an_old_head
                stores_a_batch_after_settling_it
            }
            durability {
                stores_at_the_release
                loses_the_last_commit
                loses_the_last_commit_in_a_crash
                shows_what_was_not_stored
                reads_before_the_last_commit
                shows_a_set_by_halves
            }
            - sound {
                passes_everything_on
                passes_sets_on_without_guards
                checks_guards_in_front
                passes_stale_sets_on_empty
                counts_epochs_in_front
                counts_sets_in_front
                empties_its_cache
                cuts_scans_out_of_ranges
                stores_behind_memory
                reads_through_an_overlay
            }
        }
    };
    (@table; $( $subject:ident { $( $defect:ident )* } )* - $( $sound:tt )*) => {
        $crate::defects!(@rows $( $subject { $( $defect )* } )*)
    };
    (@sound; $( $subject:ident { $( $defect:ident )* } )* - $( $sound:tt )*) => {
        $crate::defects!(@rows $( $sound )*)
    };
    (@rows $( $subject:ident { $( $defect:ident )* } )*) => {
        &[ $( $( $crate::broken::Defect {
            subject: stringify!($subject),
            name: stringify!($defect),
            source: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/src/broken/", stringify!($subject), ".rs"
            )),
            flaw: $crate::broken::$subject::$defect,
        }, )* )* ]
    };
    (@tests;
        $( $subject:ident { $( $defect:ident )* } )* - $none:ident { $( $sound:ident )* }
    ) => {
        $( mod $subject { $(
            #[test]
            fn $defect() {
                $crate::broken::must_be_caught(stringify!($defect));
            }
        )* } )*
        mod $none { $(
            #[test]
            fn $sound() {
                $crate::broken::must_pass(stringify!($sound));
            }
        )* }
    };
}

//! The list of cases.

/// Every case, once.
///
/// `cases!(tests path::to::place)` makes a `#[test]` of each, in a module for each subject; `place`
/// is a function without arguments that returns a new [`Place`](crate::Place).
#[macro_export]
macro_rules! cases {
    (table) => { $crate::cases!(@list table;) };
    (tests $place:path) => { $crate::cases!(@list tests $place;); };
    (@list $($how:tt)*) => {
        $crate::cases! {
            @$($how)*
            backend {
                a_stale_channel_is_left_out
                a_stale_link_node_is_left_out
                one_stale_subject_is_enough
                a_claim_raises_the_epoch
                a_batch_out_of_step_is_not_stored
                scans_go_in_key_order
                records_are_replaced_and_removed
                acknowledgements_commute
            }
            lifecycle {
                a_new_channel_reads_back_whole
                absent_empty_and_zero_terms_differ
                every_channel_type_bit_is_kept
                a_pending_channel_opens_under_its_scid
                confirmation_heights_are_set_and_cleared
                an_alias_over_2_63_stays_beside_the_confirmed_scid
                repeated_calls_write_nothing
                a_borked_channel_still_follows_the_chain
                refresh_shows_what_is_stored_now
                unknown_and_closed_channels_are_refused
                opening_a_store_twice_changes_nothing
            }
            status {
                bits_are_combined_with_what_is_stored
                repeated_calls_write_nothing
                the_restored_bit_cannot_be_changed
                a_borked_channel_refuses_commitments_alone
                a_data_loss_keeps_bit_and_point
                unknown_and_closed_channels_are_refused
            }
            shutdown {
                shutdown_info_is_kept_and_replaced
                closing_transactions_are_kept_apart
                a_later_closing_transaction_replaces_an_earlier_one
                unknown_and_closed_channels_are_refused
            }
            open {
                lists_hold_what_their_names_say
                channels_are_found_by_outpoint_and_id
                tallies_tell_pending_from_confirmed
                lists_do_not_depend_on_link_nodes
            }
            commitment {
                each_step_of_the_protocol_is_stored
                a_pending_commitment_reads_back_whole
                the_last_message_sent_is_noted
                only_the_next_height_is_accepted
                a_pending_commitment_is_not_overwritten
                a_stale_request_is_refused
                indexes_and_totals_do_not_go_back
                advancing_needs_a_pending_commitment
                the_next_point_is_set_once
                a_wrong_secret_is_refused
                a_package_must_fit_its_commitment
                lists_are_absent_until_they_are_stored
                ends_are_returned_when_they_are_locked_in
                what_cannot_be_stored_is_refused
                a_shell_takes_no_commitments
                unknown_and_closed_channels_are_refused
                amounts_from_zero_to_the_largest_are_kept
            }
            htlc {
                an_htlc_is_stored_once
                a_record_goes_with_the_last_reference
                other_terms_under_the_same_id_are_kept
                other_messages_under_the_same_id_are_kept
                the_most_htlcs_are_kept
                channels_do_not_share_htlcs
                htlcs_of_the_first_commitments_are_kept
            }
            revocation_log {
                every_revoked_state_is_found
                a_height_without_a_state_is_unknown
                balances_are_left_out_on_request
                output_indexes_are_kept_up_to_the_largest
                secrets_of_a_long_log_can_be_derived
            }
            package {
                packages_read_back_by_height
                a_package_completes_when_everything_is_acknowledged
                a_package_keeps_its_first_filter
                a_filter_must_cover_the_adds
                an_ack_out_of_range_is_refused_whole
                acks_of_absent_packages_pass
                a_signature_brings_acks_in_packages_of_any_channel
                a_signature_sent_again_brings_its_acks
                a_refused_signature_brings_no_acks
                removal_passes_over_absent_heights
                packages_end_with_their_channel
                packages_of_an_alias_over_2_63
                channels_do_not_share_a_package_source
                packages_of_no_channel_keep_their_source
                a_removal_does_not_meet_acks_in_a_commit
            }
            closed {
                a_closed_channel_shows_summary_and_history
                a_summary_keeps_the_last_reestablish
                a_channel_closes_once
                a_closed_outpoint_is_not_used_again
                summaries_are_listed_by_outpoint
                a_reclaimed_channel_keeps_its_history
                a_long_log_is_reclaimed_in_steps
                damage_does_not_hold_up_the_reclaim_of_others
                an_interrupted_reclaim_goes_on_at_the_next_opening
                an_abandoned_channel_is_closed_at_once
                abandoning_a_closed_channel_changes_nothing
                a_shell_can_be_closed
                a_closed_channel_has_no_log_tail
            }
            final_htlc {
                outcomes_in_the_channel_are_stored_on_request
                without_the_option_nothing_is_stored
                an_outcome_on_chain_replaces_another
            }
            setup {
                opening_state_is_kept_replaced_and_deleted
                a_policy_is_kept_replaced_and_deleted
            }
            link_node {
                a_link_node_reads_back_whole
                addresses_are_added_and_replaced
                existing_and_unknown_nodes_are_refused
                a_node_created_again_is_a_new_one
                addresses_too_long_are_refused
                a_node_with_channels_is_not_deleted
            }
            coordinator {
                opening_creates_a_missing_link_node
                a_used_outpoint_or_id_is_refused
                opening_refuses_addresses_too_long
                shells_are_restored_with_their_peers
                each_shell_is_restored_once
                the_last_full_close_prunes_the_peer
                abandoning_the_last_channel_prunes_the_peer
                pruning_takes_idle_link_nodes
                repair_creates_missing_link_nodes
                a_refused_opening_leaves_the_peer_alone
            }
            failures {
                calls_that_wait_share_a_commit
                a_failed_batch_is_applied_one_by_one
                a_poisoned_member_fails_alone
                an_unavailable_backend_changes_nothing
                an_unknown_outcome_is_found_out
                settling_may_raise_the_sequence_number
                an_outcome_that_stays_unknown_shuts_the_store
                nothing_is_committed_after_an_unknown_outcome
                a_panicking_backend_leaves_nobody_waiting
                a_conflict_is_retried
                the_third_conflict_is_reported
                failing_background_work_is_left_alone
                writes_of_one_key_keep_their_order
            }
            damage {
                a_missing_diff_is_damage
                a_missing_pending_commitment_is_damage
                a_missing_commitment_is_damage
                a_missing_secret_is_damage
                a_missing_htlc_is_damage
            }
            concurrency {
                a_link_node_exists_while_a_channel_is_open
                an_opening_and_a_prune_exclude_each_other
                channels_abandoned_at_once_prune_their_peer
                channels_run_in_parallel
                one_of_many_gets_the_next_height
                acks_of_one_package_all_arrive
                a_closing_channel_can_be_read
                one_channel_id_is_opened_once
                aborted_calls_leave_whole_changes
            }
            durability {
                a_store_that_is_not_closed_keeps_everything
                a_store_older_than_known_is_refused
                a_store_that_was_taken_over_is_fenced
                a_closed_store_takes_no_calls
                closing_commits_what_waits
                every_close_waits_for_what_waits
                a_call_dropped_in_the_queue_is_stored
                a_call_dropped_before_the_queue_changes_nothing
                a_dropped_opening_is_whole
            }
        }
    };
    (@table; $( $subject:ident { $( $case:ident )* } )*) => {
        &[ $( $( $crate::Case {
            subject: stringify!($subject),
            name: stringify!($case),
            run: |place| Box::pin($crate::cases::$subject::$case(place)),
        }, )* )* ]
    };
    (@tests $place:path; $( $subject:ident { $( $case:ident )* } )*) => {
        $( mod $subject { $(
            #[test]
            fn $case() {
                $crate::run(stringify!($subject), stringify!($case), &$place());
            }
        )* } )*
    };
}

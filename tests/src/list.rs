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
                versions_are_compared_whole
                one_stale_subject_is_enough
                a_claim_raises_the_epoch
                a_batch_out_of_step_is_not_stored
                scans_go_in_key_order
                records_are_replaced_and_removed
                acknowledgements_commute
                a_set_without_subjects_has_no_guard
                an_empty_batch_changes_nothing
                a_released_backend_takes_no_calls
                a_read_may_be_dropped
            }
            records {
                every_kind_reads_back
                every_kind_is_kept
                every_kind_is_replaced_whole
                every_kind_is_removed_alone
                one_set_takes_every_kind
                a_record_may_have_16_mib
                a_set_may_have_10_000_records
                numbers_in_keys_fit_or_are_refused
                keys_that_do_not_fit_are_absent
                bytes_sort_byte_by_byte
                a_prefix_is_of_whole_components
                a_prefix_may_have_any_number_of_components
                a_scan_goes_on_after_any_key
                a_scan_keeps_to_its_limit
                a_read_answers_each_key_in_order
                names_differ_byte_by_byte
                thousands_of_keys_are_read_at_once
                an_ack_is_seen_by_reads_and_scans
                a_put_takes_an_ack_back
                an_ack_creates_nothing
            }
            isolation {
                writes_at_once_do_not_mix
                what_is_not_stored_is_not_read
                no_update_is_lost
                one_read_shows_one_moment
                one_scan_shows_one_moment
                a_later_read_sees_what_was_stored_since
                pages_pass_over_nothing_that_stays
                what_was_read_can_be_guarded
            }
            group_commit {
                a_conflict_is_of_its_set_alone
                a_refusal_is_of_its_set_alone
                a_batch_may_be_all_stale
                a_thousand_sets_share_a_commit
                a_set_may_have_many_subjects
                a_set_may_put_remove_and_acknowledge
                acknowledgements_share_a_batch
                each_caller_hears_of_its_own_change
                a_conflict_is_retried_alone
                callers_over_the_most_of_a_batch_wait_for_the_next
            }
            claims {
                a_claim_may_ask_for_a_sequence_number
                fencing_comes_first
                a_new_owner_goes_on_where_the_old_one_stood
                an_old_version_never_matches_again
                a_hundred_owners_lose_nothing
                a_claim_outlives_a_crash
                claims_at_once_have_an_epoch_each
                a_store_has_one_writer
            }
            settle {
                a_stored_batch_settles_as_its_commit_said
                a_lost_batch_settles_as_not_stored
                a_batch_settles_under_a_newer_claim
                a_batch_settles_after_many_newer_claims
                the_stale_subject_of_several_is_named
                one_subject_tells_that_a_set_was_applied
                a_removal_of_several_link_nodes_settles
                later_commits_do_not_pass_for_a_lost_batch
                a_hidden_verdict_is_not_guessed
                unguarded_sets_settle_as_applied
            }
            every_facet {
                each_lifecycle_change_is_durable
                each_status_change_is_durable
                each_step_towards_a_close_is_durable
                each_package_change_is_durable
                a_close_is_durable
                each_commitment_is_durable
                what_is_kept_beside_channels_is_durable
                a_change_of_one_channel_shows_in_no_other
                a_dropped_change_shows_whole
                each_change_is_one_commit
                a_change_that_fails_shows_nowhere
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
                changes_come_in_any_order
                scids_and_heights_are_kept_at_both_ends
                a_channel_that_moves_takes_its_new_scid
                a_shell_follows_the_chain
            }
            status {
                bits_are_combined_with_what_is_stored
                repeated_calls_write_nothing
                the_restored_bit_cannot_be_changed
                a_borked_channel_refuses_commitments_alone
                a_data_loss_keeps_bit_and_point
                unknown_and_closed_channels_are_refused
                each_bit_is_set_and_cleared_alone
                each_call_adds_its_bits
                a_shell_takes_bits_and_marks
                a_channel_without_bits_goes_on
            }
            shutdown {
                shutdown_info_is_kept_and_replaced
                closing_transactions_are_kept_apart
                a_later_closing_transaction_replaces_an_earlier_one
                unknown_and_closed_channels_are_refused
                scripts_of_any_length_are_kept
                transactions_are_kept_with_their_witnesses
                a_transaction_for_the_other_side_adds_a_bit
                a_close_is_prepared_whatever_the_status
            }
            open {
                lists_hold_what_their_names_say
                channels_are_found_by_outpoint_and_id
                tallies_tell_pending_from_confirmed
                lists_do_not_depend_on_link_nodes
                lists_are_ordered_by_peer_chain_and_outpoint
                each_channel_is_in_one_list
                each_way_finds_the_same_channel
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
            }
            commitment_parts {
                a_step_writes_its_arguments_only
                an_equal_signature_is_equal_in_every_part
                blobs_of_commitments_are_kept
            }
            update_list {
                every_kind_of_update_is_kept_in_every_list
                what_is_no_update_is_refused_in_every_list
                an_update_leaves_its_list_when_it_is_signed
                only_settles_and_fails_end_htlcs
            }
            htlc {
                an_htlc_is_stored_once
                a_record_goes_with_the_last_reference
                other_terms_under_the_same_id_are_kept
                other_messages_under_the_same_id_are_kept
                the_most_htlcs_are_kept
                channels_do_not_share_htlcs
                htlcs_of_the_first_commitments_are_kept
                an_id_is_used_once_in_each_direction
                an_id_may_come_back_with_other_terms
            }
            revocation_log {
                every_revoked_state_is_found
                a_height_without_a_state_is_unknown
                balances_are_left_out_on_request
                output_indexes_are_kept_up_to_the_largest
                secrets_of_a_long_log_can_be_derived
                the_current_log_is_asked_first
                blobs_of_revoked_states_are_kept
                an_output_index_too_large_is_refused
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
                packages_under_an_alias_over_2_63_are_kept
                channels_do_not_share_a_package_source
                channels_that_file_at_once_do_not_share_a_source
                a_source_is_free_after_its_last_package
                packages_of_no_channel_keep_their_source
                a_removal_does_not_meet_acks_in_a_commit
                a_package_with_a_gap_is_damage
            }
            filter {
                filters_of_any_size_fill_in_any_order
                a_filter_keeps_its_padding
                an_empty_package_completes_with_its_filter
                a_package_of_both_kinds_completes_in_any_order
                packages_of_both_scids_are_read_together
                a_borked_channel_works_its_packages_off
                shells_and_unknown_channels_have_no_packages
                packages_of_neighbours_are_left_alone
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
            summary {
                every_kind_of_close_is_kept
                a_summary_is_kept_as_given
                any_channel_can_be_closed
                channels_of_one_transaction_are_told_apart
                a_close_leaves_the_peers_other_channel
                a_refused_close_leaves_the_channel_open
            }
            limits {
                terms_are_kept_at_both_ends
                long_terms_are_kept
                the_longest_messages_are_kept
                the_greatest_step_is_kept
                heights_go_up_to_the_largest
                circuits_are_kept_at_both_ends
                commitments_are_kept_at_both_ends
                summaries_are_kept_at_both_ends
                long_opening_states_are_kept
                a_package_may_have_65_535_updates
            }
            final_htlc {
                outcomes_in_the_channel_are_stored_on_request
                without_the_option_nothing_is_stored
                an_outcome_on_chain_replaces_another
                an_outcome_on_chain_replaces_one_in_the_channel
                outcomes_are_kept_at_both_ends
                outcomes_are_filed_under_the_scid_of_the_time
            }
            setup {
                opening_state_is_kept_replaced_and_deleted
                a_policy_is_kept_replaced_and_deleted
                states_and_policies_are_kept_apart
            }
            link_node {
                a_link_node_reads_back_whole
                addresses_are_added_and_replaced
                existing_and_unknown_nodes_are_refused
                a_node_created_again_is_a_new_one
                addresses_too_long_are_refused
                a_node_with_channels_is_not_deleted
                kind_host_and_port_tell_addresses_apart
                long_lists_keep_their_order
                a_list_may_repeat_an_address
                any_time_of_last_seen_is_kept
                calls_on_one_node_wait_for_each_other
                a_conflict_shows_what_another_writer_stored
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
                pruning_takes_all_or_none
                repair_creates_missing_link_nodes
                a_refused_opening_leaves_the_peer_alone
                only_a_closed_channel_is_resolved
                a_resolved_channel_keeps_its_summary
                an_abandoned_channel_has_its_height
                a_pruned_peer_leaves_nothing
                a_prune_waits_for_an_opening
                a_repair_waits_for_an_opening
                an_opening_is_computed_anew_after_a_conflict
                a_takeover_is_found_while_settling
                many_shells_come_in_one_commit
            }
            model {
                random_operations_match_the_model
                one_seed_gives_one_dump
            }
            failures {
                calls_that_wait_share_a_commit
                a_failed_batch_is_applied_one_by_one
                a_poisoned_member_fails_alone
                an_unavailable_backend_changes_nothing
                an_unknown_outcome_is_found_out
                settling_may_raise_the_sequence_number
                an_outcome_that_stays_unknown_shuts_the_store
                a_store_that_went_back_is_not_worked_on
                nothing_is_committed_after_an_unknown_outcome
                a_panicking_backend_leaves_nobody_waiting
                a_conflict_is_retried
                the_third_conflict_is_reported
                failing_background_work_is_left_alone
                writes_of_one_key_keep_their_order
            }
            errors {
                a_call_that_is_not_stored_is_unavailable
                a_call_found_to_be_stored_succeeds
                a_call_that_stays_unknown_is_unconfirmed
                a_call_after_a_takeover_is_fenced
                a_call_after_the_close_is_unavailable
                a_call_in_conflict_says_so
                a_call_computes_anew_after_a_conflict
                a_call_with_an_odd_record_is_unstorable
                an_outage_passes
                a_store_that_cannot_be_read_is_not_opened
                a_close_that_fails_loses_nothing
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
                calls_at_once_answer_as_if_one_came_after_the_other
                calls_at_once_are_told_the_truth_when_commits_fail
                versions_never_go_back
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
                every_call_outlives_a_crash
                a_copy_of_an_open_store_has_everything
                a_store_may_be_reopened_at_each_step
                a_newer_format_is_refused
            }
            transfer {
                a_store_without_a_transfer_is_ready
                a_store_being_filled_is_refused
                a_store_that_differs_is_refused
                a_store_that_is_not_activated_is_refused
                a_store_that_was_activated_is_ready
                a_store_that_was_moved_is_refused
                a_refused_store_stays_as_it_is
                a_transfer_goes_on_after_a_refusal
                a_transfer_and_its_records_are_stored_together
                a_transfer_reads_back_whole
            }
            node {
                nothing_is_lost_in_many_short_lives
                nothing_is_lost_by_a_stop_at_any_commit
                nothing_is_lost_by_a_stop_at_every_commit
            }
        }
    };
    (@table; $( $subject:ident { $( $case:ident )* } )*) => {
        &[ $( $( $crate::Case {
            subject: stringify!($subject),
            name: stringify!($case),
            source: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/src/cases/", stringify!($subject), ".rs"
            )),
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

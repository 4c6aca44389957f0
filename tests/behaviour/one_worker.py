"""What cannot be seen of several workers as it is seen of one, and why. Read by `tests/conftest.py`.

With `LOCKGATE_TEST_WORKERS=3` the connections of a scenario go to three workers. In the tests of the first
table all go to one of them, while the others own their part of the keys. Those of the second are left out:
they look into one process, or count what each worker has of its own. All others run on all workers.
"""

from __future__ import annotations

CODINGS = "a coding is made and kept where it was asked for"
CONNECTIONS = "each worker has connections of its own to the origin"
FRESHENED = "what a HEAD or a 304 shows to be true is learnt where it came, by no other copy"
HERDS = "each worker coalesces its own herd, elects its own leaders, and releases it when it is told"
LIMITS = "bounds on waiters, refreshes and variants are those of one worker"
STALE = "each worker validates its own copy once, and serves it stale meanwhile"
STALE_THERE = "the stale copy is at another worker, and what a client would take stale is its own wish"
SEARCH = "each worker learns by itself that the targets of a page are equivalent"
SLICES = "slices are where they were asked for, and so is what was learnt of an object"

AT_ONE_WORKER: dict[str, tuple[str, ...]] = {
    CODINGS: (
        "test_a_condition_is_evaluated_on_the_coding_that_the_client_gets",
        "test_a_herd_of_hits_is_compressed_once",
        "test_a_stored_answer_is_compressed_for_who_accepts_it",
        "test_codings_survive_a_304_and_not_a_purge",
        "test_digests_of_identity_are_not_sent_with_a_coding",
        "test_head_tells_of_the_coding",
    ),
    CONNECTIONS: ("test_connections_to_the_origin_are_kept_and_used_again",),
    FRESHENED: (
        "test_a_set_cookie_of_a_head_is_not_stored",
        "test_a_304_leaves_a_variant_that_was_replaced_meanwhile",
        "test_a_304_that_says_private_takes_the_one_that_it_is_about",
        "test_head_freshens_its_own_variant_only",
        "test_head_freshens_what_is_stale",
        "test_head_that_shows_the_same_representation_freshens_the_stored_one",
        "test_head_that_says_private_ends_the_sharing",
        "test_the_variant_that_the_304_is_about_is_freshened_too",
    ),
    HERDS: (
        "test_a_herd_with_no_cache_is_one_running_and_one_pending_request",
        "test_a_key_that_was_not_for_sharing_is_not_waited_for",
        "test_a_released_waiter_that_leaves_frees_its_slot",
        "test_a_set_cookie_on_a_304_is_for_the_asker_alone",
        "test_after_two_leaders_at_fault_the_rest_is_released",
        "test_head_waits_for_a_flight_of_get_and_is_answered_with_its_head",
        "test_head_that_waited_for_a_failing_origin_is_told_without_a_body",
        "test_head_that_waited_for_what_is_not_shareable_asks_with_head",
        "test_lifetime_zero_is_not_given_to_a_waiter_with_cookie",
    ),
    LIMITS: (
        "test_no_more_than_the_limit_run_at_one_time",
        "test_one_waiter_too_many_is_refused_and_the_others_are_served",
        "test_the_number_of_variants_is_bounded",
    ),
    STALE: (
        "test_a_herd_never_meets_a_popular_answer_expired",
        "test_stale_while_revalidate_is_one_flight_behind_many_clients",
    ),
    STALE_THERE: (
        "test_a_client_may_take_what_is_stale",
        "test_a_stale_copy_is_served_at_the_deadline_where_it_is_allowed",
    ),
    SEARCH: (
        "test_a_herd_on_equivalent_targets_is_one_forward_request",
        "test_a_write_to_one_of_them_keeps_a_fill_for_another_out",
        "test_an_error_says_nothing_of_the_variance",
        "test_an_answer_that_varies_more_is_stored_for_its_own_target_only",
        "test_routes_and_what_they_add_to_the_key_never_mix",
        "test_variants_are_told_apart_under_a_shared_key",
        "test_waiters_whose_target_is_not_equivalent_any_more_get_their_own",
        "test_what_was_stored_before_the_variance_was_known_is_still_found",
    ),
    SLICES: (
        "test_a_head_tells_the_length_of_the_whole_and_fetches_nothing",
        "test_a_herd_is_told_that_the_origin_failed",
        "test_a_range_behind_the_end_is_answered_here_once_the_length_is_known",
        "test_a_redirect_is_given_as_it_is",
        "test_a_small_object_is_stored_whole_and_needs_no_validator",
        "test_after_some_time_slices_are_tried_again",
        "test_all_who_are_in_the_middle_of_it_are_cut_and_none_gets_a_mix",
        "test_an_empty_object_is_fetched_whole",
        "test_an_error_is_given_as_it_is_and_stored_under_the_url",
        "test_an_origin_that_ignores_range_is_asked_once_and_remembered",
        "test_no_cache_of_a_client_validates_the_first_slice_alone",
        "test_one_validation_holds_for_all_slices_of_an_answer",
        "test_only_if_cached_is_answered_where_all_slices_are_stored",
        "test_slices_of_an_older_representation_are_replaced_where_they_are_met",
        "test_the_whole_is_put_together_from_its_slices",
        "test_what_is_missing_of_an_answer_is_told",
        "test_what_is_not_for_sharing_is_not_sliced",
        "test_while_nothing_is_known_of_a_url_all_ask_for_the_slice_that_the_first_asked_for",
        "test_without_a_strong_validator_nothing_is_put_together",
    ),
}
"""Reasons, and the tests whose clients are all at one worker."""

COPIES = "an entry counts at each worker that has a copy of it"
COUNTED = "looks at the number of flights: that of a worker that asks, and that of the owner, are two"
DEADLINES = "the owner's deadline is that of the first who asks it, and those after him end with him"
DISKS = "looks into the process that fills, or at the one disk tier that it has"
DIVIDED = "an origin's limits are divided among the workers"
ELSEWHERE = "the connection in question is that of another key's owner"
GRACE = "a refresh is told what the owner has stale, too; the new answer comes with the next one"
GIVEN = "who passes a write on counts it as written once it was given over, and its client leaves"
MARKS = "the owner keeps its mark until it expires, as it sees nothing of what the asker was given"
PACE = "a worker that asks reads no faster than a socket, and may be the one that falls behind"
POSTED = "the answer to a POST is stored where it passed, until all workers have heard of the POST"
RELOADED = "the test changes the configuration of one process"
RESUMED = "a slice that breaks off on its way to the owner is asked for anew by the asker, from its beginning"
TRIED = "a refresh that fails is tried once by the owner and once by each worker that has a copy"

OF_ONE_PROCESS: dict[str, tuple[str, ...]] = {
    COPIES: (
        "test_each_kind_of_order_removes_what_it_names",
        "test_purge_covers_all_cookies_and_all_equivalent_queries",
        "test_purge_removes_a_url_and_tells_the_count",
    ),
    COUNTED: ("test_a_range_far_ahead_goes_to_the_origin_by_itself",),
    DEADLINES: ("test_a_deadline_does_not_pass_before_its_time",),
    DISKS: (
        "test_a_fill_that_a_purge_overtook_serves_those_who_have_seats_and_is_not_stored",
        "test_a_range_is_read_out_of_the_running_fill",
        "test_a_slow_client_is_not_cut_off_and_memory_is_a_window",
        "test_an_origin_that_dies_leaves_nothing_and_its_clients_are_cut",
        "test_what_grows_too_large_for_the_disk_goes_on_from_memory",
        "test_what_is_known_to_be_too_large_for_the_disk_is_not_begun",
        "test_what_lies_on_disk_only_is_freshened_by_a_304",
        "test_who_joins_late_or_comes_after_it_reads_the_disk",
    ),
    DIVIDED: (
        "test_an_origin_with_a_full_queue_refuses_with_503",
        "test_released_waiters_keep_to_the_concurrency_of_the_origin",
    ),
    ELSEWHERE: (
        "test_a_kept_connection_that_died_is_forgiven_what_may_be_repeated",
        "test_a_write_is_never_sent_a_second_time",
    ),
    MARKS: ("test_a_shareable_answer_clears_the_mark_and_is_stored",),
    POSTED: (
        "test_a_fill_from_before_the_post_does_not_replace_its_answer",
        "test_an_answer_to_post_that_says_so_is_stored_for_get",
        "test_head_and_an_answer_to_post_are_found_and_stored_under_the_shared_key",
        "test_it_is_stored_for_the_variant_that_was_asked_with",
        "test_it_takes_the_place_of_what_it_invalidates",
    ),
    GIVEN: ("test_a_client_that_leaves_while_its_key_is_looked_up_leaves_the_key_free",),
    GRACE: ("test_a_soft_purge_with_grace_serves_stale_to_a_herd_and_asks_once",),
    PACE: ("test_a_reader_that_falls_a_window_behind_is_cut_and_the_fast_one_is_not",),
    RELOADED: (
        "test_a_slow_upload_over_a_reload_that_takes_its_route_away",
        "test_a_write_whose_route_is_gone_is_shown_to_nobody_where_it_had_a_principal",
    ),
    RESUMED: (
        "test_a_date_is_a_validator_once_it_is_strong",
        "test_a_slice_that_is_cut_is_read_on_from_where_it_was_cut",
        "test_an_object_that_changes_in_the_middle_is_cut_and_the_next_answer_is_the_new_one",
    ),
    TRIED: ("test_a_refresh_that_fails_leaves_the_answer_and_is_not_repeated",),
}
"""Reasons, and the tests that are left out."""

OF_ONE_PROCESS_ONLY = {
    "test_write_failures.py": "the one process that has the journal is killed, or its disk fails",
    "test_writes_life.py": "`tests/workers/test_writes_holder.py` has the life of several",
    "test_writes_operated.py": "`tests/workers/test_overseer.py` has the way of orders to several",
}


def why_at_one_worker(test: str) -> str | None:
    """Why the clients of this test are all at one worker, if they are."""
    return _reason(AT_ONE_WORKER, test)


def why_left_out(test: str, file: str) -> str | None:
    """Why this test is left out where there are several workers, if it is."""
    return OF_ONE_PROCESS_ONLY.get(file) or _reason(OF_ONE_PROCESS, test)


def _reason(table: dict[str, tuple[str, ...]], test: str) -> str | None:
    return next((reason for reason, tests in table.items() if test in tests), None)

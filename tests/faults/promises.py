"""Which test holds which promise of the contract's section 5."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TITLE = "Which test holds which promise"

KILL, BROKER, MACHINE = "tests/faults/test_kill.py", "tests/faults/test_broker.py", "tests/faults/test_machine.py"
MATRIX, LOAD = "tests/faults/test_matrix.py", "tests/faults/test_load.py"
CARDS = "tests/field/test_card_numbers_of_a_list_stay_on_disk_for_a_week.py"
OFF = "tests/field/test_a_terminal_that_was_off_fails_the_same_request_for_a_week.py"

#: A promise in a few words, and the tests that fail when it is broken.
PROMISES = {
    "Acknowledged only after it is on disk": (
        f"{KILL}::test_a_kill_as_soon_as_the_broker_has_the_message_loses_nothing",
        f"{MACHINE}::test_a_request_that_finds_the_disk_full_is_not_acknowledged_and_done_once_there_is_room",
    ),
    "No slow terminal holds the broker's window": (
        f"{LOAD}::test_a_dead_terminal_with_a_full_queue_costs_the_others_nothing",
    ),
    "A reply is on disk before it is published, and published until it is confirmed": (
        f"{KILL}::test_a_reply_that_was_never_confirmed_comes_again_as_it_was",
        f"{BROKER}::test_a_reply_that_a_broker_does_not_confirm_is_sent_again_on_the_next_connection",
        f"{MACHINE}::test_an_answer_that_finds_the_disk_full_is_kept_once_there_is_room",
    ),
    "A `request_id` is executed once; a copy gets the stored reply, other content is refused": (
        f"{KILL}::test_a_kill_after_the_reply_was_confirmed_sends_nothing_again",
        "tests/bridge/test_replies.py::test_a_repeated_request_id_gets_the_stored_reply",
    ),
    "A redelivery is the same request, with or without a `request_id`": (
        f"{BROKER}::test_a_redelivered_message_is_acknowledged_and_not_answered_twice",
        f"{BROKER}::test_a_message_that_only_shares_its_packet_id_is_a_request_of_its_own",
    ),
    "Where the broker does not mark a redelivery, the terminal decides": (
        f"{BROKER}::test_a_message_under_another_packet_id_gets_the_stored_reply",
        f"{BROKER}::test_a_killed_broker_costs_no_answer_and_doubles_nothing",
        f"{BROKER}::test_the_same_request_twice_on_one_connection_is_asked_twice",
    ),
    "A request that was turned away has not used its `request_id` up": (
        f"{LOAD}::test_a_burst_over_the_limit_is_answered_to_the_last_request_in_bounded_memory",
    ),
    "A failure that wrote nothing has not used its `request_id` up; an unknown effect is settled first": (
        f"{OFF}::test_the_same_request_is_carried_out_once_the_terminal_is_on",
        f"{OFF}::test_a_user_who_was_written_before_the_answer_was_lost_is_a_success",
        "tests/unit/test_repeats.py::test_a_message_that_the_broker_may_have_brought_again_is_no_new_request",
    ),
    "What was only read is forgotten once the broker has it": (
        f"{CARDS}::test_the_rows_are_gone_from_the_disk_soon_after_they_were_sent",
    ),
    "After a crash at any instant: one answer, one user, success and never 409": (
        f"{KILL}::test_a_kill_at_any_frame_ends_with_one_success_and_one_user",
        f"{KILL}::test_a_kill_at_any_step_of_the_ledger_ends_with_one_success_and_one_user",
    ),
    "After a broken connection the terminal is read: the same user was written by this request": (
        f"{MATRIX}::test_every_fault_at_every_frame_ends_with_one_true_answer_as_the_docs_say",
    ),
    "A different user with that user_id is a 409": (f"{KILL}::test_a_user_id_that_was_taken_meanwhile_is_a_409",),
    "No password and no card once a request is done; mode 0600": (
        f"{KILL}::test_a_kill_at_any_step_of_the_ledger_ends_with_one_success_and_one_user",
    ),
}


def missing() -> list[str]:
    """Tests that are named here and are not there."""
    named = {test for tests in PROMISES.values() for test in tests}
    return sorted(test for test in named if not _is_there(*test.split("::")))


def page() -> str:
    """The promises as a table."""
    lines = [f"## {TITLE}", "", "| promise | tests |", "|---|---|"]
    lines += [f"| {promise} | {'<br>'.join(f'`{test}`' for test in tests)} |" for promise, tests in PROMISES.items()]
    return "\n".join(lines) + "\n"


def _is_there(path: str, name: str) -> bool:
    return re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE) is not None

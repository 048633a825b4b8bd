"""What is looked at of an answer that says more, or longer things, than any platform has to say."""

from consumer.core.platform.answer_body import FEWEST_ITEMS
from tests.core.platform.test_answer_body import REPORTED, member, read, rejected


def test_more_items_than_anybody_has_to_say_name_nobody() -> None:
    many: list[object] = [{"customData": "order-2"}] * FEWEST_ITEMS
    reading = read(*many, {"customData": "order-1"})
    assert (rejected(reading), reading.reason) == ([2], REPORTED)
    assert (rejected(read(*many[1:], {"customData": "order-1"})), reading.reason) == ([1, 2], REPORTED)


def test_a_number_longer_than_any_phone_is_found_as_it_was_sent() -> None:
    members = [member(1, phone="6 0 0 " * 20), member(2, phone="7 0 0 " * 20)]
    assert rejected(read({"phoneNumber": "7 0 0 " * 20}, members=members)) == [2]

"""The outbox: bounded, ordered, sent again after a loss."""

from mqtt_outbox import ACKED, DROPPED, SENT, WAITING, Message, Outbox


def add(outbox, name, *, qos=1, retain=False, telemetry=False):
    message = Message(name, b"", qos, retain, telemetry)
    outbox.add(message)
    return message


def take_all(outbox):
    taken = []
    while (message := outbox.take()) is not None:
        taken.append(message)
    return taken


def test_messages_leave_in_order_with_distinct_ids():
    outbox = Outbox()
    messages = [add(outbox, str(number)) for number in range(5)]
    assert take_all(outbox) == messages
    assert len({message.pid for message in messages}) == 5


def test_window_holds_back_until_acknowledged():
    outbox = Outbox()
    messages = [add(outbox, str(number)) for number in range(12)]
    assert take_all(outbox) == messages[:8]
    outbox.acknowledge(messages[3].pid)
    assert messages[3].state == ACKED
    assert take_all(outbox) == [messages[8]]


def test_oldest_telemetry_is_dropped_and_counted():
    outbox = Outbox()
    reply = add(outbox, "reply")
    telemetry = [add(outbox, str(number), telemetry=True) for number in range(11)]
    assert [message.state for message in telemetry[:3]] == [DROPPED] * 3
    assert outbox.dropped == 3
    assert take_all(outbox) == [reply, *telemetry[3:10]]


def test_telemetry_goes_before_anything_else_when_full():
    outbox = Outbox()
    replies = [add(outbox, f"r{number}") for number in range(20)]
    telemetry = [add(outbox, f"t{number}", telemetry=True) for number in range(4)]
    more = [add(outbox, f"m{number}") for number in range(5)]
    assert all(message.state == DROPPED for message in telemetry)
    assert [message.state for message in replies] == [DROPPED] + [WAITING] * 19
    assert all(message.state == WAITING for message in more)
    assert len(outbox) == 24


def test_t06_unacknowledged_goes_again_with_dup_and_same_id():
    outbox = Outbox()
    first, second = add(outbox, "1"), add(outbox, "2")
    assert outbox.take() is first
    pid = first.pid
    outbox.rewind()
    assert (first.state, first.dup, second.dup, outbox.resent) == (WAITING, True, False, 1)
    assert take_all(outbox) == [first, second]
    assert first.pid == pid


def test_retained_and_qos0_are_not_sent_again():
    outbox = Outbox()
    kept = add(outbox, "kept")
    state = add(outbox, "state", retain=True)
    add(outbox, "qos0", qos=0)
    outbox.rewind()
    assert take_all(outbox) == [kept]
    assert state.state == DROPPED


def test_presence_goes_before_what_was_left():
    outbox = Outbox()
    left = add(outbox, "left")
    fresh = []
    outbox.put_first(lambda: fresh.append(add(outbox, "online")))
    assert take_all(outbox) == [*fresh, left]


def test_qos0_is_gone_once_taken():
    outbox = Outbox()
    message = add(outbox, "x", qos=0)
    assert outbox.take() is message
    assert (message.state, message.pid, len(outbox)) == (SENT, 0, 0)


def test_unknown_acknowledgement_is_ignored():
    outbox = Outbox()
    message = add(outbox, "x")
    outbox.acknowledge(1)
    outbox.take()
    outbox.acknowledge(999)
    assert message.state == SENT


def test_packet_ids_wrap_and_skip_those_in_use():
    outbox = Outbox()
    message = add(outbox, "x")
    outbox.take()
    seen = [outbox.new_pid() for _ in range(65535)]
    assert message.pid not in seen
    assert min(seen) >= 1
    assert max(seen) == 65535

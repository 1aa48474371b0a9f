import random

from moteye.link.acks import AckQueue


def test_acknowledgements_leave_in_the_order_of_arrival():
    sent = []
    queue = AckQueue(sent.extend, lambda call: call())
    done = [queue.expect(number) for number in range(50)]
    random.Random(3).shuffle(done)
    for position, acknowledge in enumerate(done):
        acknowledge()
        acknowledge()
        assert sent == list(range(len(sent))), position
    assert sent == list(range(50))


def test_a_closed_session_acknowledges_nothing():
    sent = []
    queue = AckQueue(sent.extend, lambda call: call())
    done = queue.expect(1)
    queue.close()
    done()
    assert sent == []

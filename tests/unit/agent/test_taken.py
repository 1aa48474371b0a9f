import random

from moteye.core.seen import Observation
from moteye.taken import LAG_FRAMES, LAG_S, Taken


def test_a_start_after_a_kill_knows_every_frame_that_was_recorded():
    for seed in range(20):
        draw = random.Random(seed)
        now_s = [0.0]
        taken = Taken(lambda now_s=now_s: now_s[0])
        rows, recorded, sessions, numbers = {}, [], {}, {}
        for _ in range(draw.randint(1, 60)):
            for _ in range(draw.randint(1, 300)):
                device = f"cam{draw.randint(0, 5)}"
                if draw.random() < 0.02:  # a device that lost its counter begins at 1 again
                    sessions[device] = draw.choice([1, sessions.get(device, 0) + 1])
                    numbers[device] = 0
                session = sessions.setdefault(device, 1)
                number = max(0, numbers.get(device, 0) - draw.choice([0, 0, 0, 3, 70]))
                numbers[device] = max(numbers.get(device, 0), number) + draw.choice([1, 1, 2])
                if taken.take(Observation(device, session, number, number, 0)):
                    recorded.append((device, session, number))
            now_s[0] += draw.choice([0.01, 0.01, LAG_S])
            rows |= taken.rows(0)
        again = Taken()
        again.restore(rows, recorded[-2 * LAG_FRAMES :])
        every = Taken()
        every.restore({}, recorded)
        for device in sessions:
            assert again._windows[device] == taken._windows[device] == every._windows[device]
        last = {device: (session, number) for device, session, number in recorded}
        for device, (session, number) in last.items():
            assert not again.take(Observation(device, session, number, number, 0))


def test_rows_are_written_for_what_is_new_and_for_the_rest_now_and_then():
    now_s = [0.0]
    taken = Taken(lambda: now_s[0])
    taken.take(Observation("a", 1, 0, 0, 0))
    taken.offset_is("a", -5)
    assert taken.rows(100) == {"a": (1, "0:1", 95)}
    taken.take(Observation("a", 1, 1, 1, 0))
    taken.take(Observation("b", 4, 0, 0, 0))
    assert taken.rows(0) == {"b": (4, "0:1", None)}
    assert taken.rows(0) == {}
    now_s[0] = LAG_S
    assert taken.rows(0) == {"a": (1, "1:3", -5), "b": (4, "0:1", None)}
    for number in range(LAG_FRAMES):
        taken.take(Observation("a", 1, 2 + number, 0, 0))
    assert set(taken.rows(0)) == {"a"}
    taken.take(Observation("b", 4, 1, 1, 0))
    assert taken.rows(0, every=True) == {"b": (4, "1:3", None)}

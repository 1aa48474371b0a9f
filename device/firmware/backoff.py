# How long to wait before the next connect: full jitter, doubling, with a cap (T17).
#
# Seeded by the device's id, so that devices which lose one broker together do not come back
# together, and one device's waits can be predicted in a test.
import binascii


class Backoff:
    def __init__(self, seed, base_ms=1000, cap_ms=30000):
        self._base_ms = base_ms
        self._cap_ms = cap_ms
        self._random = binascii.crc32(seed.encode()) or 1
        self.attempts = 0

    # The next wait in ms, 0..min(cap, base x 2^attempts).
    def next_ms(self):
        window = min(self._cap_ms, self._base_ms << min(self.attempts, 16))
        self.attempts += 1
        # xorshift32
        x = self._random
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._random = x
        return x % (window + 1)

    # Only a session that stayed healthy starts the count again: an accepted connect proves nothing,
    # since two clients of one id are both accepted, for ever (T04).
    def reset(self):
        self.attempts = 0

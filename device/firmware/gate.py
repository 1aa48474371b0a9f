# Which frames are worth a message. Pure: similarity and time go in, a reason or None comes out.
#
#   first      nothing was published yet
#   change     the frame is less like the last published one than the threshold
#   settle     one of the next frames after first or change: the host decides over several frames
#   heartbeat  nothing was published for so long


class Gate:
    # change_below_q8: cosine x 256; settle_frames: how many frames follow a change.
    def __init__(self, change_below_q8, settle_frames, heartbeat_ms):
        self._change_below_q8 = change_below_q8
        self._settle_frames = settle_frames
        self._heartbeat_ms = heartbeat_ms
        self._left = 0
        self._last_ms = None

    # sim_q8 is the similarity to the frame that was published last; any number before the first.
    # A reason means that the caller publishes: the frame is the one to compare with from now on.
    def decide(self, sim_q8, now_ms):
        if self._last_ms is None:
            why = "first"
        elif sim_q8 < self._change_below_q8:
            why = "change"
        elif self._left > 0:
            self._left -= 1
            self._last_ms = now_ms
            return "settle"
        elif now_ms - self._last_ms >= self._heartbeat_ms:
            self._last_ms = now_ms
            return "heartbeat"
        else:
            return None
        self._left = self._settle_frames
        self._last_ms = now_ms
        return why

# The states of a swap: every change of state is in this table, and nowhere else.
#
#   idle ── begin ─▶ receiving ── whole ─▶ verified ── try ─▶ trial ── pass ─▶ confirmed
#                       │ refuse              │ refuse          │ fail
#                       ▼                     ▼                 ▼
#                    refused               refused          reverted
#
#   idle, confirmed, refused and reverted differ in what they tell; each takes the next `begin`.
#   `have`: the announced set is the one in use. `abort` forgets what was received.
#   An event that is not in the table is an error of the caller, and changes nothing.
TABLE = {
    ("receiving", "begin"): "receiving",
    ("receiving", "chunk"): "receiving",
    ("receiving", "whole"): "verified",
    ("receiving", "refuse"): "refused",
    ("receiving", "abort"): "idle",
    ("verified", "try"): "trial",
    ("verified", "refuse"): "refused",
    ("trial", "pass"): "confirmed",
    ("trial", "fail"): "reverted",
}
for _state in ("idle", "confirmed", "refused", "reverted"):
    TABLE[(_state, "begin")] = "receiving"
    TABLE[(_state, "have")] = "confirmed"

EVENTS = ("begin", "have", "chunk", "whole", "refuse", "abort", "try", "pass", "fail")


class WrongEvent(Exception):
    pass


# The state after an event. Raises WrongEvent where the table has none.
def next_state(state, event):
    after = TABLE.get((state, event))
    if after is None:
        raise WrongEvent("%s in %s" % (event, state))
    return after

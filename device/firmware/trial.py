# What a received set must do before it counts, beside seeing frames and reaching the broker.
from set_layout import canaries, row_embedding, whole_dim

_MAX_SAMPLED = 16


# Rows spread over a set of so many, the first and the last among them.
def sample_rows(count):
    if count <= _MAX_SAMPLED:
        return range(count)
    return [index * (count - 1) // (_MAX_SAMPLED - 1) for index in range(_MAX_SAMPLED)]


# "ok", "canary" where an embedding that the set carries is not answered by the row it names, or
# "self_test" where one of `rows` does not answer to itself. found: the set in use (ActiveSet).
def self_test(found, data, dim, rows):
    code = _canaries(found, data)
    if code != "ok":
        return code
    for row in rows:
        found.prototypes.match(row_embedding(data, row, dim), found.margins)
        if found.margins[row] < found.report_q8:
            return "self_test"
    return "ok"


def _canaries(found, data):
    size = whole_dim(data)
    margins = found.margins
    for row, at in canaries(data):
        found.prototypes.match(data[at : at + size], margins)
        if max(margins) > margins[row]:
            return "canary"
    return "ok"

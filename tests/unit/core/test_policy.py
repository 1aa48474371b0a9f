import pytest
from moteye.core.language import MqttAction, SaveAction, WebhookAction, parse_policy
from moteye.errors import PolicyErrors

GOOD = """\
see: [a potted plant, "no"]
new: true
for: 1m30s
cooldown: 2h
cameras: porch-*
certainty: p >= 0.8
then:
  - log
  - mqtt: home/plant
  - webhook: {url: http://127.0.0.1/x, timeout: 500ms}
  - save: {dir: pictures}
"""

# text, line, column, part of the message, part of the suggestion
BROKEN = [
    ("", 1, 1, "a policy is a map", "see: a cat"),
    ("- a\n", 1, 1, "a policy is a map", ""),
    ("see: [a\n", 2, 1, "expected ',' or ']'", ""),
    ("see: a\n\tthen: x\n", 2, 1, "cannot start any token", ""),
    ("see: a\nsee: b\nthen: [log]\n", 2, 1, "duplicate key", "keep one"),
    ("then: [log]\n", 1, 1, "'see' is missing", "say what to look for"),
    ("see: a\n", 1, 1, "'then' is missing", "then: [log]"),
    ("see: a\nthen: [log]\ncooldwn: 1m\n", 3, 1, "unknown key 'cooldwn'", "did you mean cooldown?"),
    ("see: a\nthen: [log]\nweather: dry\n", 3, 1, "unknown key 'weather'", "known here"),
    ("see: 12\nthen: [log]\n", 1, 6, "12 is not a phrase", "quotes"),
    ("see: [a, 1.5]\nthen: [log]\n", 1, 6, "1.5 is not a phrase", "quotes"),
    ("see: []\nthen: [log]\n", 1, 6, "one to 64 phrases", "for example"),
    ('see: "  "\nthen: [log]\n', 1, 6, "1 to 120 characters", ""),
    ("see: a\nthen: [log]\ncooldown: 10\n", 3, 11, "needs a unit", "10s"),
    ("see: a\nthen: [log]\nfor: 12:30\n", 3, 6, "not a duration", "1m30s"),
    ("see: a\nthen: [log]\nfor: -5s\n", 3, 6, "not a duration", ""),
    ("see: a\nthen: [log]\ncertainty: shure\n", 3, 12, "not a certainty", "did you mean sure?"),
    ("see: a\nthen: [log]\ncertainty: p >= 1.5\n", 3, 12, "not a certainty", "p >= 0.8"),
    ("see: a\nthen: [log]\nnew: yes\n", 3, 6, "neither true nor false", "true or false"),
    ("see: a\nthen: [log]\ncameras: []\n", 3, 10, "empty", "leave the key out"),
    ("see: a\nthen: [log]\ncameras: [1]\n", 3, 11, "not a text", "quotes"),
    ("see: a\nthen: [log]\nname: Bad Name\n", 3, 7, "not a name", "lower-case"),
    ("see: a\nthen: log\n", 2, 7, "a list of actions", "then: [log]"),
    ("see: a\nthen: []\n", 2, 7, "empty", ""),
    ("see: a\nthen: [lgo]\n", 2, 8, "unknown action 'lgo'", "did you mean log?"),
    ("see: a\nthen:\n  - 5\n", 3, 5, "not an action", ""),
    ("see: a\nthen:\n  - mqtt: {topc: a}\n", 3, 12, "unknown key 'topc'", "did you mean topic?"),
    ("see: a\nthen:\n  - mqtt: a/#\n", 3, 11, "not a topic", "without + and #"),
    ("see: a\nthen:\n  - webhook: ftp://x\n", 3, 14, "not a web address", "https://"),
    ("see: a\nthen:\n  - webhook: {url: http://a, timeout: 5}\n", 3, 39, "needs a unit", "5s"),
    ("see: a\nthen:\n  - save\n", 3, 5, "'dir' is missing", "save: alerts"),
    ("see: a\nthen: [{log: x, save: y}]\n", 2, 8, "not an action", ""),
    ("see: {not: a}\nthen: [log]\n", 1, 6, "`not` alone", "any: or all:"),
    ("see: {any: a, nott: b}\nthen: [log]\n", 1, 15, "unknown key 'nott'", "did you mean not?"),
    ("see: {any: a, not: a}\nthen: [log]\n", 1, 6, "'a' stands in two", "keep one"),
    ("see: {any: 5}\nthen: [log]\n", 1, 12, "5 is not a phrase", "quotes"),
    ("see: {all: []}\nthen: [log]\n", 1, 12, "one to 64 phrases", "for example"),
    ("see: a\nthen: [log]\ngone: 10\n", 3, 7, "needs a unit", "10m"),
    ("see: a\nthen: [log]\nnew: true\ngone: 9m\n", 1, 1, "`gone` does not go", "gone: 10m alone"),
    ("see: a\nthen: [log]\ninstant: 1\n", 3, 10, "neither true nor false", "true or false"),
    ("see: a\nthen: [log]\ninstant: true\nfor: 3s\n", 1, 1, "`instant` does not go", "leave one"),
    ("see: a\nthen: [log]\ndefer: true\n", 1, 1, "`defer` needs a `while`", "while: {time"),
    ("see: a\nthen: [log]\nwhile: 22:00-06:00\n", 3, 8, "a map is wanted", "zone: Europe/"),
    ("see: a\nthen: [log]\nwhile: {time: 22:30, zone: UTC}\n", 3, 15, "no time window", "06:00"),
    ("see: a\nthen: [log]\nwhile: {time: 1350, zone: UTC}\n", 3, 15, "no time window", "06:00"),
    ("see: a\nthen: [log]\nwhile: {time: 22:00-06:00}\n", 3, 8, "`zone` is missing", "Berlin"),
    ("see: a\nthen: [log]\nwhile: {zone: Europe/Belin}\n", 3, 15, "unknown time zone", "Berlin?"),
    ("see: a\nthen: [log]\nwhile: {zone: UTC, days: mo}\n", 3, 26, "'mo' is not a day", "mon-fri"),
    ("see: a\nthen: [log]\nwhile: {sun: up}\n", 3, 8, "`place` is missing", "latitude"),
    (
        "see: a\nthen: [log]\nwhile: {sun: dawn, place: [1, 2]}\n",
        3,
        14,
        "neither up nor",
        "sun: up",
    ),
    ("see: a\nthen: [log]\nwhile: {sun: up, place: [91, 2]}\n", 3, 25, "not a place", "52.5"),
    ("see: a\nthen: [log]\nwhile: {}\n", 3, 8, "nothing said", "days, time or sun"),
    ("see: a\nthen: [log]\nwhile: {zone: UTC, tme: x}\n", 3, 20, "'tme'", "did you mean time?"),
]


def test_every_key_is_read():
    policy = parse_policy(GOOD, "p.yaml", "p")
    assert policy.name == "p"
    assert policy.see == ["a potted plant", "no"]
    assert (policy.new, policy.hold_s, policy.cooldown_s, policy.certainty) == (True, 90, 7200, 0.8)
    assert policy.watches("porch-1")
    assert not policy.watches("kitchen")
    kinds = [action.kind for action in policy.then]
    assert kinds == ["log", "mqtt", "webhook", "save"]
    assert isinstance(policy.then[1], MqttAction)
    assert isinstance(policy.then[2], WebhookAction)
    assert policy.then[2].timeout == 0.5
    assert isinstance(policy.then[3], SaveAction)


def test_phrases_of_any_all_and_not_stay_apart():
    text = "see: {any: [a, b], all: c, not: d}\nthen: [log]\n"
    policy = parse_policy(text, "p", "p")
    assert (policy.any_of, policy.all_of, policy.none_of) == (["a", "b"], ["c"], ["d"])
    assert policy.phrases == ["a", "b", "c", "d"]


def test_t40_times_are_texts_and_days_are_words():
    text = "see: a\nwhile: {days: [fri-mon], time: [22:30-06:00, '09:30 - 24:00'], zone: UTC}\n"
    hours = parse_policy(text + "then: [log]\n", "p", "p").hours
    assert hours.days == ["mon", "fri", "sat", "sun"]
    assert hours.time == ["22:30-06:00", "09:30-24:00"]


def test_plain_words_stay_words():
    """YAML 1.2: `no`, `on` and `off` are no booleans."""
    for word in ("no", "on", "off", "yes", "y"):
        assert parse_policy(f"see: {word}\nthen: [log]\n", "p", "p").see == [word]


@pytest.mark.parametrize(("text", "line", "column", "message", "suggestion"), BROKEN)
def test_each_mistake_is_named_where_it_is(text, line, column, message, suggestion):
    with pytest.raises(PolicyErrors) as caught:
        parse_policy(text, "p.yaml", "p")
    problems = caught.value.problems
    found = next((p for p in problems if message in p.message), None)
    assert found is not None, caught.value
    assert (found.line, found.column) == (line, column), str(found)
    assert suggestion in found.suggestion, str(found)
    assert str(found).startswith(f"p.yaml:{line}:{column}: ")


def test_all_mistakes_of_a_file_are_told_at_once():
    with pytest.raises(PolicyErrors) as caught:
        parse_policy("see: 1\ncooldown: 3\nthen: [lgo]\nextra: 1\n", "p.yaml", "p")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3, 4]

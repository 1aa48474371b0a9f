from moteye.core.language import MqttAction, SaveAction, WebhookAction, parse_policy

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

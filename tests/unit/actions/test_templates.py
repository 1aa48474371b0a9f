"""Templates: what data may hold, what templates may do, and their limits."""

import time
from dataclasses import replace

import pytest
from moteye.actions.alert import MAX_CHARS, Alert
from moteye.core.language import LogAction, NotifyAction, parse_policy
from moteye.errors import ActionError, PolicyErrors

ALERT = Alert("i", "p", "cam", "a plant", 0.9, 1, 1, "t", 1)
PAYLOADS = [
    "{{ 7*7 }}",
    "{% for a in range(9) %}x{% endfor %}",
    "{# hidden #}",
    "{{ ''.__class__.__mro__ }}",
    "${HOME} $(id) `id`",
    "%s %(x)s {0} {camera}",
    "</script><script>alert(1)</script>",
    "line\nbreak\x00and\x1b[31mmore",
    "🌵{{ config }}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_t42_data_is_never_a_template(payload):
    alert = replace(ALERT, camera=payload, phrase=payload)
    assert alert.render("{{ camera }}|{{ phrase }}") == f"{payload}|{payload}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ camera.__class__.__mro__ }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% for a in range(1000000000) %}{% endfor %}",
        "{{ lipsum() }}",
        "{% include '/etc/passwd' %}",
        "{{ phrase|center(1000000000) }}",
        "{{ nope }}",
        "{{",
        "{{ phrase" + "|upper" * 100 + " }}",
    ],
)
def test_t42_templates_that_reach_out_or_break_are_refused_with_the_policy(template):
    with pytest.raises(ActionError):
        ALERT.render(template)
    text = "see: x\nthen:\n  - log: |-\n      " + template
    with pytest.raises(PolicyErrors) as caught:
        parse_policy(text, "p.yaml", "p")
    assert caught.value.problems[0].line in (3, 4)


def test_t42_a_text_times_a_number_is_refused():
    with pytest.raises(ActionError, match="for numbers"):
        ALERT.render("{{ phrase * 1000000000 }}")


def test_t42_a_template_gives_at_most_64_kib():
    alert = replace(ALERT, phrase="x" * 1000, alerts=[{}] * 100)
    assert len(alert.render("{{ phrase }}" * 60)) == 60_000
    with pytest.raises(ActionError, match="65,536"):
        alert.render("{% for a in alerts %}{{ phrase }}{% endfor %}")
    assert MAX_CHARS == 65536


def test_t42_a_template_takes_at_most_a_second(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr("moteye.actions.alert.time.monotonic", lambda: float(next(ticks)))
    with pytest.raises(ActionError, match="longer than 1 s"):
        ALERT.render("{{ phrase }} {{ phrase }}")


def test_t42_the_longest_template_there_may_be_is_filled_in_within_a_second_of_work():
    longest = ("{{ phrase" + "|upper|lower" * 3 + " }}") * 160
    ALERT.render(longest)  # compiled, as the agent does at its first alert
    began = time.process_time()
    replace(ALERT, phrase="x" * 400).render(longest)
    assert time.process_time() - began < 1


def test_the_texts_that_come_without_a_template_say_what_is_known():
    alert = Alert("1", "p", "hall", "a change of the scene", None, 3.2, 3.0, "09:00", 7)
    body = NotifyAction(to=["phone"]).body
    assert alert.render(LogAction().message) == "a change of the scene on hall"
    assert alert.render(body) == "p, 09:00"
    said = replace(alert, probability=0.9).saying("a cat on a table", 1.5)
    assert said.render(LogAction().message).endswith("on hall, probability 0.9")
    assert said.render(body) == "p, 09:00, probability 0.9: a cat on a table"
    assert (said.caption, said.caption_age_s) == ("a cat on a table", 1.5)
    assert alert.saying("", None) is alert

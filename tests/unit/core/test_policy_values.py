"""Variables, includes, templates and the traps of YAML."""

import pytest
from moteye.core.language import parse_file, parse_policy, pieces
from moteye.core.language.places import Zone
from moteye.core.language.source import load_yaml
from moteye.core.language.templates import EVENT_NAMES, check_template
from moteye.errors import PolicyErrors

# A scalar as it stands in the file, and what `see` makes of it unquoted: a phrase, or the reason
# why it is none. In quotes every one of them is the phrase.
SCALARS = {
    "no": "no",
    "No": "No",
    "NO": "NO",
    "yes": "yes",
    "y": "y",
    "n": "n",
    "on": "on",
    "off": "off",
    "On": "On",
    "OFF": "OFF",
    "true": "True is not a phrase",
    "True": "True is not a phrase",
    "TRUE": "True is not a phrase",
    "false": "False is not a phrase",
    "null": "None is not a phrase",
    "Null": "None is not a phrase",
    "~": "None is not a phrase",
    "1": "1 is not a phrase",
    "-1": "-1 is not a phrase",
    "+1": "1 is not a phrase",
    "007": "7 is not a phrase",
    "0o17": "15 is not a phrase",
    "0x1F": "31 is not a phrase",
    "1.5": "1.5 is not a phrase",
    ".5": "0.5 is not a phrase",
    "1e3": "1000.0 is not a phrase",
    "1E3": "1000.0 is not a phrase",
    ".inf": "inf is not a phrase",
    ".nan": "nan is not a phrase",
    "1_000": "1000 is not a phrase",
    "12:30": "12:30",
    "22:30": "22:30",
    "10:00": "10:00",
    "09:30": "09:30",
    "1:2:3": "1:2:3",
    "2026-11-21": "2026-11-21",
    "2026-11-21T10:00:00Z": "2026-11-21T10:00:00Z",
    "a cat": "a cat",
    "Ω": "Ω",
    "<<": "<<",
    "0b11": "3 is not a phrase",
    "=": "=",
}


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_t40_a_scalar_is_what_was_meant_or_an_error_with_its_place(scalar, quote):
    wanted = scalar if quote else SCALARS[scalar]
    text = f"see: {quote}{scalar}{quote}\nthen: [log]\n"
    if wanted.endswith("is not a phrase"):
        with pytest.raises(PolicyErrors) as caught:
            parse_policy(text, "p.yaml", "p")
        assert wanted in str(caught.value)
        assert str(caught.value).startswith("p.yaml:1:6: see: ")
    else:
        assert parse_policy(text, "p.yaml", "p").see == [wanted]


@pytest.mark.parametrize("text", ["22:30", "10:00", "09:30", "1350", "12:34:56"])
def test_t40_a_clock_time_is_no_duration(text):
    with pytest.raises(PolicyErrors, match=r"p.yaml:2:6: for: "):
        parse_policy(f"see: a\nfor: {text}\nthen: [log]\n", "p.yaml", "p")


def files(**texts):
    def read(name, _):
        if name not in texts:
            raise FileNotFoundError(2, "No such file or directory")
        return name, texts[name]

    return read


POLICY = "see: a cat\nthen: [log]\n"


def test_a_variable_alone_may_be_anything_and_within_a_text_it_is_text():
    text = (
        "variables: {night: {time: '22:00-06:00', zone: UTC}, things: [a cat, a dog], room: hall,"
        " n: 3}\nsee: ${things}\nwhile: ${night}\n"
        "then:\n  - mqtt: home/${room}/${n}\n  - log: costs $${n}\n"
    )
    policy = parse_policy(text, "p", "p")
    assert policy.see == ["a cat", "a dog"]
    assert policy.hours.time == ["22:00-06:00"]
    assert policy.then[0].topic == "home/hall/3"
    assert policy.then[1].message == "costs ${n}"


def test_own_names_win_over_included_ones_and_those_over_the_sites():
    read = files(site="variables: {a: site, b: site, c: site}", one="variables: {a: one, b: one}")
    text = "include: one\nvariables: {a: own}\nsee: a\nthen: [{log: '${a} ${b} ${c}'}]\n"
    (found,) = parse_file(text, "p", "p", read, "site")
    assert found.policy.then[0].message == "own one site"


def test_a_mistake_in_a_variable_of_an_included_file_is_told_there():
    read = files(common="variables:\n  quiet: {time: 25:00-26:00, zone: UTC}\n")
    with pytest.raises(PolicyErrors) as caught:
        parse_file(f"include: common\nwhile: ${{quiet}}\n{POLICY}", "p.yaml", "p", read)
    assert str(caught.value).startswith("common:2:17: time: '25:00-26:00' is no time window")


def test_variables_of_variables_and_groups_with_variables():
    text = "variables: {a: '${b}', b: door}\ngroups: {front: ['${a}', porch]}\ncameras: front\n"
    policy = parse_policy(text + POLICY, "p", "p")
    assert policy.watches("door")
    assert policy.watches("porch")
    assert not policy.watches("front")


def test_a_file_of_definitions_alone_has_no_policies():
    assert parse_file("variables: {a: b}\n", "p", "p") == []


def test_aliases_within_a_file_keep_their_value():
    text = "see: &cat [a cat]\nthen: [log]\n"
    assert parse_policy(text, "p", "p").see == ["a cat"]
    source = load_yaml("a: &x {b: 1}\nc: *x\n", "p")
    assert source.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert source.place(("c", "b")).line == 1


@pytest.mark.parametrize(
    ("x", "y", "inside"),
    [(2000, 2000, True), (100, 100, False), (4000, 2000, False), (2000, 600, False)],
)
def test_a_point_is_in_a_polygon_with_a_dent_whichever_way_it_is_named(x, y, inside):
    corners = [[0.1, 0.1], [0.5, 0.4], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
    for polygon in (corners, corners[::-1]):
        assert Zone(polygon=polygon).holds(x, y) is inside


VALUES = dict.fromkeys(EVENT_NAMES, "x") | {"alerts": [{"camera": "a"}, {"camera": "b"}]}
HOSTILE = [
    "{{ 7 * 7 }}",
    "{% for x in range(10**9) %}x{% endfor %}",
    "{{ ''.__class__.__mro__ }}",
    "${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "%s%n{0}{0.__class__}",
    "'; DROP TABLE outbox; --",
    "$(reboot) `reboot` | reboot",
]


@pytest.mark.parametrize("payload", HOSTILE)
@pytest.mark.parametrize("name", ["phrase", "camera", "policy"])
def test_t42_data_is_never_a_template(name, payload):
    template = f"a {{{{ {name} }}}} b"
    assert "".join(pieces(template, VALUES | {name: payload})) == f"a {payload} b"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ range(10) }}",
        "{{ phrase.format(phrase) }}",
        "{{ ''.__class__ }}",
        "{{ phrase['__class__'] | attr('x') }}",
        "{% for a in alerts %}{% for b in alerts %}x{% endfor %}{% endfor %}",
        "{% for x in phrase %}{% endfor %}",
        "{% set x = 1 %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% macro m() %}{% endmacro %}",
        "{% raw %}{% endraw %}{% call x() %}{% endcall %}",
        "{{ self }}",
        "{{ lipsum() }}",
        "{{ cycler }}",
        "{{ namespace }}",
        "{{ '%99999d' | format(1) }}",
        "{{ phrase | center(99999) }}",
        "{{ phrase | replace('', phrase) }}",
        "{{ phrase | xmlattr }}",
        "{{ alerts | map('upper') }}",
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "x" * 9000,
    ],
)
def test_t42_what_could_run_long_or_grow_large_or_reach_out_is_refused(template):
    with pytest.raises(ValueError, match=r".+"):
        check_template(template)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ phrase | upper }} {{ (probability * 100) | round | int }} %", "X 81 %"),
        ("{% if probability > 0.5 %}sure{% else %}maybe{% endif %}", "sure"),
        ("{% for a in alerts %}{{ loop.index }}{{ a.camera }}{% endfor %}", "1a2b"),
        ("{{ camera ~ '/' ~ phrase }}", "x/x"),
        ("{{ picture | default('none', true) }}", "none"),
        ("{{ alerts | join(' and ', attribute='camera') }}", "a and b"),
    ],
)
def test_t42_what_a_message_needs_is_allowed(template, text):
    check_template(template)
    values = VALUES | {"probability": 0.81, "picture": None}
    assert "".join(pieces(template, values)) == text


def test_t42_a_text_times_a_number_is_refused_when_it_is_filled_in():
    with pytest.raises(ValueError, match="for numbers"):
        "".join(pieces("{{ phrase * 1000 }}", VALUES))

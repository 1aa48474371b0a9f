import asyncio
from pathlib import Path

import jsonschema
import pytest
from moteye import policies
from moteye.errors import PolicyErrors
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
GOOD = "see: a cat\nthen: [log]\n"


def test_all_or_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("sea: x\n")
    (tmp_path / "c.yml").write_text("see: 1\nthen: [log]\n")
    (tmp_path / "ignored.txt").write_text("not a policy")
    with pytest.raises(PolicyErrors) as caught:
        policies.load(tmp_path)
    assert {Path(problem.path).name for problem in caught.value.problems} == {"b.yaml", "c.yml"}


def test_two_policies_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("name: same\n" + GOOD)
    (tmp_path / "b.yaml").write_text("name: same\n" + GOOD)
    with pytest.raises(PolicyErrors, match="is taken by"):
        policies.load(tmp_path)


def test_one_file_may_speak_of_the_policies_beside_it(tmp_path):
    waits = "see: a dog\nwhile: {policy: {name: walker, is: absent}}\nthen: [log]\n"
    (tmp_path / "dog.yaml").write_text(waits)
    (tmp_path / "broken.yaml").write_text("sea: x\n")
    with pytest.raises(PolicyErrors, match="no policy is called 'walker'"):
        policies.load(tmp_path / "dog.yaml")
    (tmp_path / "walker.yaml").write_text(GOOD)
    assert [policy.name for policy in policies.load(tmp_path / "dog.yaml")] == ["dog"]
    (tmp_path / "walker.yaml").write_text("name: dog\n" + GOOD)
    with pytest.raises(PolicyErrors, match="no policy is called 'walker'"):
        policies.load(tmp_path / "dog.yaml")


def test_a_missing_folder_and_a_binary_file_are_named(tmp_path):
    with pytest.raises(PolicyErrors, match="no such file or folder"):
        policies.load(tmp_path / "none")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyErrors, match="cannot be read"):
        policies.load(tmp_path)


async def test_watch_tells_changes_and_mistakes_once(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    seen: asyncio.Queue = asyncio.Queue()

    async def watch():
        async for found in policies.watch(tmp_path):
            await seen.put(found)

    task = asyncio.create_task(watch())
    # The watcher gives no sign when it has begun: touch a file until it notices.
    while seen.empty():
        (tmp_path / "b.yaml").write_text(GOOD)
        await asyncio.sleep(0.1)
    assert [policy.name for policy in await seen.get()] == ["a", "b"]
    (tmp_path / "b.yaml").write_text("sea: x\n")
    async with asyncio.timeout(10):
        while not isinstance(found := await seen.get(), PolicyErrors):
            pass
    assert "b.yaml:1:1" in str(found)
    (tmp_path / "b.yaml").unlink()
    async with asyncio.timeout(10):
        assert [policy.name for policy in await seen.get()] == ["a"]
    task.cancel()


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_policies_fit_the_language_and_the_schema(path):
    import json

    schema = json.loads((ROOT / "policies" / "policy.schema.json").read_text())
    document = YAML(typ="safe").load(path)
    jsonschema.validate(document, schema)
    assert len(policies.load(path)) == 1


@pytest.mark.parametrize("text", ["sea: x\nthen: [log]", "see: a\nthen: [lgo]", "see: a\nfor: 5"])
def test_the_schema_refuses_what_the_language_refuses(text):
    import json

    schema = json.loads((ROOT / "policies" / "policy.schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(YAML(typ="safe").load(text), schema)

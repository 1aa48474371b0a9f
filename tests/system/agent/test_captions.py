"""Captions of a real device on their way into the agent's recording."""

from moteye.store import Store
from support.live import device, free_port, listening, running_agent, scene, write_policy


async def test_captions_are_recorded(tmp_path):
    port, url = free_port(), f"sqlite:///{tmp_path / 'moteye.db'}"
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    camera = scene(tmp_path, ("skimage:chelsea", 60))
    async with (
        running_agent(policies, port=port, embedded=True, store=url),
        listening(port) as heard,
        device(port, camera, tmp_path, settings={"captions": {"enabled": True}}),
    ):
        await heard.until(lambda: heard.of("cam", "caption"), "a caption")
        told = heard.of("cam", "caption")[0]
        arrived = len(heard.of("cam", "embedding"))
        await heard.until(lambda: len(heard.of("cam", "embedding")) > arrived, "a frame more")
    found = Store(url, read_only=True).captions()[0]
    assert (found.data.decode(), found.frame, found.encoder) == (told.text, told.frame, told.model)
    assert (found.device, found.session) == ("cam", told.s)

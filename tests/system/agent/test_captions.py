"""Captions of a real device on their way into the agent's recording."""

from moteye.store import Store
from support.command import moteye
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


async def test_a_device_says_what_it_sees_when_asked(mosquitto, tmp_path):
    camera = scene(tmp_path, ("skimage:chelsea", 600))
    captions = {"captions": {"enabled": True, "on_change": False}}
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    async with device(mosquitto.port, camera, tmp_path, settings=captions):
        async with listening(mosquitto.port) as heard:
            await heard.until(lambda: heard.of("cam", "embedding"), "a frame")
            said = await moteye("devices", "describe", "cam", "--broker", url)
            await heard.until(lambda: heard.of("cam", "caption"), "a caption")
        told = heard.of("cam", "caption")[0]
    assert said == (0, [told.text], "")
    assert told.why == "asked"


async def test_who_cannot_say_what_it_sees(mosquitto, tmp_path):
    camera = scene(tmp_path, ("skimage:chelsea", 600))
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    async with listening(mosquitto.port) as heard:
        async with device(mosquitto.port, camera, tmp_path):
            await heard.until(lambda: heard.of("cam", "embedding"), "a frame")
            code, _, told = await moteye("devices", "describe", "cam", "--broker", url)
            assert (code, "captions: {enabled: true}" in told) == (1, True)
        code, _, told = await moteye("devices", "describe", "attic", "--broker", url)
        assert (code, told) == (
            1,
            "error: no device 'attic' on this broker: `moteye devices list`\n",
        )
        code, _, told = await moteye("devices", "describe", "cam", "--broker", url)
        assert (code, told) == (1, "error: cam is stopped\n")

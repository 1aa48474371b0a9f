"""T67: how many topics a device has, and what it leaves on the broker, whatever it looks for."""

import aiomqtt
import pytest
from moteye_protocol.prototype_set import set_hash
from support.live import until
from system.device.device_bench import DEVICE, prototype_set

MOST_TOPICS = 12
MOST_RETAINED_BYTES = 32 * 1024


@pytest.mark.parametrize("rows", [5, 500])
async def test_t67_topics_and_retained_bytes_do_not_grow_with_classes(
    broker, make_device, host, encoder_hash, rows
):
    data = prototype_set(encoder_hash, rows=rows)
    async with make_device(frames=True):
        await host.next("birth")
        await host.begin(data)
        await host.send_chunks(data)
        await host.next("set_state", lambda state: state.state == "confirmed")
        await host.next("detections", lambda found: found.set == set_hash(data))
        retained, topics = {}, {name for name, _, _ in host.messages}
        async with aiomqtt.Client("127.0.0.1", broker.port) as late:
            await late.subscribe(f"moteye/v1/{DEVICE}/#", 1)

            async def listen():
                message = await anext(late.messages)
                if message.retain:
                    retained[str(message.topic)] = len(message.payload)
                return not message.retain  # what is live comes after all that is retained

            while not await listen():
                pass
        await until(lambda: len(retained) >= 3, "status, birth and set/state")
    assert len(topics | set(retained)) <= MOST_TOPICS
    assert sum(retained.values()) <= MOST_RETAINED_BYTES

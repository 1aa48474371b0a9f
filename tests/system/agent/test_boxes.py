"""Where things stand, with real parts: the device's boxes, zones and counts in the agent."""

import numpy as np
from moteye.camera.sources import read_photo
from moteye.core.found import BoxFinder
from moteye.core.scoring import dims_of
from moteye.imaging import ImageEncoder
from moteye.resources import model_dir
from moteye_protocol.boxes import unpack_boxes
from moteye_protocol.wire import BOX_GRID
from support.live import device, free_port, listening, running_agent, scene, sklearn_photo
from support.live import write_policy as policy

PLANT = "see: [a plant, a potted plant, a flower]\nthen: [log]\n"
ZONE = "in: {{cameras: cam, polygon: {}}}\n"
BELOW = ZONE.format("[[0.2, 0.7], [0.8, 0.7], [0.8, 1], [0.2, 1]]")
ABOVE = ZONE.format("[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]")


async def test_a_plant_is_boxed_and_alerts_where_it_stands(tmp_path):
    port, folder = free_port(), tmp_path / "policies"
    policy(folder, "below", PLANT + BELOW)
    policy(folder, "above", PLANT + ABOVE)
    policies = policy(folder, "many", PLANT + 'count: ">= 9"\n')
    camera = scene(tmp_path, ("skimage:coffee", 2), ("sklearn:flower", 60))
    async with running_agent(policies, port=port, embedded=True) as agent:
        async with (
            listening(port) as heard,
            device(port, camera, tmp_path, settings={"heartbeat_ms": 300}),
        ):
            await heard.until(lambda: heard.alerts, "the alert")
            arrived = len(heard.of("cam", "embedding"))
            await heard.until(
                lambda: len(heard.of("cam", "embedding")) >= arrived + 3, "three heartbeats more"
            )
        built = agent.judge.compiled.built.prototypes
    (alert,) = heard.alerts
    assert alert["policy"] == "below"
    assert alert["probability"] >= 0.8
    told = unpack_boxes(heard.of("cam", "embedding")[-1].boxes)
    best = told[0]
    assert best.left < BOX_GRID // 2 < best.right, "the flower stands in the middle"
    assert best.top < BOX_GRID // 2 < best.bottom
    # The same photo, by the host: the camera's noise moves margins, not what is there.
    encoder = ImageEncoder(model_dir() / "encoder.tflite")
    _, cells = encoder.look(np.asarray(read_photo(sklearn_photo("flower.jpg"))))
    assert dims_of(built)[2] == 64
    ours = BoxFinder(built, 64).find(cells)[0]
    assert np.abs(np.subtract(ours[2:], best[2:])).max() < BOX_GRID // 10

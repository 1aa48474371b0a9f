"""An engine before a camera whose embeddings and margins are made here, for tests of memory."""

import json

import numpy as np
from moteye.core.engine import CompiledPolicy, Engine, Observation
from moteye.core.language import parse_policy
from moteye.core.memory import Memory
from moteye.schedule import calendar_period

DAY_S = 86_400
RNG = np.random.default_rng(0)
SCENE, ONE, TWO = (row / np.linalg.norm(row) for row in RNG.standard_normal((3, 256)))
EMPTY, SOME, MORE = -900, 500, 900  # margins: nothing, one thing, two things


def picture(*parts, light: float = 0.0) -> bytes:
    """The embedding of the scene with some things in it; `light` turns it elsewhere."""
    row = SCENE + sum(parts) + light * np.random.default_rng(7).standard_normal(256) / 16
    return np.rint(127 * row / np.abs(row).max()).astype(np.int8).tobytes()


def compiled(new: str, extra: str = "", name: str = "p") -> CompiledPolicy:
    text = f"see: plant\nthen: [log]\ncooldown: 0s\nnew: {new}\n{extra}"
    policy = parse_policy(text, f"{name}.yaml", name)
    period = calendar_period(policy.new) if "zone" in new else None
    enter_q8 = np.array([0], np.int32)
    return CompiledPolicy(policy, np.array([0]), enter_q8, text + name, memory=name, period=period)


class Camera:
    """Feeds an engine one frame a second."""

    def __init__(self, *policies: CompiledPolicy, device: str = "cam") -> None:
        self.engine = Engine()
        self.engine.replace(policies)
        self.device = device
        self.frame = 0
        self.time_ms = 1_800_000_000_000

    def look(self, margin: int, view: bytes, frames: int = 1, *, infrared: bool = False):
        found = []
        for _ in range(frames):
            self.frame += 1
            self.time_ms += 1000
            where = (self.device, 1, self.frame, self.frame, self.time_ms)
            seen = Observation(*where, embedding=view, infrared=infrared)
            found += self.engine.observe(seen, np.array([margin], np.int16))
        return found

    def wait(self, seconds: float) -> None:
        self.time_ms += int(1000 * seconds)

    def restart(self) -> None:
        """As the agent does: everything that is known goes through the store's form."""
        tracks = self.engine.snapshot()
        plain = {
            place: json.loads(json.dumps(memory.plain()))
            for place, memory in self.engine.novelty.memories.items()
        }
        policies = self.engine.policies
        self.engine = Engine()
        self.engine.replace(policies)
        self.engine.restore(tracks)
        self.engine.novelty.restore(
            {place: Memory.of_plain(memory) for place, memory in plain.items()}
        )
        self.engine.start()


def fired(decisions) -> list[bool]:
    return [decision.fired for decision in decisions]


def why(decisions) -> str:
    (decision,) = decisions
    return next(gate.text for gate in decision.gates if gate.name == "known")

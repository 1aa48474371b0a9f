"""The backgrounds of all cameras, and when and how their calibrations are fitted. Pure."""

from dataclasses import dataclass, field

import numpy as np

from moteye.core.background import CameraCalibration, Reservoir, fit_map
from moteye.core.calibration import threshold
from moteye.core.compile import CompiledSet


@dataclass
class Cameras:
    """A reservoir for each camera; `due` are those to fit again."""

    reservoirs: dict[str, Reservoir] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    _likely: tuple[CompiledSet, dict[str, int]] | None = None

    def saw(self, device: str, embedding: bytes) -> None:
        """One more frame of a camera."""
        reservoir = self.reservoirs.setdefault(device, Reservoir())
        if reservoir.add(embedding):
            self.due.add(device)

    def showed(self, device: str, embedding: bytes) -> None:
        """A frame was told to show what was looked for: it is no background."""
        reservoir = self.reservoirs.get(device)
        if reservoir is not None and embedding in reservoir.rows:
            reservoir.rows.remove(embedding)
            self.due.add(device)

    def fit(self, device: str, compiled: CompiledSet, version: int) -> CameraCalibration:
        """The maps of all phrases for one camera."""
        rows = self.reservoirs[device].embeddings
        margins_q8 = compiled.scorer.margins_q8(rows)
        maps = {}
        for phrase, limit_q8 in self._limits(compiled).items():
            column = compiled.built.prototypes.names.index(phrase)
            bank_q8 = compiled.built.background_q8(column, np.array([column]))
            maps[phrase] = fit_map(bank_q8, margins_q8[:, column], limit_q8)
        return CameraCalibration(device, version, len(rows), maps)

    def _limits(self, compiled: CompiledSet) -> dict[str, int]:
        """The margin of each phrase from which `likely` counts it as seen."""
        if self._likely is None or self._likely[0] is not compiled:
            built = compiled.built
            limits = {
                phrase: threshold(
                    built.background_q8(column, np.array([column])), "likely"
                ).margin_q8
                for column, phrase in enumerate(built.prototypes.names)
            }
            self._likely = compiled, limits
        return self._likely[1]

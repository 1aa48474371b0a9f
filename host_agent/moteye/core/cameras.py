"""The backgrounds of all cameras, and when and how their calibrations are fitted. Pure."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.background import BankShape, CameraCalibration, Reservoir, bank_shape, fit_maps
from moteye.core.calibration import threshold
from moteye.core.compile import CompiledSet


@dataclass
class Cameras:
    """A reservoir for each camera; `due` are those to fit again."""

    reservoirs: dict[str, Reservoir] = field(default_factory=dict)
    due: dict[str, None] = field(default_factory=dict)  # in their order
    _shape: tuple[npt.NDArray[np.int16], BankShape] | None = None

    def saw(self, device: str, embedding: bytes) -> None:
        """One more frame of a camera."""
        reservoir = self.reservoirs.setdefault(device, Reservoir())
        if reservoir.add(embedding):
            self.due[device] = None

    def showed(self, device: str, embedding: bytes) -> None:
        """A frame was told to show what was looked for: it is no background."""
        reservoir = self.reservoirs.get(device)
        if reservoir is not None and embedding in reservoir.rows:
            reservoir.rows.remove(embedding)
            self.due[device] = None

    def take_due(self) -> str | None:
        """The camera that has waited longest to be fitted again; None where none waits."""
        device = next(iter(self.due), None)
        if device is not None:
            del self.due[device]
        return device

    def fit(self, device: str, compiled: CompiledSet, version: int) -> CameraCalibration:
        """The maps of all phrases for one camera."""
        rows = self.reservoirs[device].embeddings
        mult, offset = fit_maps(self._bank(compiled), compiled.scorer.margins_q8(rows))
        names = compiled.built.prototypes.names
        return CameraCalibration(device, version, len(rows), names, mult, offset)

    def prepare(self, compiled: CompiledSet) -> None:
        """Do beforehand what the first `fit` of other policies would take a tenth of a second for.

        May run beside the rest, in a thread.
        """
        self._bank(compiled)

    def _bank(self, compiled: CompiledSet) -> BankShape:
        """What the bank says of the phrases; computed once for each set of policies."""
        shape = self._shape
        if shape is None or shape[0] is not compiled.built.bank_q8:
            built = compiled.built
            backgrounds = [
                built.background_q8(column, np.array([column]))
                for column in range(len(built.prototypes.names))
            ]
            likely = [threshold(one, "likely").margin_q8 for one in backgrounds]
            shape = self._shape = built.bank_q8, bank_shape(backgrounds, likely)
        return shape[1]

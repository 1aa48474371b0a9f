"""The backgrounds of all cameras, and when and how their calibrations are fitted. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.background import (
    BankShape,
    CameraCalibration,
    Reservoir,
    bank_shape,
    fit_maps,
    rows_of_each,
)
from moteye.core.calibration import threshold
from moteye.core.compile import CompiledSet


@dataclass
class Cameras:
    """A reservoir for each camera, of embeddings of its encoder; `due` are those to fit again."""

    reservoirs: dict[str, Reservoir] = field(default_factory=dict)
    encoders: dict[str, bytes] = field(default_factory=dict)
    due: dict[str, None] = field(default_factory=dict)  # in their order
    _shapes: dict[bytes, tuple[npt.NDArray[np.int16], BankShape]] = field(default_factory=dict)

    def saw(self, frames: Iterable[tuple[str, bytes, bytes]], *, width: int = 256) -> None:
        """More frames, (camera, embedding, encoder), of which decisions use `width` entries.

        With another encoder or width than before the sample of a camera begins anew.
        """
        most = rows_of_each(len(self.reservoirs))
        for device, embedding, encoder in frames:
            if self.encoders.setdefault(device, encoder) != encoder:
                self.encoders[device] = encoder
                self.reservoirs.pop(device, None)
                self.due.pop(device, None)
            reservoir = self.reservoirs.get(device)
            if reservoir is None or reservoir.width != width:
                reservoir = self.reservoirs[device] = Reservoir(width=width)
                most = rows_of_each(len(self.reservoirs))
            if reservoir.add(embedding, most):
                self.due[device] = None

    def forget(self, device: str) -> None:
        """A camera is gone."""
        for known in (self.reservoirs, self.encoders, self.due):
            known.pop(device, None)

    def showed(self, device: str, embedding: bytes) -> None:
        """A frame was told to show what was looked for: it is no background."""
        reservoir = self.reservoirs.get(device)
        if reservoir is not None and reservoir.remove(embedding):
            self.due[device] = None

    def take_due(self) -> str | None:
        """The camera that has waited longest to be fitted again; None where none waits."""
        device = next(iter(self.due), None)
        if device is not None:
            del self.due[device]
        return device

    def fit(self, device: str, compiled: CompiledSet, version: int) -> CameraCalibration:
        """The maps of all phrases for one camera, by its own encoder."""
        compiled = compiled.of(self.encoders.get(device, b""))
        rows = self.reservoirs[device].embeddings
        mult, offset = fit_maps(self._bank(compiled), compiled.scorer.margins_q8(rows))
        names = compiled.built.prototypes.names
        return CameraCalibration(device, version, len(rows), names, mult, offset)

    def prepare(self, compiled: CompiledSet) -> None:
        """Do beforehand what the first `fit` of other policies would take a tenth of a second for.

        May run beside the rest, in a thread.
        """
        for each in (compiled, *compiled.others.values()):
            self._bank(each)

    def _bank(self, compiled: CompiledSet) -> BankShape:
        """What the bank says of the phrases; computed once for each set of policies."""
        shape = self._shapes.get(compiled.encoder)
        if shape is None or shape[0] is not compiled.built.bank_q8:
            built = compiled.built
            backgrounds = [
                built.background_q8(column, np.array([column]))
                for column in range(len(built.prototypes.names))
            ]
            likely = [threshold(one, "likely").margin_q8 for one in backgrounds]
            shape = self._shapes[compiled.encoder] = (
                built.bank_q8,
                bank_shape(backgrounds, likely),
            )
        return shape[1]

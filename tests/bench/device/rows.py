"""Rows of the device benches, and what is aimed at."""

from dataclasses import dataclass
from typing import Any

# id: (target, rival); the rival is TFLite Micro with CMSIS-NN and its assembly requantisation.
GOALS: dict[str, tuple[float, int | None]] = {
    "m7.vww": (10_500_000, 23_050_675),
    "m7.vww_dead_removed": (5_500_000, 23_050_675),
    "m7.mbv2_035_96_cut": (16_500_000, 39_107_938),
    "m7.resnet8": (13_500_000, 28_617_734),
    "m7.encoder": (40_000_000, None),
    "m7.fast_encoder": (12_000_000, None),
    "m7.kws": (3_600_000, 7_298_924),
    "m7.match_100x64": (12_000, None),
    "m7.match_1000x256": (400_000, None),
    "m7.frame_320x240_rgb565": (1_000_000, None),
    "m55.vww": (3_000_000, 6_434_042),
    "m55.mbv2_035_96_cut": (5_800_000, 11_555_159),
    "m55.resnet8": (3_000_000, 4_811_589),
    "x86.mbv2_cut_over_xnnpack": (1, None),
    "arena.vww": (65_536, 100_708),
    "arena.mbv2_035_96_cut": (65_536, 194_292),
    "m7.first_token": (40_000_000, None),
    "m55.first_token": (12_000_000, None),
    "m55.paper_b_token": (12_000_000, None),
    "m7.token_over_lstm_attention": (0.6, None),
    "m55.token_over_lstm_attention": (0.6, None),
    "nano.ram_bytes": (327_680, None),
    "flash.runtime": (32_768, 102_616),
}


@dataclass(frozen=True)
class Row:
    """One line of the table, one object of the file."""

    id: str
    value: int | float
    unit: str
    conditions: str

    def as_json(self) -> dict[str, Any]:
        """The shape that every bench writes."""
        target, rival = GOALS.get(self.id, (None, None))
        return {
            "id": self.id,
            "value": self.value,
            "unit": self.unit,
            "target": target,
            "rival": "TFLM + CMSIS-NN" if rival else None,
            "rival_value": rival,
            "ratio": round(rival / self.value, 3) if rival else None,
            "conditions": self.conditions,
        }

    def __str__(self) -> str:
        target, rival = GOALS.get(self.id, (None, None))
        met = "" if target is None else "met" if self.value <= target else "MISSED"
        texts = [f"{number:,}" if number else "–" for number in (target, rival)]
        ratio = f"{rival / self.value:.2f}x" if rival else "–"
        value = f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:.2f}"
        return f"{self.id:32}{value:>14} {texts[0]:>12} {texts[1]:>12} {ratio:>7} {met}"

"""The conformance kit: whether a device does what `protocol/SPEC.md` says, rule by rule.

Each check carries the id of one rule. It sees a device only through a broker; what takes power
over the device or its line is tried where a `Rig` lends it.
"""

from moteye.conformance.bench import Bench
from moteye.conformance.kit import CHECKS, Check, Result
from moteye.conformance.rig import Rig
from moteye.conformance.runner import run_kit

__all__ = ["CHECKS", "Bench", "Check", "Result", "Rig", "run_kit"]

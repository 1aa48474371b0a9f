"""`moteye doctor`: whether the broker is closed to those who should stay out, and open to us.

Every check answers with findings; none changes what others see. What is tried in the name of a
device goes to ids that nobody has, or carries no payload.
"""

from moteye.doctor.examine import examine
from moteye.doctor.finding import Finding

__all__ = ["Finding", "examine"]

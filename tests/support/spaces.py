"""An embedding space of random numbers: photos, phrases and a logistic, without any model."""

import numpy as np
from moteye.core.calibration import Background, Exclusion, Logistic
from moteye_protocol import wire


def small_space(photos: int = 400, phrases: int = 800) -> tuple[Background, Logistic, np.ndarray]:
    """(background, logistic, vectors float64[phrases, 256]); later dimensions vary less."""
    rng = np.random.default_rng(5)
    spread = 1 / np.sqrt(1 + np.arange(256) / 8)
    content = rng.normal(size=(photos, 256)) * spread
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    groups = rng.normal(size=(40, 256)) * spread
    vectors = groups[rng.integers(0, 40, phrases)] + 0.5 * rng.normal(size=(phrases, 256)) * spread
    embeddings = np.clip(np.rint(content * 300), -128, 127).astype(np.int8)
    background = Background(embeddings, content.astype(np.float32), Exclusion(0.9, 4.0, 0.05))
    logistic = Logistic(dict.fromkeys(wire.SET_DIMS, 1.3), dict.fromkeys(wire.SET_DIMS, -4.7))
    return background, logistic, vectors

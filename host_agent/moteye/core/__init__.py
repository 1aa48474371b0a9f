"""The rules: policy language, calibration, scoring, engine, presence. No I/O."""

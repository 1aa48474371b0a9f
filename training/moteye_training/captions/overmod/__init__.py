"""OverMod, the captioner's own encoder, as published with µVLM: look over, then modulate."""

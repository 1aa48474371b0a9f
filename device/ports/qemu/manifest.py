"""Frozen into a board's image: asyncio, the firmware, the codec, the start."""

include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821
freeze("$(PORT_DIR)", "start.py")  # noqa: F821
freeze("$(PORT_DIR)/../../firmware")  # noqa: F821
freeze(  # noqa: F821
    "$(PORT_DIR)/../../../protocol",
    tuple(f"moteye_protocol/{name}.py" for name in ("__init__", "codec", "wire")),
)

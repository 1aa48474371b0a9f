"""Write codec.json beside this file: what payloads must decode to, or why they are refused."""

import json
from pathlib import Path

import msgpack

VALID = [
    ("nil", None),
    ("false", False),
    ("true", True),
    ("fixint-0", 0),
    ("fixint-127", 127),
    ("uint8-128", 128),
    ("uint8-255", 255),
    ("uint16-256", 256),
    ("uint16-65535", 65535),
    ("uint32-65536", 65536),
    ("uint32-max", 2**32 - 1),
    ("uint64-2^32", 2**32),
    ("uint64-max", 2**64 - 1),
    ("fixint-minus-1", -1),
    ("fixint-minus-32", -32),
    ("int8-minus-33", -33),
    ("int8-min", -128),
    ("int16-minus-129", -129),
    ("int16-min", -32768),
    ("int32-minus-32769", -32769),
    ("int32-min", -(2**31)),
    ("int64-min", -(2**63)),
    ("str-empty", ""),
    ("str-31", "x" * 31),
    ("str-32", "x" * 32),
    ("str-256", "y" * 256),
    ("str-utf8", "vögel 植物 🌱"),
    ("bin-empty", b""),
    ("bin-255", bytes(range(255))),
    ("bin-256", bytes(256)),
    ("array-empty", []),
    ("array-15", list(range(15))),
    ("array-16", list(range(16))),
    ("map-empty", {}),
    ("map-status", {"v": 1, "s": 3, "state": "online"}),
    ("map-16", {f"k{index:02}": index for index in range(16)}),
    ("float64", 0.5),
    ("nested", {"a": [{"b": [1, 2, {"c": b"\x00\xff"}]}]}),
]
LONG_FORMS = [
    ("uint64-of-5", "cf0000000000000005", 5),
    ("int32-of-minus-1", "d2ffffffff", -1),
    ("str8-of-a", "d90161", "a"),
    ("str32-of-a", "db0000000161", "a"),
    ("bin32-of-00", "c60000000100", b"\x00"),
    ("array32-empty", "dd00000000", []),
    ("map32-empty", "df00000000", {}),
    ("float32", "ca3f000000", 0.5),
]
INVALID = [
    ("empty", "", "cut short", 0),
    ("never-used-c1", "c1", "type 0xc1", 0),
    ("trailing-byte", "c000", "trailing bytes", 1),
    ("uint8-cut", "cc", "cut short", 1),
    ("uint16-cut", "cd00", "cut short", 1),
    ("uint32-cut", "ce000000", "cut short", 1),
    ("uint64-cut", "cf00000000000000", "cut short", 1),
    ("int8-cut", "d0", "cut short", 1),
    ("int64-cut", "d3000000", "cut short", 1),
    ("float32-cut", "ca00", "cut short", 1),
    ("float64-cut", "cb00", "cut short", 1),
    ("fixstr-cut", "a2" + "61", "cut short", 1),
    ("str8-length-cut", "d9", "cut short", 1),
    ("str8-beyond", "d9ff61", "cut short", 2),
    ("str16-beyond", "daffff", "cut short", 3),
    ("str32-huge", "dbffffffff", "cut short", 5),
    ("bin8-beyond", "c40161"[:4], "cut short", 2),
    ("bin16-beyond", "c5ffff00", "cut short", 3),
    ("bin32-huge", "c6ffffffff00", "cut short", 5),
    ("array-item-missing", "9201", "cut short", 2),
    ("array16-item-missing", "dc0001", "cut short", 3),
    ("array32-huge", "ddffffffff", "more than 512 items", 0),
    ("map-value-missing", "81a161", "cut short", 3),
    ("map32-huge", "dfffffffff", "more than 512 items", 0),
    ("map-key-int", "810101", "map key is not a string", 1),
    ("map-key-bin", "81c4016101", "map key is not a string", 1),
    ("map-key-nil", "81c001", "map key is not a string", 1),
    ("duplicate-key", "82a16101a16102", "key 'a' twice", 4),
    ("duplicate-key-two-forms", "82a16101d9016102", "key 'a' twice", 4),
    ("str-not-utf8", "a1ff", "string is not UTF-8", 0),
    ("str-utf8-cut", "a1c3", "string is not UTF-8", 0),
    ("fixext1", "d40100", "type 0xd4", 0),
    ("fixext2", "d5010000", "type 0xd5", 0),
    ("fixext4-timestamp", "d6ff00000000", "type 0xd6", 0),
    ("fixext8", "d7010000000000000000", "type 0xd7", 0),
    ("fixext16", "d801" + "00" * 16, "type 0xd8", 0),
    ("ext8", "c70001", "type 0xc7", 0),
    ("ext16", "c8000001", "type 0xc8", 0),
    ("ext32", "c90000000001", "type 0xc9", 0),
    ("nested-too-deep", "91" * 7 + "00", "nested deeper than 6", 7),
    ("map-too-deep", "81a161" * 7 + "00", "nested deeper than 6", 19),
    ("deep-bomb", "91" * 200, "nested deeper than 6", 7),
    ("ext-inside-map", "81a161d40100", "type 0xd4", 3),
    ("cut-inside-nested", "81a16193a162", "cut short", 6),
    ("trailing-after-map", "80c0", "trailing bytes", 1),
    ("trailing-after-str", "a161a1", "trailing bytes", 2),
]


def tagged(value: object) -> object:
    """JSON has no bytes: {"$bin": hex} stands for them."""
    if isinstance(value, bytes):
        return {"$bin": value.hex()}
    if isinstance(value, dict):
        return {key: tagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tagged(item) for item in value]
    return value


def main() -> None:
    """Write the file."""
    valid = [
        {"id": name, "hex": msgpack.packb(value).hex(), "value": tagged(value), "canonical": True}
        for name, value in VALID
    ]
    valid += [
        {"id": name, "hex": data, "value": tagged(value), "canonical": False}
        for name, data, value in LONG_FORMS
    ]
    invalid = [
        {"id": name, "hex": data, "reason": reason, "offset": offset}
        for name, data, reason, offset in INVALID
    ]
    target = Path(__file__).parent / "codec.json"
    rows = {"valid": valid, "invalid": invalid}
    text = "{\n" + ",\n".join(
        f'"{kind}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in items) + "\n]"
        for kind, items in rows.items()
    )
    target.write_text(text + "\n}\n")


if __name__ == "__main__":
    main()

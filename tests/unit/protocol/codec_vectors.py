# Runs in MicroPython: the codec over its vectors. Prints "N vectors" or the first that fails.
import binascii
import json
import sys

from moteye_protocol import codec


def from_tagged(value):
    if isinstance(value, dict):
        if len(value) == 1 and "$bin" in value:
            return binascii.unhexlify(value["$bin"])
        return {key: from_tagged(value[key]) for key in value}
    if isinstance(value, list):
        return [from_tagged(item) for item in value]
    return value


def main(path):
    with open(path) as file:
        vectors = json.load(file)
    for vector in vectors["valid"]:
        payload = binascii.unhexlify(vector["hex"])
        value = from_tagged(vector["value"])
        if codec.unpack(payload) != value:
            raise ValueError("unpack " + vector["id"])
        # MicroPython's dicts keep no order: only maps of one key have one canonical form there.
        if vector["canonical"] and not (isinstance(value, dict) and len(value) > 1):
            if codec.pack(value) != payload:
                raise ValueError("pack " + vector["id"])
    for vector in vectors["invalid"]:
        try:
            codec.unpack(binascii.unhexlify(vector["hex"]))
        except codec.WireError as error:
            if error.offset != vector["offset"] or not error.reason.startswith(vector["reason"]):
                raise ValueError("%s: %s" % (vector["id"], error)) from error
        else:
            raise ValueError("accepted " + vector["id"])
    print(len(vectors["valid"]) + len(vectors["invalid"]), "vectors")


main(sys.argv[1])

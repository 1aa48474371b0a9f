# generated from protocol/wire.toml by `make generate`; do not edit
VERSION = 1
TOPIC_ROOT = "moteye/v1"

MAX_PAYLOAD_BYTES = 4096  # bytes: largest payload of one message, either way; a larger one is skipped unread and counted
CHUNK_BYTES = 1024  # bytes: data in one `set/chunk` or `frame` message: no peer has to rely on one-shot delivery
MAX_DEPTH = 6  # levels: nesting of arrays and maps
MAX_ITEMS = 512  # items: items in one array or map
MAX_SET_BYTES = 262144  # bytes: largest prototype set; a device may take less and says so in its birth
MAX_ROWS = 16384  # rows: rows of a prototype set
MAX_DELTA_BYTES = 3072  # bytes: largest delta; it travels inside `set.begin`
MAX_CANARIES = 8  # embeddings: canaries of a prototype set
MAX_BOXES = 16  # boxes: boxes in one `embedding`
MAX_FRAME_BYTES = 921600  # bytes: largest picture a device hands over (640x480 RGB)
MAX_CAPTION_BYTES = 255  # bytes: text of a caption in UTF-8: what a state of Home Assistant can be
MAX_DEVICE_ID_CHARS = 64  # characters: device id: lower-case ASCII letters, digits, - and _
COMMAND_TTL_MS = 10000  # ms: how long a command lives when its sender does not say
MAX_FRAME_AGE_MS = 10000  # ms: age of a frame that a device still looks at, and of one whose message is sent
SEQ_WINDOW = 256  # messages: how far back the host recognises a duplicate

# path under <root>/<device>/, sender, QoS, retained
TOPICS = {
    "status": ("status", "device", 1, True),
    "birth": ("birth", "device", 1, True),
    "embedding": ("embedding", "device", 1, False),
    "detections": ("detections", "device", 0, False),
    "caption": ("caption", "device", 1, False),
    "frame": ("frame", "device", 1, False),
    "reply": ("reply", "device", 1, False),
    "set_state": ("set/state", "device", 1, True),
    "command": ("cmd", "host", 1, False),
    "set_chunk": ("set/chunk", "host", 1, False),
}

OPERATIONS = ("ping", "report", "frame.get", "describe", "set.begin", "set.abort")

CODES = {
    "ok": "done",
    "malformed": "the payload is not a message of this kind; check the sender's codec and version",
    "version": "the sender speaks another version of the wire; update the older side",
    "retained": "commands must not be retained; publish it again with retain off, and clear the topic with an empty retained payload",
    "expired": "the command was older than its ttl when it arrived; send it again",
    "stale_session": "the command was meant for an earlier session of this device; read its birth and send it again",
    "unknown_operation": "this device does not know the operation; its birth lists those it has",
    "bad_argument": "an argument is missing or out of range",
    "busy": "another transfer is under way; wait for it or send set.abort",
    "too_large": "the device has no room for that many bytes; its birth says how many it takes",
    "wrong_encoder": "the prototype set was built for another encoder; build it for the hash in the device's birth",
    "bad_set": "the prototype set is damaged; build and send it again",
    "bad_magic": "what arrived is no prototype set",
    "bad_format": "the prototype set is of a format that this device does not read; update the older side",
    "bad_bits": "the rows of the prototype set have another number of bits than its format; build it again",
    "bad_planes": "a prototype set has 1 to 5 planes; build it again",
    "bad_preprocessing": "the prototype set was built for frames that are cut or scaled otherwise; update the older side",
    "bad_rows": "the header's number of rows or planes is not that of the file; build the set again",
    "bad_size": "the header's size is not that of the file; build the set again",
    "bad_names": "the names are not where the header says; build the set again",
    "bad_crc": "the bytes of the prototype set changed after it was built; build it again",
    "bad_shift": "a calibration shift of the prototype set is out of range; build it again",
    "bad_canaries": "the canaries of the prototype set are more than 8, or do not fill the file; build it again",
    "bad_parts": "the prototype set's parts do not go with its format; build it again",
    "bad_reserved": "bytes that are zero in this format are not; update the older side",
    "wrong_dim": "the prototype set cannot be matched at this device's dimension; build it for the dim in its birth",
    "bad_hash": "the bytes that arrived do not have the announced SHA-256; send the set again",
    "no_transfer": "no transfer is under way for this prototype set; send set.begin first",
    "forbidden": "the owner of this device keeps frames on it; set `frames: true` in its configuration to allow it",
    "unsigned": "this device has a key and the message is not signed with it; enroll the device, or name the keys file in moteye.yaml",
    "replayed": "a signed command older than those this device remembers; send a new one",
    "wrong_base": "the delta is not for the set in use; send the whole set",
    "bad_delta": "the delta does not give the announced set; send the whole set",
    "rollback": "the set's epoch is lower than that of a set confirmed before; build it with a higher one",
    "failed_before": "this set failed its trial on this device; change it, or look into the device's log",
    "canary": "the trial failed: an embedding that the set carries is not answered by the class it names; build the set again",
    "self_test": "the trial failed: a class of the set does not answer to itself; reword the phrase",
    "frames": "the trial ended without three frames; look after the camera and send the set again",
    "broker": "the trial ended without a word from the broker; look after the connection and send the set again",
    "aborted": "set.abort ended the trial",
    "interrupted": "three trials of this set were cut by a restart of the device; its log may say why",
    "gone": "the picture is no longer held; ask sooner after the event",
    "internal": "the device failed; its log says where",
}

STATUS_VALUES = ("online", "offline", "stopped", "sleeping")
SWAP_VALUES = ("idle", "receiving", "verified", "trial", "confirmed", "refused", "reverted")
REASON_VALUES = ("first", "change", "settle", "heartbeat")

SIGNING_ALGORITHMS = ("hmac-sha256",)
DELTA_MAGIC = b"MD"
DELTA_FORMAT = 1
BOX_DIM = 64
CELL_BYTES = 69
BOX_GRID = 4096
SET_MAGIC = b"MEPS"
SET_FORMAT = 1
SET_BITS = 4
SET_CODEBOOK_FORMAT = 2
SET_CODEBOOK_BITS = 8
SET_MAX_PARTS = 32
SET_PREPROCESSING = 1
SET_HEADER_BYTES = 64
SET_PLANE_WIDTHS = (16, 16, 32, 64, 128)
SET_DIMS = (16, 32, 64, 128, 256)
SET_NORM_SHIFT = 24
SET_COSINE_SHIFT = 12
SET_MARGIN_TABLE_SHIFT = 4
SET_MARGIN_NONE = -32768

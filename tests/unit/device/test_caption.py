"""The captioner's kernels against the integer reference, to the last bit."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from caption_library import CCaptioner, random_pack, random_sizes
from kernel_library import KernelError, Kernels, pointer
from moteye_training.captions.integer import IntDecoder, caption, isqrt, layer_norm
from moteye_training.captions.pack import CaptionPack, CaptionPackError
from support.caption_packs import with_words

SHAPES = 200


def _map(rng: np.random.Generator, pack: CaptionPack) -> np.ndarray:
    s = pack.sizes
    return rng.integers(-128, 128, (s.positions, s.channels)).astype(np.int8)


def _reference_text(pack: CaptionPack, words: list[int]) -> str:
    return " ".join(pack.text(word) for word in words)


def test_sentences_equal_the_reference(each_kernels: Kernels) -> None:
    rng = np.random.default_rng(1)
    lengths = set()
    for shape in range(SHAPES):
        beams = shape % 4 + 1
        pack = random_pack(rng)
        maps = _map(rng, pack)
        expected = caption(IntDecoder(pack), maps, beams)
        c = CCaptioner(each_kernels, pack.to_bytes(), beams)
        assert c.say(maps) == _reference_text(pack, expected.words)
        assert c.guarded
        lengths.add(len(expected.words))
    assert len(lengths) > 3  # not all of them say nothing


def test_states_and_scores_equal_the_reference(each_kernels: Kernels) -> None:
    rng = np.random.default_rng(7)
    for _ in range(SHAPES):
        pack = random_pack(rng)
        s, decoder = pack.sizes, IntDecoder(pack)
        c = CCaptioner(each_kernels, pack.to_bytes(), 1)
        maps = _map(rng, pack)
        c.begin(maps)
        seen, state = decoder.look(maps), decoder.start()
        state.hidden = rng.integers(-127, 128, s.width)
        state.scan = rng.integers(-32768, 32768, (s.width, s.states))
        hidden = state.hidden.astype(np.int8)
        scan = state.scan.astype(np.int16)
        both = (ctypes.c_void_p * 2)(hidden.ctypes.data, scan.ctypes.data)
        for word in rng.integers(0, s.words, 3):
            state = decoder.advance(seen, int(word), state)
            c.c.caption_advance(pointer(c.caption), ctypes.c_uint16(int(word)), both)
            np.testing.assert_array_equal(hidden, state.hidden)
            np.testing.assert_array_equal(scan, state.scan)
        scores = np.zeros(s.words, np.int32)
        best = c.c.caption_scores(pointer(c.pack), pointer(hidden), pointer(scores))
        expected = decoder.logits(state.hidden)
        np.testing.assert_array_equal(scores, expected)
        assert best == expected.max()
        log_sum = c.c.caption_log_sum(pointer(c.pack), pointer(scores), best)
        assert log_sum == decoder.log_sum(expected)


def test_layer_norm_equals_the_reference(kernels: Kernels) -> None:
    rng = np.random.default_rng(8)
    for _ in range(SHAPES):
        n = int(rng.integers(1, 300))
        x = rng.integers(-1, 2, n) * rng.integers(0, 2 ** int(rng.integers(1, 24)), n)
        given, out = x.astype(np.int32), np.zeros(n, np.int16)
        kernels.c.layer_norm_q10(pointer(given), n, pointer(out))
        np.testing.assert_array_equal(out, layer_norm(x))


def test_integer_root_is_the_floor() -> None:
    for x in [0, 1, 2, 3, 4, 2**16 - 1, 2**32 - 1, *range(1, 2**32, 99_999_989)]:
        root = isqrt(x)
        assert root * root <= x < (root + 1) ** 2


def test_token_loop_of_10000_steps_leaves_memory_unchanged(kernels: Kernels) -> None:
    rng = np.random.default_rng(9)
    pack = random_pack(rng, random_sizes(rng))
    c = CCaptioner(kernels, pack.to_bytes(), 3)
    maps, steps, first = _map(rng, pack), 0, ""
    before = c.raw.copy()
    while steps < 10_000:
        c.begin(maps)
        steps += 1
        while c.step():
            steps += 1
        first = first or c.text()
        assert c.text() == first  # nothing is left over from the sentence before
    assert c.guarded
    np.testing.assert_array_equal(c.raw, before)


def test_text_is_cut_between_words(kernels: Kernels) -> None:
    rng = np.random.default_rng(10)
    while True:
        pack = random_pack(rng)
        c = CCaptioner(kernels, pack.to_bytes(), 1)
        whole = c.say(_map(rng, pack))
        if whole.count(" ") >= 3:
            break
    for size in range(1, len(whole) + 1):
        said = c.text(size)
        assert whole.startswith(said)
        assert len(said) <= size
        assert len(said) == len(whole) or whole[len(said)] == " " or said == ""


def _words_pack(words: list[bytes], seed: int = 14) -> CaptionPack:
    rng = np.random.default_rng(seed)
    sizes = replace(random_sizes(rng), words=len(words) + 2, longest=7)
    return with_words(random_pack(rng, sizes), words)


@pytest.mark.parametrize(
    "word",
    [
        b"\x80",  # continues nothing
        b"caf\xc3",  # ends inside a character, which the next word would end
        b"\xc0\xaf",  # overlong
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",  # surrogates, alone and as a pair
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xf4\x90\x80\x80",  # above U+10FFFF
        b"\xff",
    ],
)
def test_words_not_in_utf_8_are_refused(kernels: Kernels, word: bytes) -> None:
    raw = _words_pack([b"a", word, b"\xa9t", b"b"]).to_bytes()
    with pytest.raises(KernelError, match="words not in UTF-8"):
        CCaptioner(kernels, raw, 1)
    with pytest.raises(CaptionPackError, match=r"word [34], b'.*', is not UTF-8"):
        CaptionPack.from_bytes(raw)


def test_captions_in_any_script_end_behind_a_character(each_kernels: Kernels) -> None:
    words = ["é", "ñandú", "猫", "кошка", "🐈", "\u0800", "\uffff", "\U0010ffff"]
    seen = set()
    for seed in range(20):
        pack = _words_pack([word.encode() for word in words], seed)
        assert [CaptionPack.from_bytes(pack.to_bytes()).text(2 + i) for i in range(8)] == words
        maps = _map(np.random.default_rng(seed), pack)
        c = CCaptioner(each_kernels, pack.to_bytes(), seed % 4 + 1)
        whole = c.say(maps)
        for size in range(1, len(whole.encode()) + 1):
            said = c.text(size)  # decoded strictly
            assert whole.split(" ")[: len(said.split(" "))] == said.split(" ") or said == ""
        seen |= set(whole.split(" "))
    assert len(seen) > 2


def test_pack_round_trip_and_damage(kernels: Kernels) -> None:
    rng = np.random.default_rng(11)
    pack = random_pack(rng)
    raw = pack.to_bytes()
    again = CaptionPack.from_bytes(raw)
    assert again.sizes == pack.sizes
    assert again.to_bytes() == raw
    for at in rng.integers(0, len(raw), 50):
        broken = bytearray(raw)
        broken[at] ^= 1 << int(rng.integers(0, 8))
        with pytest.raises(KernelError):
            CCaptioner(kernels, bytes(broken), 1)
        with pytest.raises(CaptionPackError):
            CaptionPack.from_bytes(bytes(broken))
    with pytest.raises(KernelError):
        CCaptioner(kernels, raw[:-4], 1)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("state_bits", 15, "bad quantisation"),
        ("longest", 65, "bad shape"),
        ("states", 65, "bad shape"),
        ("gain", 32769, "bad quantisation"),
        ("bias", 2**30 + 1, "bad quantisation"),
        ("shift", 31, "bad quantisation"),
        ("text_at", 60000, "bad names"),
    ],
)
def test_sound_crc_does_not_hide_a_bad_pack(
    kernels: Kernels, field: str, value: int, says: str
) -> None:
    pack = random_pack(np.random.default_rng(12))
    arrays = {name: array.copy() for name, array in pack.arrays.items()}
    if field == "state_bits":
        pack = replace(pack, state_bits=value)
    elif field in ("longest", "states"):
        sizes = replace(pack.sizes, **{field: value})
        pack = random_pack(np.random.default_rng(13), sizes)
    else:
        name = {"bias": "enter.bias", "shift": "enter.shift"}.get(field, field)
        arrays[name][1] = value
        pack = replace(pack, arrays=arrays)
    with pytest.raises(KernelError, match=says):
        CCaptioner(kernels, pack.to_bytes(), 1)

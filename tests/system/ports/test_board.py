"""The port itself: start and stop, UARTs that are cut, flash that is read in place."""

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from moteye.core.scoring import Scorer
from moteye.resources import checkout, model_dir
from moteye_protocol.prototype_set import decode, set_hash
from PIL import Image
from support.boards import BUILD_S, run_script
from support.live import listening, until
from system.device.device_bench import hosting, late_status, prototype_set
from system.device.stalling import BREAKAGES, StallingBoard
from system.ports.board_bench import Album, grey, make_device

pytestmark = pytest.mark.timeout(BUILD_S + 300)
DEADLINE_S = 150


def test_pack_is_read_in_place(port):
    pack = (model_dir() / "encoder.mpk").read_bytes()
    out = run_script(
        port,
        """
import board, gc, hashlib, vision
gc.collect()
before = gc.mem_alloc()
pack = board.pack()
encoder = vision.Encoder(pack)
gc.collect()
print(len(pack), gc.mem_alloc() - before - encoder.arena_bytes < 1024)
try:
    pack[0] = 0
except TypeError:
    print("read only")
""",
    )
    assert out == [f"{len(pack)} True", "read only"]


def test_clock_goes_like_the_hosts(port):
    out = run_script(
        port,
        """
import time
started, unix = time.ticks_ms(), time.time_ns()
time.sleep_ms(1500)
took = time.ticks_diff(time.ticks_ms(), started)
print(took, time.time_ns() - unix - took * 1000000, time.gmtime()[0])
""",
    )
    took, difference, year = (int(word) for word in out[0].split())
    assert took >= 1500
    assert abs(difference) < 50_000_000
    assert year >= 2025


def test_exception_ends_with_one(port):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_script(port, "1 / 0")


async def test_session_and_goodbye_survive_in_the_hosts_folder(port, mosquitto, tmp_path):
    sessions = []
    for _ in range(2):
        album = Album([grey()])
        album.opened.set()
        async with make_device(port, mosquitto.port, album, tmp_path / "flash") as device:
            sessions.append((await late_status(mosquitto.port, "online", port, DEADLINE_S)).s)
            process = device._process
            await device.stop()
        assert process.returncode == 0
        await late_status(mosquitto.port, "stopped", port)
    assert sessions[1] == sessions[0] + 1


HOST = """
import asyncio, sys
from pathlib import Path
from moteye.camera.emulate import EmulatedDevice

async def main():
    async with EmulatedDevice(
        sys.argv[1], device_id="left", broker_host="127.0.0.1", broker_port=9,
        camera_spec=f"folder:{sys.argv[2]}", data_dir=Path(sys.argv[2], "flash"),
    ) as device:
        await device.wait_for_line("device: ", 60)
        print("pid", device._process.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_emulator_ends_with_a_host_that_is_killed(port, tmp_path):
    Image.fromarray(grey()).save(tmp_path / "grey.png")
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, port, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    while not (line := await host.stdout.readline()).startswith(b"pid "):
        assert line, "it ended by itself"
    emulator = Path(f"/proc/{int(line[4:])}/cmdline")
    assert b"qemu-system-arm" in emulator.read_bytes()
    host.kill()
    await host.wait()
    await until(lambda: not emulator.exists() or not emulator.read_bytes(), "its end")


async def test_wrong_configuration_ends_with_two(port, mosquitto, tmp_path):
    settings = {"broker": {"uart": 1, "host": "127.0.0.1"}}
    camera = Album([grey()])
    async with make_device(
        port, mosquitto.port, camera, tmp_path / "flash", settings=settings
    ) as device:
        assert await device._process.wait() == 2
        await until(lambda: device.lines, "a line")
    assert "broker.uart: expected no broker.host beside it" in device.lines[0]


async def test_broker_that_restarts_is_found_again(port, mosquitto, tmp_path):
    album = Album([grey(level) for level in range(0, 250, 10)])
    album.opened.set()
    settings = {"keepalive_s": 3, "change_below_q8": 257}
    async with make_device(
        port, mosquitto.port, album, tmp_path / "flash", settings=settings, interval_ms=1000
    ) as device:
        await device.wait_for_line("device: online", DEADLINE_S)
        heard = len(device.lines)
        await mosquitto.stop()
        await device.wait_for_line("mqtt: lost", DEADLINE_S, after=heard)
        await mosquitto.start()
        await device.wait_for_line("device: online", DEADLINE_S, after=heard)
        async with listening(mosquitto.port) as listener:
            await listener.until(lambda: listener.of(port, "embedding"), "an embedding")


class Late(Album):
    """Is so late with one picture that the board gives the answer up and asks again."""

    async def next_frame(self, after):
        frame = await super().next_frame(after)
        if frame is not None and frame.id == 1:
            await asyncio.sleep(7)
        return frame


async def test_late_answer_of_the_camera_is_not_taken_for_the_next_one(port, mosquitto, tmp_path):
    album = Late([grey(level) for level in range(0, 250, 10)])
    album.opened.set()
    settings = {"change_below_q8": 257}
    size = (32, 24)  # a UART that is emulated slowly must carry it in much less than the timeout
    device = make_device(
        port, mosquitto.port, album, tmp_path / "flash", settings=settings, camera_size=size
    )
    plain = type(device)._camera_settings
    device._camera_settings = lambda port: {**plain(device, port), "timeout_ms": 5000}
    async with listening(mosquitto.port) as listener, device:
        await device.wait_for_line("camera: no frames from UART 2", DEADLINE_S)
        await device.wait_for_line("camera: frames again", DEADLINE_S)
        await listener.until(
            lambda: any(told.frame >= 5 for told in listener.of(port, "embedding")), "later ones"
        )
        told = [told.frame for told in listener.of(port, "embedding")]
    assert told[0] == 0
    assert told == sorted(set(told))


def test_demo_with_an_arm_core_ends_with_one_alert_and_its_picture(port):
    done = subprocess.run(
        [sys.executable, str(checkout() / "examples/demo/demo.py"), "--once", "--device", port],
        capture_output=True,
        text=True,
        timeout=140,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ALERT ") == 1
    assert ".png" in done.stdout.rpartition("the picture that decided: ")[2]


async def test_t65_the_boards_own_watchdog_resets_it_and_the_stage_is_told(
    port, mosquitto, tmp_path
):
    album = Album([grey(level) for level in range(0, 250, 10)])
    album.opened.set()
    device = StallingBoard(
        port,
        device_id=port,
        broker_host="127.0.0.1",
        broker_port=mosquitto.port,
        camera_spec=album,
        data_dir=tmp_path / "flash",
        camera_size=(32, 24),  # a UART that is emulated slowly must carry it
        settings={"watchdog_s": 12, "change_below_q8": 257},
    )
    device.breakage = BREAKAGES["encode"]
    async with hosting(mosquitto.port, port) as host, device:
        await device.wait_for_line("stands still", DEADLINE_S)
        await host.next(
            "birth", lambda told: (told.reset, told.stage) == ("watchdog", "encode"), DEADLINE_S
        )
        after = len(host.of("embedding"))
        await until(lambda: len(host.of("embedding")) > after, "another embedding", DEADLINE_S)


def test_image_fits_a_real_board(port):
    """2 MB of flash and 512 KB of RAM, as an STM32H743 has; the linker script holds the rest."""
    image = checkout() / "build/firmware" / port / "firmware.elf"
    rows = subprocess.run(
        ["arm-none-eabi-size", "-A", str(image)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sizes = {
        words[0]: int(words[1])
        for words in map(str.split, rows)
        if len(words) == 3 and words[0][0] == "."
    }
    ram = sum(sizes[name] for name in (".data", ".bss", ".heap", ".stack"))
    flash = sum(sizes[name] for name in (".vectors", ".text", ".pack", ".data"))
    assert ram <= 512 * 1024
    assert flash <= 2 * 1024 * 1024


@pytest.mark.parametrize("port", ["qemu-m7"], indirect=True)
async def test_t33_live_swap_on_the_board_mixes_no_table(port, mosquitto, tmp_path):
    """Frames flow while three sets come and go; each result is of one whole set."""
    encoder = hashlib.sha256((model_dir() / "encoder.mpk").read_bytes()).digest()[:8]
    sets = [prototype_set(encoder, rows=20 + n, seed=n, number=n + 1) for n in range(3)]
    scorers = {set_hash(data): Scorer(decode(data), 64) for data in sets}
    album = Album([grey(level) for level in range(0, 250, 2)])
    album.opened.set()
    settings = {"keepalive_s": 60, "change_below_q8": 257}
    size = (32, 24)  # a UART that is emulated slowly must carry three within the trial
    async with (
        hosting(mosquitto.port, port) as host,
        make_device(
            port,
            mosquitto.port,
            album,
            tmp_path / "flash",
            settings=settings,
            interval_ms=200,
            camera_size=size,
        ) as device,
    ):
        await device.wait_for_line("device: online", DEADLINE_S)
        for data in sets:
            assert (await host.begin(data, deadline_s=DEADLINE_S)).ok
            await host.send_chunks(data)
            name = set_hash(data)
            await host.next(
                "set_state", lambda s, n=name: s.state == "confirmed" and s.set == n, DEADLINE_S
            )
            await host.next("detections", lambda d, n=name: d.set == n, DEADLINE_S)
    embeddings = {told.frame: told for told in host.of("embedding")}
    numbers = sorted(embeddings)
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "no frame was lost"
    for told in host.of("detections"):
        vector = np.frombuffer(embeddings[told.frame].e, np.int8)[None]
        margins = scorers[told.set].margins_q8(vector)[0]
        assert embeddings[told.frame].set == told.set
        assert all(int(margins[row]) == margin for row, margin, _ in told.rows)

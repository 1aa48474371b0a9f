"""Our runtime and LiteRT's XNNPACK on this machine's processor, turn by turn on one thread."""

import ctypes
import statistics
import time
from collections.abc import Callable

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from kernel_library import Kernels, Model, pointer
from moteye.compiler import compile_model

ROUNDS, TURN = 60, 20  # a turn: so many inferences; its time is the fastest of them
DEVICE_FLAGS = ("-O3", "-march=native")  # of the simulated device (device/ports/unix/build.sh)


def fastest_ms(run: Callable[[], object]) -> float:
    """The fastest of TURN calls."""
    times = []
    for _ in range(TURN):
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return min(times) / 1e6


def _runner(kernels: Kernels, model: Model) -> Callable[[], object]:
    arguments = ctypes.byref(model._model), pointer(model.arena), ctypes.c_size_t(model.arena.size)

    def run() -> None:
        status = kernels.c.model_run(*arguments)
        assert status == 0, model  # and keeps the model alive

    return run


def time_beside_xnnpack(tflite: bytes) -> tuple[float, float, float]:
    """Median milliseconds of one inference: ours, XNNPACK's; and the median ratio of a turn.

    A machine that others use changes its pace between turns, hardly within one.
    """
    kernels = Kernels(flags=DEVICE_FLAGS)
    ours = _runner(kernels, kernels.open(compile_model(tflite)))
    interpreter = Interpreter(model_content=tflite, num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    values = np.random.default_rng(0).integers(-128, 128, tuple(details["shape"]), dtype=np.int8)
    interpreter.set_tensor(details["index"], values)
    turns = [(fastest_ms(ours), fastest_ms(interpreter.invoke)) for _ in range(ROUNDS)]
    first, second = zip(*turns, strict=True)
    ratio = statistics.median(one / other for one, other in turns)
    return statistics.median(first), statistics.median(second), ratio

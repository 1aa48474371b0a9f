"""The command `moteye`, as a person runs it."""

import asyncio
import sys

MOTEYE = (sys.executable, "-c", "from moteye.cli import main; main()")


async def moteye(*arguments: str) -> tuple[int | None, list[str], str]:
    """(exit status, lines of standard output, standard error)."""
    process = await asyncio.create_subprocess_exec(
        *MOTEYE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode().splitlines(), errors.decode()

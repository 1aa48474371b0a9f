"""Write what follows from the tables of numbers, in Python, C and Markdown.

`wire.toml` gives constants and the tables of `SPEC.md`, `device/kernels/operators.toml` the kinds
of a model pack's operators.

python protocol/generate.py            writes the files
python protocol/generate.py --check    exits 1 and names the files that differ
"""

import argparse
import math
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
OPERATORS = ROOT / "device" / "kernels" / "operators.toml"
BANNER = "generated from protocol/wire.toml by `make generate`; do not edit"
FEW_PACKS = 64
"""Operators from this kind on are linked where a build names them."""
OPERATORS_BANNER = "generated from operators.toml by `make generate`; do not edit"


def python_constants(wire: dict[str, Any]) -> str:
    """`moteye_protocol/wire.py`: plain assignments, so that MicroPython runs it too."""
    lines = [f"# {BANNER}", f"VERSION = {wire['wire']['version']}"]
    lines += [f'TOPIC_ROOT = "{wire["wire"]["topic_root"]}"', ""]
    for name, (value, unit, why) in wire["limits"].items():
        lines.append(f"{name.upper()} = {value}  # {unit}: {why}")
    lines += ["", "# path under <root>/<device>/, sender, QoS, retained", "TOPICS = {"]
    for name, (path, sender, qos, retained, _) in wire["topics"].items():
        lines.append(f'    "{name}": ("{path}", "{sender}", {qos}, {retained}),')
    lines += ["}", "", f"OPERATIONS = {_tuple(wire['operations'])}", "", "CODES = {"]
    lines += [f'    "{code}": "{hint}",' for code, hint in wire["codes"].items()]
    lines += ["}", ""]
    for name, values in wire["states"].items():
        lines.append(f"{name.upper()}_VALUES = {_tuple(values)}")
    lines.append("")
    algorithms = "".join(f'"{name}", ' for name in wire["signing"]["algorithms"]).strip()
    lines += [f"SIGNING_ALGORITHMS = ({algorithms})"]
    lines += [f'DELTA_MAGIC = b"{wire["delta"]["magic"]}"']
    lines += [f"DELTA_FORMAT = {wire['delta']['format']}"]
    lines += [f"{name.upper()} = {value}" for name, value in wire["boxes"].items()]
    for name, value in wire["prototype_set"].items():
        shown = (
            f'b"{value}"'
            if name == "magic"
            else _tuple(value)
            if isinstance(value, list)
            else value
        )
        lines.append(f"SET_{name.upper()} = {shown}")
    return "\n".join(lines) + "\n"


def _tuple(values: Any) -> str:
    inner = ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in values)
    return f"({inner})"


def c_constants(wire: dict[str, Any]) -> str:
    """`device/kernels/wire.h`: the numbers that the C side needs, and the logistic table."""
    lines = [f"// {BANNER}", "#ifndef MOTEYE_WIRE_H", "#define MOTEYE_WIRE_H", ""]
    limits = wire["limits"]
    numbers = {name: limits[name][0] for name in ("max_rows", "max_canaries", "max_boxes")}
    numbers |= wire["boxes"]
    lines += [f"#define MOTEYE_{name.upper()} ({value})" for name, value in numbers.items()]
    for name, value in wire["prototype_set"].items():
        if name == "magic":
            shown = f'"{value}"'
        elif isinstance(value, list):
            shown = "{" + ", ".join(map(str, value)) + "}"
        else:
            shown = f"({value})"
        lines.append(f"#define MOTEYE_SET_{name.upper()} {shown}")
    table = probability_table()
    rows = [", ".join(map(str, table[at : at + 16])) for at in range(0, 256, 16)]
    lines += ["", "// probability x 255 of margin_q8 >> 4, index + 128", "// clang-format off"]
    lines += ["#define MOTEYE_PROB_TABLE { \\", *(f"    {row}, \\" for row in rows), "}"]
    lines += ["// clang-format on"]
    return "\n".join([*lines, "", "#endif"]) + "\n"


def probability_table() -> list[int]:
    """uint8[256]: 255 x the logistic function of (index - 128 + 0.5) / 16, rounded half up."""
    return [
        math.floor(255 / (1 + math.exp(-(index - 128 + 0.5) / 16)) + 0.5) for index in range(256)
    ]


def spec_tables(wire: dict[str, Any]) -> dict[str, str]:
    """Name of a table in SPEC.md → its Markdown."""
    root = wire["wire"]["topic_root"]
    topics = ["| topic | from | QoS | retained | what |", "|---|---|---|---|---|"]
    for path, sender, qos, retained, what in wire["topics"].values():
        kept = "yes" if retained else "no"
        topics.append(f"| `{root}/<device>/{path}` | {sender} | {qos} | {kept} | {what} |")
    limits = ["| limit | value | why |", "|---|---|---|"]
    for name, (value, unit, why) in wire["limits"].items():
        limits.append(f"| `{name}` | {value:,} {unit} | {why} |")
    operations = ["| operation | what it does |", "|---|---|"]
    operations += [f"| `{name}` | {what} |" for name, what in wire["operations"].items()]
    codes = ["| code | what to do |", "|---|---|"]
    codes += [f"| `{code}` | {hint} |" for code, hint in wire["codes"].items()]
    tables = {"topics": topics, "limits": limits, "operations": operations, "codes": codes}
    return {name: "\n".join(rows) for name, rows in tables.items()}


def spec_with_tables(spec: str, tables: dict[str, str]) -> str:
    """`spec` with the text between `<!-- table: X -->` and `<!-- end -->` replaced."""
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(spec):
            raise SystemExit(f"protocol/SPEC.md: no place for the table `{name}`")
        spec = pattern.sub(lambda found, text=table: f"{found[1]}{text}\n{found[2]}", spec)
    return spec


def c_operator_kinds(kinds: dict[str, int]) -> str:
    """`device/kernels/operator_kinds.h`: the enumeration and the declarations."""
    lines = [f"// {OPERATORS_BANNER}", "#ifndef MOTEYE_OPERATOR_KINDS_H"]
    lines += ["#define MOTEYE_OPERATOR_KINDS_H", "", "enum {"]
    lines += [f"    MODEL_OP_{name.upper()} = {kind}," for name, kind in kinds.items()]
    lines += ["};", ""]
    lines += [f"extern const model_operator_t {name}_operator;" for name in kinds]
    return "\n".join([*lines, "", "#endif"]) + "\n"


def c_operator_list(kinds: dict[str, int]) -> str:
    """`device/kernels/model_operators.c`: those of every build that brings no list of its own."""
    lines = [f"// {OPERATORS_BANNER}", '#include "model_operator.h"', ""]
    lines += ["const model_operator_t *const model_operators[] = {"]
    lines += [f"    &{name}_operator," for name, kind in kinds.items() if kind < FEW_PACKS]
    return "\n".join([*lines, "    NULL,", "};"]) + "\n"


def python_operator_kinds(kinds: dict[str, int]) -> str:
    """`host_agent/moteye/compiler/kinds.py`: a constant each, and the names."""
    lines = ['"""Kinds of records, and what runs them."""', ""]
    lines += [f"# {OPERATORS_BANNER}"]
    lines += [f"{name.upper()} = {kind}" for name, kind in kinds.items()]
    lines += ["", "NAMES = {", *(f'    {kind}: "{name}",' for name, kind in kinds.items()), "}"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write, or check, the files that follow from the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    check = parser.parse_args().check
    wire = tomllib.loads((HERE / "wire.toml").read_text())
    kinds = dict(sorted(tomllib.loads(OPERATORS.read_text()).items(), key=lambda item: item[1]))
    if len(set(kinds.values())) < len(kinds):
        raise SystemExit("device/kernels/operators.toml: two operators have one kind")
    spec = HERE / "SPEC.md"
    kernels = ROOT / "device" / "kernels"
    outputs = {
        HERE / "moteye_protocol" / "wire.py": python_constants(wire),
        kernels / "wire.h": c_constants(wire),
        kernels / "operator_kinds.h": c_operator_kinds(kinds),
        kernels / "model_operators.c": c_operator_list(kinds),
        ROOT / "host_agent" / "moteye" / "compiler" / "kinds.py": python_operator_kinds(kinds),
        spec: spec_with_tables(spec.read_text(), spec_tables(wire)),
    }
    stale = [
        path for path, text in outputs.items() if not path.is_file() or path.read_text() != text
    ]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} differs from its table: run `make generate`")
        else:
            path.write_text(outputs[path])
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

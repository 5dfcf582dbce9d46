"""The consoles: Python speaks, compiled libraries go to a file."""

from __future__ import annotations

import subprocess
import sys

from atomate2_vogen.cli import console

CODE = """
import os, sys
from pathlib import Path
from atomate2_vogen.cli.console import Voice, native_output_to
voice = Voice()
try:
    with native_output_to(Path(sys.argv[1])):
        os.write(2, b"from a library\\n")
        print("from python", file=sys.stderr)
        voice.say("from the voice")
        raise KeyError("gone")
except KeyError:
    pass
os.write(2, b"from a library later\\n")
voice.out.print("x" * 90)
"""


def test_native_output_goes_to_the_file(tmp_path):
    log = tmp_path / "log"
    run = subprocess.run(
        [sys.executable, "-c", CODE, str(log)], capture_output=True, text=True, check=True
    )
    assert log.read_text() == "from a library\n"
    assert run.stderr.splitlines() == ["from python", "from the voice", "from a library later"]
    # without a terminal nothing is cut to the width of one
    assert run.stdout == "x" * 90 + "\n"


def test_without_a_terminal_a_stage_speaks_now_and_then(monkeypatch, capsys):
    clock = iter([0.0, 61.0, 62.0, 125.0])
    monkeypatch.setattr(console.time, "perf_counter", lambda: next(clock))
    with console.Voice().bars() as bars:
        for number in range(1, 5):
            bars.advance("relaxation", number, 451, f"crystal {number}")
    lines = [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "relaxation …",
        "relaxation 2 of 451 after 1 min, 228 min left crystal 2",
        "relaxation 4 of 451 after 2 min, 233 min left crystal 4",
    ]

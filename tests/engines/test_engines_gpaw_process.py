from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import standin_gpaw

from atomate2_vogen.engines import gpaw_process
from atomate2_vogen.engines.gpaw_process import find_gpaw, resolve_command, run_driver
from atomate2_vogen.errors import (
    ConvergenceError,
    EngineError,
    EngineOutputError,
    EngineStoppedError,
    EngineTimeoutError,
    MissingDependencyError,
)

REQUEST = {
    "task": "static",
    "structure": {
        "symbols": ["V", "O"],
        "cell": [[3, 0, 0], [0, 3, 0], [0, 0, 3]],
        "scaled_positions": [[0, 0, 0], [0.5, 0.5, 0.5]],
        "magmoms": [5.0, 0.6],
    },
}


def standin(temper=""):
    """Command of the stand-in."""
    return shlex.join([sys.executable, standin_gpaw.__file__, "--temper", temper])


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a zombie of another parent has ended
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_result_is_what_the_driver_wrote(tmp_path):
    result = run_driver(REQUEST, tmp_path, command=standin())
    assert result["energy"] == 2 * standin_gpaw.ENERGY
    sent = json.loads((tmp_path / "request.json").read_text())
    assert sent == {"schema_version": 1, **REQUEST}


@pytest.mark.parametrize(
    ("temper", "error", "message"),
    [
        ("not converged", ConvergenceError, "did not converge: KohnSham"),
        ("error", EngineStoppedError, "AtomsTooClose: 0.1"),
        ("killed", EngineStoppedError, "SIGKILL, perhaps out of memory"),
        ("exits", EngineStoppedError, "exit code 3"),
        ("silent", EngineOutputError, r"left no result\.json"),
        ("garbage", EngineOutputError, "damaged"),
        ("nan", EngineOutputError, "NaN"),
        ("version", EngineOutputError, "version 2"),
    ],
)
def test_failures_are_typed_and_show_the_log(temper, error, message, tmp_path):
    with pytest.raises(error, match=message) as caught:
        run_driver(REQUEST, tmp_path, command=standin(temper))
    assert isinstance(caught.value, EngineError)
    # a job that is recorded as failed, not one that waits to be run again
    assert not isinstance(caught.value, OSError)
    if temper != "version":
        assert "the end of the text of GPAW" in str(caught.value)
        assert "what the driver printed" in str(caught.value)


def test_timeout_ends_the_whole_family(tmp_path, monkeypatch):
    # the clock begins when the stand-in has its child
    file = tmp_path / "pids.json"
    monkeypatch.setattr(
        gpaw_process,
        "_watch",
        lambda _: wait_for(lambda: file.is_file() and file.read_text()[-1:] == "]"),
    )
    with pytest.raises(EngineTimeoutError, match=r"within 0\.2 s"):
        run_driver(REQUEST, tmp_path, command=standin("hangs"), timeout=0.2)
    pids = json.loads(file.read_text())
    wait_for(lambda: not any(is_alive(pid) for pid in pids))


def test_interrupt_ends_the_whole_family(tmp_path):
    code = (
        "import signal, sys; sys.path.insert(0, sys.argv[1])\n"
        # a suite in the background hands down that interrupts are ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from atomate2_vogen.engines.gpaw_process import run_driver\n"
        f"run_driver({REQUEST!r}, Path(sys.argv[2]), command=sys.argv[3])\n"
    )
    support = str(Path(standin_gpaw.__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", code, support, str(tmp_path), standin("hangs")],
        stderr=subprocess.DEVNULL,
    )
    pids = tmp_path / "pids.json"
    wait_for(lambda: pids.is_file() and pids.read_text().endswith("]"))
    process.send_signal(signal.SIGINT)
    assert process.wait(600) != 0
    wait_for(lambda: not any(is_alive(pid) for pid in json.loads(pids.read_text())))


DRIVER = Path(gpaw_process.__file__).parent / "files" / "gpaw_driver.py"


@pytest.mark.parametrize(("first", "ends"), [("watch\n", True), ("", False)])
def test_driver_ends_with_its_parent(first, ends):
    # the driver's own thread, in a process whose input is a pipe that ends
    code = (
        f"import runpy, threading, time; m = runpy.run_path({str(DRIVER)!r})\n"
        "threading.Thread(target=m['end_with_parent'], daemon=True).start()\n"
        "time.sleep(1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=first.encode(), check=False)
    assert done.returncode == (70 if ends else 0)


def test_driver_that_is_watched_ends_well(tmp_path):
    # its thread waits on the pipe while the interpreter ends
    code = (
        f"import runpy, threading, time; m = runpy.run_path({str(DRIVER)!r})\n"
        "threading.Thread(target=m['end_with_parent'], daemon=True).start()\n"
        "time.sleep(0.5)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(gpaw_process.WATCH)
    process.stdin.flush()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


def test_gpaw_does_not_take_itself_for_a_part_of_this_program(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    environment = gpaw_process._environment()
    assert "OMPI_COMM_WORLD_SIZE" not in environment
    assert environment["OMP_NUM_THREADS"] == "3"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert gpaw_process._environment()["OMP_NUM_THREADS"] == "1"


def test_driver_knows_the_same_protocol():
    import runpy

    driver = runpy.run_path(str(DRIVER))
    assert driver["PROTOCOL_VERSION"] == gpaw_process.PROTOCOL_VERSION
    assert driver["DENSITY"] == gpaw_process.DENSITY
    assert driver["TEXT"] == gpaw_process.TEXT
    assert driver["WATCH"] == gpaw_process.WATCH


def test_driver_writes_whole_results_without_nan(tmp_path):
    import runpy

    write = runpy.run_path(str(DRIVER))["write"]
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path / "result.json", {"energy": float("nan")})
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "result.json", {"energy": 1.0})
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_versions_are_asked_of_the_command():
    assert find_gpaw(standin()) == standin_gpaw.VERSIONS


def test_absent_gpaw_tells_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GPAW_COMMAND", raising=False)
    for command in ("", "no-such-mpiexec -n 2 gpaw python"):
        with pytest.raises(MissingDependencyError, match="pip install --no-binary gpaw"):
            resolve_command(command)
    monkeypatch.setenv("GPAW_COMMAND", "no-such-program")
    with pytest.raises(MissingDependencyError, match="no-such-program"):
        resolve_command()


def test_python_without_gpaw_tells_how_to_install_it(tmp_path):
    with pytest.raises(MissingDependencyError, match="apt-get install"):
        find_gpaw(standin("no gpaw"))
    with pytest.raises(MissingDependencyError, match="apt-get install"):
        run_driver(REQUEST, tmp_path, command=standin("no gpaw"))


def test_command_comes_from_argument_then_environment_then_path(monkeypatch, tmp_path):
    program = tmp_path / "gpaw"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("GPAW_COMMAND", raising=False)
    assert resolve_command() == (str(program), "python")
    monkeypatch.setenv("GPAW_COMMAND", "env 'a b'")
    assert resolve_command() == (shutil.which("env"), "a b")
    assert resolve_command("true x") == (shutil.which("true"), "x")
    monkeypatch.chdir(tmp_path)
    assert resolve_command("./gpaw python") == (str(program), "python")


def test_install_lines_name_what_the_example_installs():
    script = Path(__file__).parents[2] / "examples" / "gpaw" / "install.sh"
    text = script.read_text()
    for word in ("libxc-dev libopenblas-dev libfftw3-dev libopenmpi-dev", '"gpaw>=26,<27"'):
        assert word in text
        assert word in gpaw_process.INSTALL

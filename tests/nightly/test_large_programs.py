"""More of what the programs promise: large models, memory, sanitizers, and processes that are killed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import BUILD, CONTRACTS, MICROGPT, ROOT, command, lacking, run

pytestmark = pytest.mark.nightly
TORCH, PLACES = BUILD / "efficiency" / "torch_gpt.py", ROOT / "docs" / "places.txt"
SMALL = ["--n_embd=8", "--n_head=2", "--n_layer=2", "--block_size=8", "--samples=2"]


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_memory(*arguments):
    """Return the peak resident memory of a run, in bytes.

    A process counts the memory of the one that it was forked from, and pytest's is large; so a small one starts it.
    """
    command = [sys.executable, "-c", PEAK, sys.executable, MICROGPT, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module on this system")
def test_memory_stays_flat_and_small(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(a + b + "lexandrinaabc" for a in "abcdef" for b in "ghijkl"))  # as long as the longest
    short, long = (peak_memory(names, "--num_steps", steps, "--samples", 1) for steps in (4, 24))
    assert long - short < 2e6
    assert peak_memory("--num_steps", 4, "--samples", 1) < 48e6  # with the whole list of names, though not its longest


@pytest.mark.parametrize("target", [target for target in CONTRACTS if target.endswith(".c")])
def test_c_runs_clean_under_the_sanitizers(target, tmp_path):
    if missing := lacking(target):
        pytest.skip(f"{target} needs {missing}")
    words = command(target, tmp_path, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1")
    for sizes in (["--num_steps=20"], ["--num_steps=2", "--n_embd=12", "--n_head=3", "--n_layer=2", "--block_size=5"]):
        done = subprocess.run([*words, *sizes], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
    for word in ("n_embd", "", "-", "--", "--n_embd"):  # no flag and its number
        done = subprocess.run([*words, "a", word], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert re.fullmatch("microgpt: .*\n", done.stderr), done.stderr


@pytest.mark.parametrize("victim", ["first", "other"])
def test_nobody_waits_for_a_worker_that_was_killed(victim, tmp_path):
    if missing := lacking("efficiency/batched.c"):
        pytest.skip(f"batched.c needs {missing}")
    words = [*command("efficiency/batched.c", tmp_path), "--num_steps=100000000", "--workers=3"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        while "step" not in first.stdout.readline():
            pass
        others = subprocess.run(["pgrep", "-P", str(first.pid)], capture_output=True, text=True, check=True).stdout
        workers = [int(pid) for pid in others.split()]
        assert len(workers) == 2
        os.kill(first.pid if victim == "first" else workers[0], signal.SIGKILL)
        _, errors = first.communicate(timeout=60)
    if victim == "other":
        assert first.returncode == 1
        assert errors == "microgpt: a worker was ended by signal 9\n"
    end = time.monotonic() + 60
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < end, "a worker goes on alone"
        time.sleep(0.05)


def is_running(pid):
    """Return whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def steps_and_samples(output):
    """Return the lines of a run that have a loss or a sample."""
    return re.findall("^(?:step|sample).*", output, re.M)


def test_two_machines_go_on_as_one_would_though_only_the_first_has_the_checkpoint(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
    flags, disks = [*SMALL, "--batch_size=6", "--device=cpu"], [tmp_path / "first", tmp_path / "second"]
    for folder in disks:
        folder.mkdir()
    assert run(PLACES, *flags, "--num_steps=10", "--checkpoint", disks[0] / "gpt.pt", program=TORCH).returncode == 0
    shutil.copy(disks[0] / "gpt.pt", tmp_path / "alone.pt")
    alone = run(PLACES, *flags, "--num_steps=20", "--checkpoint", tmp_path / "alone.pt", program=TORCH).stdout
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
        settings["MASTER_PORT"] = str(server.getsockname()[1])
    command = [sys.executable, TORCH, PLACES, *flags, "--num_steps=20", "--checkpoint=gpt.pt"]
    processes = [
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env={**os.environ, **settings, "RANK": str(rank)})
        for rank, folder in enumerate(disks)
    ]  # fmt: skip
    (output, errors), other = (process.communicate(timeout=120) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], errors + other[1]
    assert steps_and_samples(output) == steps_and_samples(alone)
    assert other[0] == "" and not [*disks[1].iterdir()]


def test_where_a_process_is_killed_the_run_ends_and_says_so():
    pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", TORCH, PLACES]
    process = subprocess.Popen(
        [*command, *SMALL, "--device=cpu", "--num_steps=1000000", "--batch_size=2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("step   10 "):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text(encoding="ascii").split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "exitcode  : -9" in errors or "microgpt: another process is gone" in errors

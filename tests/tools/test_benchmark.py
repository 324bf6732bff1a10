"""How the laboratory sums up the times it has measured; no test asserts the times themselves."""

import json
import sys

import pytest
from laboratory import benchmark, parts
from programs import CONTRACTS, ROOT

RECORD, OTHER = ROOT / "docs" / "benchmark.json", ROOT / "docs" / "experiments.json"


def test_ratios_are_taken_within_a_round_to_the_slowest():
    runs = {"fast.c": [(0.5, 8.0), (2.0, 9.0), (1.0, 7.0)], "slow.py": [(10.0, 50.0), (20.0, 60.0), (30.0, 50.0)]}
    rows = benchmark.summary(runs)
    assert [*rows] == ["slow.py", "fast.c"]
    assert rows["slow.py"]["ratio"] == 1
    assert [*rows["fast.c"].values()] == [1.0, 0.5, 2.0, 9.0, 20.0, 10.0, 30.0]  # times, memory, ratios
    lines = [*benchmark.table(rows)]
    assert "20.0" in lines[2] and "build/fast.c" in lines[2]


def refused(command, words, monkeypatch, capsys):
    """Return what a command says as it refuses some words."""
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    with pytest.raises(SystemExit, match="2"):
        command()
    return capsys.readouterr().err


def test_what_makes_no_sense_is_refused_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    for words, message in (
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--programs", "x"], "not timed here: x"),
        (["--programs", "microgpt.py", "--beside", "sleep 1"], "must say where the number of steps"),
        *((["--record", path], "not a record of this benchmark: name another file") for path in (OTHER, ROOT)),
    ):
        assert message in refused(benchmark.main, words, monkeypatch, capsys)
    assert benchmark.is_free(RECORD) and benchmark.is_free(tmp_path / "new.json")


def test_a_program_that_is_not_ours_is_timed_beside_ours(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "NOISE", 9.0)  # so two rounds will do

    def said(command):
        words = ["--beside", command, "--steps", "1", "5", "--names", "2", "--programs", "microgpt.py", "--rounds", "2"]
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
        benchmark.main()
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    _, theirs, ours, *_ = said(f"{sys.executable} -c 'print([i * i for i in range(400_000 * {{steps}})][-1])'")
    assert float(ours[4]) == pytest.approx(float(theirs[-4]) / float(ours[1]), rel=0.5)
    python = f"{sys.executable} -c"
    failures = {"no-such": "cannot run no-such", f"{python} exit(1)": "status 1", f"{python} 1": "printed nothing"}
    for command, message in failures.items():
        with pytest.raises(SystemExit, match=message):
            said(command + " {steps}")


def test_the_record_in_the_essay_is_of_the_programs_that_there_are():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    takes_part = {target for target, options in CONTRACTS.items() if {"prints", "losses"} & options.keys()}
    command = "python docs/laboratory/benchmark.py --grow --record docs/benchmark.json"
    assert {*record["programs"]} == takes_part | {"microgpt.py"}, f"run {command} again"
    assert {*record["others"]} == {*benchmark.OTHERS}
    assert {*record["growth"]} == {*benchmark.SIZES, "batch_size"}
    assert {*record["parts"]} == {*parts.PROGRAMS}
    assert record["peak"] > 0


def test_devices_times_a_step_on_the_processor_and_beside_it_microgpt(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
    from laboratory import devices

    monkeypatch.setattr(devices, "enough", lambda words, *_, **__: 4)
    monkeypatch.setattr(devices, "measure", lambda words, steps: (7.0, 2.0))
    monkeypatch.setattr(devices, "peaks", lambda device: {"float64": 1.0})
    words = ["--widths", "16", "--batches", "2", "--record", str(tmp_path / "new.json")]
    monkeypatch.setattr(sys, "argv", ["devices.py", *words])
    devices.main()
    record = json.loads((tmp_path / "new.json").read_bytes())
    row = record["rows"][0]
    assert (row["device"], row["parameters"]) == ("cpu", 2 * 27 * 16 + 16 * 16 + 12 * 16 * 16)
    # 32 tokens; for each weight of a matrix two operations forward and four back; half of 16 scores, and as many means
    assert row["operations"] == 32 * 6 * (12 * 16 * 16 + 27 * 16 + 16 * 16)
    assert 0 < row["from"] <= row["seconds"] <= row["to"]
    assert record["others"]["microgpt.py"] == [[16, 0.007]]
    assert "not a record of this tool" in refused(devices.main, ["--record", RECORD], monkeypatch, capsys)

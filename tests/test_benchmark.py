"""What tests/tools/benchmark.py makes of its measurements; the times themselves are nobody's promise."""

import json
import runpy
import sys
from types import SimpleNamespace

import pytest
from programs import CONTRACTS, ROOT

BENCHMARK = runpy.run_path(str(ROOT / "tests" / "tools" / "benchmark.py"))


def test_ratios_are_taken_within_a_round_to_the_slowest():
    runs = {"fast.c": [(0.5, 8.0), (2.0, 9.0), (1.0, 7.0)], "slow.py": [(10.0, 50.0), (20.0, 60.0), (30.0, 50.0)]}
    found = BENCHMARK["summary"](runs)
    assert [*found] == ["slow.py", "fast.c"]
    assert found["slow.py"]["ratio"] == 1
    fast = found["fast.c"]
    assert (fast["milliseconds"], fast["from"], fast["to"], fast["memory"]) == (1.0, 0.5, 2.0, 9.0)
    assert (fast["ratio"], fast["ratio_from"], fast["ratio_to"]) == (20.0, 10.0, 30.0)
    lines = [*BENCHMARK["table"](found)]
    assert "20.0" in lines[2] and "build/fast.c" in lines[2]


def test_who_promises_the_same_lines_is_held_to_it(monkeypatch):
    outputs = {"a": "loss 1\n", "b": "loss 2\n"}
    module = BENCHMARK["same_lines"].__globals__
    monkeypatch.setitem(module, "CONTRACTS", {"a": {}, "b": {"prints": "a"}})
    monkeypatch.setitem(module, "run", lambda words, steps: (0, 0, outputs[words]))
    with pytest.raises(SystemExit, match="b and a print different lines"):
        BENCHMARK["same_lines"]({"a": "a", "b": "b"})


def test_a_record_replaces_nothing_but_a_record(tmp_path):
    record, other = tmp_path / "record.json", ROOT / "docs" / "experiments.json"
    record.write_text('{"rounds": 5, "programs": {}}', encoding="utf-8")
    assert BENCHMARK["is_free"](record) and BENCHMARK["is_free"](tmp_path / "new.json")
    assert not any(map(BENCHMARK["is_free"], (other, ROOT / "microgpt.md", tmp_path)))


def test_a_record_that_was_saved_while_the_programs_ran_is_left_as_it_is(tmp_path, monkeypatch):
    record = tmp_path / "record.json"
    module = BENCHMARK["compare"].__globals__
    monkeypatch.setitem(module, "command_of", lambda label, folder: label)
    monkeypatch.setitem(module, "OTHERS", ())
    monkeypatch.setitem(module, "same_lines", lambda commands: record.write_text("mine", encoding="utf-8"))
    monkeypatch.setitem(module, "enough", lambda words: 20)
    monkeypatch.setitem(module, "measure", lambda words, steps: (1.0, 2.0))
    monkeypatch.setitem(module, "peak", lambda: None)
    options = SimpleNamespace(rounds=1, grow=False, record=str(record))
    with pytest.raises(SystemExit, match="was saved in the meantime"):
        BENCHMARK["compare"](["microgpt.py"], options)
    assert record.read_text(encoding="utf-8") == "mine"


def test_what_makes_no_sense_is_refused_before_anything_is_measured(monkeypatch, capsys):
    other = str(ROOT / "docs" / "experiments.json")
    for arguments, says in (
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--programs", "x"], "takes part: x"),
        (["--record", other], "no record of this benchmark: name another file"),
    ):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments])
        with pytest.raises(SystemExit, match="2"):
            BENCHMARK["main"]()
        assert says in capsys.readouterr().err


def test_the_record_in_the_essay_is_of_the_programs_that_there_are():
    record = json.loads((ROOT / "docs" / "benchmark.json").read_text(encoding="utf-8"))
    takes_part = {target for target, options in CONTRACTS.items() if {"prints", "losses"} & options.keys()}
    assert {*record["programs"]} == takes_part | {"microgpt.py"}, "run tests/tools/benchmark.py --grow --record again"
    assert {*record["others"]} == {*BENCHMARK["OTHERS"]}
    assert {*record["growth"]} == {*BENCHMARK["SIZES"], "batch_size"}
    assert {*record["parts"]} == {*BENCHMARK["all_parts"].__globals__["PROGRAMS"]}
    assert record["peak"] > 0


def test_devices_times_a_step_on_the_processor_and_beside_it_microgpt(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed: .venv/bin/pip install --group torch")
    main = runpy.run_path(str(ROOT / "tests" / "tools" / "devices.py"))["main"]  # here: PyTorch takes long to start

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["devices.py", *map(str, words)])
        main()

    monkeypatch.setitem(main.__globals__, "enough", lambda words, *_, **__: 4)
    monkeypatch.setitem(main.__globals__, "measure", lambda words, steps: (7.0, 2.0))
    monkeypatch.setitem(main.__globals__, "peaks", lambda device: {"float64": 1.0})
    call("--widths", "16", "--batches", "2", "--record", tmp_path / "new.json")
    record = json.loads((tmp_path / "new.json").read_bytes())
    row = record["rows"][0]
    assert (row["device"], row["parameters"]) == ("cpu", 2 * 27 * 16 + 16 * 16 + 12 * 16 * 16)
    # 32 tokens; for each weight of a matrix two operations forward and four back; half of 16 scores, and as many means
    assert row["operations"] == 32 * 6 * (12 * 16 * 16 + 27 * 16 + 16 * 16)
    assert 0 < row["from"] <= row["seconds"] <= row["to"]
    assert record["others"]["microgpt.py"] == [[16, 0.007]]
    assert BENCHMARK["is_free"](tmp_path / "new.json", ("rows", "peaks"))
    kept = (ROOT / "docs" / "benchmark.json").read_bytes()
    for words, problem in (
        (["--record", ROOT / "docs" / "benchmark.json"], "no record of this tool: name another file"),
        (["--widths", "18"], "--widths must be multiples of 4"),
    ):
        with pytest.raises(SystemExit, match="2"):
            call(*words)
        assert problem in capsys.readouterr().err
    assert (ROOT / "docs" / "benchmark.json").read_bytes() == kept

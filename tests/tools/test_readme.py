"""README.md and docs/tools.md: each of their commands is run as it is written, in a copy of the project."""

import json
import re
import sys
from pathlib import Path

import mutation
import pytest
from commands import BY_HAND, ENDING, ENDLESS, FIRST, OTHERS, README, TEST, start
from programs import FENCES, ROOT, copy_of_the_project, run


def test_every_command_is_tested():
    assert {FIRST, TEST, *OTHERS} == {FIRST, TEST} | ENDLESS.keys() | ENDING.keys() | BY_HAND
    assert ".venv/bin/pytest" in TEST


@pytest.mark.slow
def test_the_first_command_trains_and_invents_names(tmp_path):
    """As it is written, in a fresh copy: the lines are those that README and essay show."""
    process = start(FIRST, copy_of_the_project(tmp_path))
    output, _ = process.communicate()
    assert process.returncode == 0, output
    essay = next("\n".join(fence.code) for fence in FENCES if f"$ {FIRST}" in fence.code)
    for text in (README, essay):
        shown = re.findall(r"^(?:step|sample) .*", text, re.M)
        assert len(shown) >= 7
        assert [line for line in shown if line not in output.splitlines()] == []


@pytest.mark.parametrize("command", ENDING)
def test_a_command_does_what_it_is_there_for(copy, command):
    tool = re.search(r"\.venv/bin/(\S+)", command)
    if tool and not Path(sys.prefix, "bin", tool[1]).exists():
        pytest.skip(f"{tool[1]} is not installed")
    if "weave" in command:
        pytest.importorskip("pweave", reason="Pweave is not installed")
    process = start(command, copy)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert re.search(ENDING[command], output), f"{command} says:\n{output}"


def test_the_flags_are_those_of_the_program():
    documented = dict(re.findall(r"^\| `--(\w+)` \| ([\d.]+) \| .* \|$", README, re.M))
    actual = dict(re.findall(r"--(\w+) \w+\s+[^()]*\(([\d.]+)\)", run("--help").stdout))
    assert documented == actual


def test_its_numbers_are_those_of_the_records():
    speed, trials = (json.loads((ROOT / "docs" / name).read_text()) for name in ("benchmark.json", "experiments.json"))
    assert re.findall(r"(\d+) times\]", README) == [f"{speed['programs']['microgpt.py']['ratio']:.0f}"]
    experiments, base = [*trials["experiments"].values()], trials["programs"]["microgpt.py"]
    caught = str(sum(mutation.changes_something(entry, base) for entry in experiments))
    assert {*re.findall(r"(\d+) experiments", README)} == {str(len(experiments))}
    assert re.findall(r"(\d+) of them change|catch all (\d+)", README) == [(caught, ""), ("", caught)]


def test_links_to_files_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []

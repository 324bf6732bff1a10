"""Numbers in the prose: how they are written, and that putting them right changes nothing else in the essay."""

import re

import pytest
from essays import SMALL, project, with_prose
from weaver.essay import Essay
from weaver.pipeline import Weave, weave
from weaver.prose import NUMBER, Number, Reading
from weaver.prose_numbers import complaints, corrected, corrections, written_like
from weaver.results import Result

import tangle


@pytest.mark.parametrize(("text", "value", "right"), [
    ("4,192", 999, "999"), ("1000", 12345, "12345"), ("999", 12345, "12,345"), ("2.41", 2.4078, "2.41"),
    ("-3", -4, "-4"), ("3", -4, "−4"), ("0.0", -1e-9, "0.0"), ("1.5e5", 123456, "1.2e5"), ("1E+05", 2e5, "2E+05"),
    ("1e-05", 2e-5, "2e-05"), ("5", True, "1"),
])  # fmt: skip
def test_numbers_are_written_like_those_before(text, value, right):
    assert written_like(text, value) == right
    assert NUMBER.fullmatch(f"{right}<!-- = x -->")["text"] == right
    assert written_like(right, value) == right


def numbers_of(text):
    """Return the numbers in the prose of an essay."""
    return sorted(Reading(Essay(text)).numbers)


def test_a_number_that_is_wrong_is_told_with_what_it_should_be():
    (number,) = numbers_of(SMALL)
    assert number == Number(36, 14, "8", "double(4)")
    assert corrections([number], [8]) == corrections([number], [8.2]) == corrections([number], [None]) == []
    wrong = corrections([number], [9])
    message = "the number 8 should be 9, which is double(4) (--update corrects it)"
    assert complaints(wrong) == [(36, message)]


# Putting them right

PROSE = """\
3-5<!-- = 6 --> GPT-2<!-- = 6 --> 1e5<!-- = 6 -->.
- é 5<!-- = 6 --> and 5<!-- = 6 -->,
  𝒳 5<!-- = 6 -->

| 5<!-- = 6 --> | `5<!-- = 6 -->` |
| - | - |

## About 5<!-- = 6 --> things

    5<!-- = 6 -->
"""


def put_right(data, value=6):
    """Return the essay, as bytes, in which all numbers have that value."""
    numbers = numbers_of(tangle.decode(data))
    return corrected(data, corrections(numbers, [value] * len(numbers)))


def test_only_the_digits_change():
    lines = with_prose(PROSE).splitlines()
    data = "\ufeff" + "".join(line + ("\r\n", "\n", "\r")[i % 3] for i, line in enumerate(lines))
    new = re.sub("(?<!`)(?<!    )[0-9](e5)?<!-- = 6 -->", lambda match: f"6{'e0' * bool(match[1])}<!-- = 6 -->", data)
    assert new.count("6<!--") == 7
    assert put_right(data.encode()) == new.encode()


def test_what_is_right_changes_no_byte():
    for data in (b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode(), SMALL.rstrip("\n").encode()):
        assert put_right(data, 8) == data


def with_result(root, text):
    """Return a weave of a project whose only session has a result: the demonstration's, and that of the number."""
    woven = Weave(root)
    (session,) = woven.outcome.sessions
    woven.outcome.results[session] = [Result("8\n", []), Result(text, [])]
    return woven


def test_update_writes_the_right_number(tmp_path):
    woven = with_result(project(tmp_path), "9\n")
    assert woven.update() == 1
    assert woven.path.read_text() == SMALL.replace("8<!--", "9<!--")
    assert with_result(tmp_path, "9\n").update() == 0


def test_an_essay_that_is_saved_during_an_update_is_never_lost(tmp_path):
    woven = with_result(project(tmp_path), "9\n")
    saved = SMALL + "\nMore.\n"
    woven.path.write_text(saved, encoding="utf-8")
    with pytest.raises(OSError, match="saved in the meantime"):
        woven.update()
    assert woven.path.read_text(encoding="utf-8") == saved
    assert {path.name for path in tmp_path.iterdir()} == {"docs", "tangle.py", "mkdocs.yml", "microgpt.md"}


def test_update_writes_through_a_link_and_keeps_the_permissions(tmp_path):
    root = project(tmp_path / "project")
    (root / "microgpt.md").rename(tmp_path / "real.md")
    (tmp_path / "real.md").chmod(0o600)
    (root / "microgpt.md").symlink_to(tmp_path / "real.md")
    assert with_result(root, "9\n").update() == 1
    assert (root / "microgpt.md").is_symlink()
    assert "9<!--" in (tmp_path / "real.md").read_text(encoding="utf-8")
    assert (tmp_path / "real.md").stat().st_mode & 0o777 == 0o600


def test_a_wrong_number_ends_the_weave_and_no_page_is_written(tmp_path):
    woven = with_result(project(tmp_path), "9\n")
    (session,) = woven.outcome.sessions
    woven.outcome.cache.write(session, woven.outcome.results[session])
    with pytest.raises(tangle.TangleError) as caught:
        weave(tmp_path, print)
    assert caught.value.errors[0][0] == 36
    assert not (tmp_path / "build" / "pages").exists()
    said = []
    weave(tmp_path, said.append, update=True)  # the result is in the cache
    chapters = "build/essay: files that have changed: 2, such as README.md; commit them"
    assert said == ["microgpt.md: numbers corrected: 1", chapters]
    assert "is 9." in (tmp_path / "build" / "pages" / "two" / "index.md").read_text(encoding="utf-8")

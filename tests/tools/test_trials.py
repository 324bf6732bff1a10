"""Experiments on the site: the box, the words made from the record, the listing, the map, and stale records."""

import html
import json
import math
import re
import subprocess
import sys
from textwrap import dedent
from xml.etree import ElementTree

import pytest
from essays import project, run_weave
from laboratory import record as records
from weaver import chapters, minimap, trials
from weaver.essay import Essay, WeaveError
from weaver.pipeline import Weave
from weaver.prose import Reading
from weaver.render import Renderer
from weaver.trials import Findings

pytest.importorskip("pygments", reason="the weaver needs Pygments")

TEXT = dedent("""\
    # One

    Leave the [root](#experiment-no-root) out? A [gradient](#term-gradient)?

    ``` python {file=microgpt.py}
    <<start>>

    <<attend>>

    <<command-line>>
    ```

    ``` python {#start}
    import math

    def double(x): return 2 * x
    ```

    ``` diff {#no-root steps=30 title="No `root` & *all*"}
         # a remark
    -    size = math.sqrt(len(query))
    +    size = 1 < 2
    @@
    +import os
     import math
    ```

    > It is ⟨attend⟩ that gets 8<!-- = 8 --> too large.
    > So *there*.
    >
    > - a

    What if nothing were there?

    ``` diff {#nothing title="Nothing"}
     def attend(query):
    +    again = 0
    ```

    > This is a quotation
    of its own.

    > No, it is the same one.

    And this is not.

    > A quotation.

    # Two

    ``` python {#attend}
    def attend(query):
        \"\"\"Return it.

        At once.
        \"\"\"
        # a remark
        size = math.sqrt(len(query))

        return double(size)
    ```

    ``` python {#command-line}
    print(attend([1]))
    <<the-end>>
    ```

    ``` python {#the-end}
    def learn(): return attend([1])

    def guess(): return learn()
    ```

    gradient
    :   The direction of the steepest way up, as `double` has it.

    ## Solution: one *more*

    It is hidden.

    ``` python {file=hidden.py}
    <<hidden>>
    ```

    ``` python {#hidden}
    print("hidden")
    ```

    ## After it
    """)

ENTRY = {
    "key": "x", "seeds": [42, 43], "unseen": [2.5, 2.6], "seen": [2.4, 2.5], "parameters": 9, "names": [90, 91],
    "steps": 1000, "samples": ["karel", "anna"], "printed": [3.5, 3.4, 3.3, 2.5], "raised": None,
    "milliseconds": 20.0, "how": "machine", "program": "microgpt.py",
}  # fmt: skip
STOPPED = {"step": 3, "error": "ValueError: <no>", "seeds": 2}


def entry(**changes):
    """Return what is recorded of an experiment, with changes."""
    return ENTRY | changes


def record_of(**entries):
    """Return a record with some experiments, with _ for the hyphens in their names."""
    found = {name.replace("_", "-"): value for name, value in entries.items()}
    head = {"date": "2026-11-24", "machine": "a machine", "python": "3.11.2"}
    return head | {"programs": {"microgpt.py": ENTRY}, "experiments": found}


def box_of(name, record=None):
    """Return the HTML of an experiment of TEXT."""
    essay = Essay(TEXT)
    reading = Reading(essay)
    assert reading.errors == []
    findings = Findings(record or record_of(), reading.explanations, ["no-root"])
    renderer = Renderer(essay, {}, {}, findings=findings)
    return str(renderer.fence(essay.experiments[name].fence))


def text_of(markup):
    """Return the text that a reader sees."""
    return html.unescape(re.sub("<[^>]*>", "", str(markup)))


# What it changes


@pytest.mark.parametrize(("lines", "gone", "followed"), [
    ("+a = 2\n-a = 1", [7], []), ("+a = 2\n a = 1", [], [7]), (" c = 3\n+a = 2", [], [9]),
    ("-a = 1\n-b = 2\n+d = 1\n c = 3\n+e = 1", [7, 8], [9]), ("-a = 1\n@@\n-c = 3", [7, 9], []),
])  # fmt: skip
def test_a_line_is_marked_where_something_is_put_after_it_and_not_where_one_replaces_it(lines, gone, followed):
    essay = Essay(f"# One\n``` python {{file=x.py}}\n<<a>>\n```\n\n``` python {{#a}}\na = 1\nb = 2\nc = 3\n```\n\n"
                  f"``` diff {{#try-it}}\n{lines}\n```\n")  # fmt: skip
    assert trials.all_touched(essay) == {"try-it": (gone, followed)}


def test_an_experiment_has_a_title_of_its_own():
    line, other = (TEXT.split("\n").index(head) + 1 for head in TEXT.split("\n") if head.startswith("``` diff"))
    untitled, twice = (TEXT.replace(' title="Nothing"', title) for title in ("", ' title="No root & *all*"'))
    assert trials.complaints(Essay(untitled), []) == [
        (other, 'experiment nothing has no title: add title="…" inside the braces')
    ]
    said = f"experiment nothing has the title of the one on line {line}"
    assert trials.complaints(Essay(twice), []) == [(other, said)]


def test_an_experiment_that_does_not_fit_is_a_complaint_and_the_page_shows_it():
    """It changes nothing that is known, so there is nothing to measure, and no record to be stale."""
    text = TEXT.replace("-    size = math.sqrt(len(query))", "-    size = math.sqrt(3)")
    assert text != TEXT
    essay = Essay(text)
    assert trials.all_touched(essay)["no-root"] == ([], [])
    renderer = Renderer(essay, {}, {}, findings=Findings(explanations=Reading(essay).explanations))
    assert "size = math.sqrt(3)" in text_of(renderer.fence(essay.experiments["no-root"].fence))
    line = essay.lines.index("-    size = math.sqrt(3)") + 1
    said = "experiment no-root: a line that it removes has changed; it was: size = math.sqrt(3)"
    assert [(number, message[: len(said)]) for number, message in trials.complaints(essay, [])] == [(line, said)]
    jobs = records.jobs(essay.fences, essay.tangled)
    assert ("experiments", "no-root") not in jobs


# The box


def test_the_box_shows_the_lines_with_their_signs_and_what_they_change():
    box = box_of("no-root")
    assert '<div class="experiment" id="experiment-no-root">' in box
    assert '<h2 class="chunk-name" id="experiment-no-root_code">No <code>root</code> &amp; <em>all</em></h2>' in box
    assert text_of(re.search("changes (.*)", box)[1]) == "⟨start⟩, ⟨attend⟩"
    kinds = re.findall('<span class="line (?:removed|added|kept|divided)', box)
    assert [kind.split()[-1] for kind in kinds] == ["kept", "removed", "added", "divided", "added", "kept"]
    assert text_of(re.search('(?s)<pre class="code"[^>]*>(.*?)</pre>', box)[1]).split("\n") == [
        "      # a remark", "-     size = math.sqrt(len(query))", "+     size = 1 < 2", "…", "+ import os",
        "  import math", "",
    ]  # fmt: skip


def test_what_happens_is_folded_away_and_says_how_to_run_it():
    head, fold = box_of("no-root").split("<details data-search-exclude><summary>What happens?</summary>")
    assert "to run it" not in head.lower()
    assert '<p><span class="finding">(has not been measured yet)</span></p>' in fold
    assert "<code>python3 tangle.py --run microgpt.py --break no-root</code>" in fold
    assert "<code>… --break nothing</code>" in box_of("nothing")  # the command is told once a page


def test_the_quotation_directly_after_an_experiment_is_its_explanation():
    reading = Reading(Essay(TEXT))
    first, second = reading.explanations.values()
    assert text_of(first).split("\n") == ["It is ⟨attend⟩ that gets 8 too large.", "So there.", "", "a", ""]
    assert "blockquote" not in first
    assert re.findall("<p>(?s:.*?)</p>", second) == ["<p>This is a quotation\nof its own.</p>",
                                                     "<p>No, it is the same one.</p>"]  # fmt: skip
    prose = "".join(part for part in reading.pages[""] if isinstance(part, str))
    assert prose.count("<blockquote>") == 1
    assert "gets" not in prose and "same one" not in prose
    assert first in box_of("no-root")
    (number,) = reading.numbers
    line = TEXT.split("\n")[number.line - 1]
    assert line[number.column :].startswith("8<!-- = 8 -->")


# The record, in words


@pytest.mark.parametrize(("changes", "said"), [
    ({}, "Loss on unseen names stays at 2.550. Writes the same names."),
    ({"unseen": [2.4, 2.55], "samples": ["a", "b", "c", "d"]},
     "Loss on unseen names 2.475 (2.550 − 0.075 ± 0.035, 2 pairs). This could be luck. Writes a, b, c."),
    ({"unseen": [2.53, 2.63]}, "Loss on unseen names 2.580 (2.550 + 0.030 ± 0.000, 2 pairs). Writes the same names."),
    ({"unseen": [2.9, 52.4]}, "Loss on unseen names between 2.90 and 52.40 (2.550 without the change). Writes"),
    ({"unseen": [2.4, None]}, "Loss on unseen names 2.400 (2.500 − 0.100, 1 pair). Writes the same names."),
    ({"samples": ["<b>", ""]}, "Writes <b>, an empty name."), ({"samples": ["x", "x"]}, "Writes x every time."),
    ({"raised": STOPPED, "unseen": [None, None], "samples": []}, "Stops at step 3: ValueError: <no>."),
    ({"raised": STOPPED | {"seeds": 1}}, "1 of 2 runs stops, at step 3: ValueError: <no>. Loss"),
    ({"raised": STOPPED, "seeds": [42, 43, 44], "unseen": [2.5, None, None], "names": [90, 91, 92]},
     "2 of 3 runs stop, one of them at step 3: ValueError: <no>. Loss"),
    ({"raised": STOPPED | {"step": None}}, "Stops after training, at an unseen name: ValueError"),
    ({"raised": STOPPED | {"step": 0}}, "Stops before the first step: ValueError"),
    ({"unseen": [None, None]}, "Loss on unseen names NaN. Writes"),
    ({"steps": 30, "seeds": [42], "names": [9], "unseen": [2.9]}, "Loss on unseen names 2.900 after 30 steps."),
])  # fmt: skip
def test_the_record_is_told_in_a_line(changes, said):
    box = box_of("no-root", record_of(no_root=entry(**changes)))
    found = re.search('<p><span class="finding">(.*)</span></p>', box)[1]
    assert said in text_of(found)
    assert "<b>" not in box and "<no>" not in box


@pytest.mark.parametrize("record", [None, record_of(), record_of(no_root=ENTRY, nothing=ENTRY) | {"programs": {}}])
def test_without_a_record_nothing_is_claimed(record):
    assert "has not been measured yet" in box_of("no-root", record)
    assert "measured" not in box_of("nothing", record)  # it is none that could be
    assert "Loss" not in box_of("nothing", record)


@pytest.mark.parametrize(("count", "limit"), [(2, 12.706), (3, 4.303), (4, 3.182), (10, 2.262), (100, 1.984)])
def test_a_change_that_the_pairs_cannot_tell_from_none_is_called_luck(count, limit):
    """These are the limits of Student's t, of which the series is right to 1 %."""
    for sign in (1, -1):
        assert trials.may_be_luck(sign * 0.99 * limit, math.sqrt(count), count)
        assert not trials.may_be_luck(sign * 1.01 * limit, math.sqrt(count), count)


# The listing and the map


def test_the_poster_has_every_line_of_the_program_in_its_order():
    essay = Essay(TEXT)
    poster = minimap.poster(essay, Findings(record_of(nothing=ENTRY)), "https://example.org/")
    elements = ElementTree.fromstring(poster).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314
    texts = [(element.get("class"), element.text) for element in elements]
    code = [text for kind, text in texts if kind in ("code", "code quiet")]
    assert code == [*filter(str.strip, essay.main.text.split("\n"))]
    assert ("code", "def attend(query):") in texts and ("quiet end", "example.org") in texts


TABLE = TEXT.replace("A quotation.\n", """A quotation.

# All

<!-- experiments -->

``` diff {#more title="`+` for `*`" verdict="a joke"}
-def double(x): return 2 * x
+def double(x): return 2 + x
```

<!-- listing: microgpt.py -->
""")


def map_of(**entries):
    """Return {code of a line: level of its damage} of TABLE, and what the site shows in place of the directive."""
    essay, findings = Essay(TABLE), Findings(record_of(**entries))
    counting = {"stages/letters.py": entry(unseen=[2.8, 2.8])}
    findings = findings._replace(record=findings.record | {"programs": findings.record["programs"] | counting})
    levels = {essay.lines[line - 1].strip(): harm.level for line, harm in trials.harms(essay, findings).items()}
    return levels, Renderer(essay, {}, {"microgpt.py": "programs/x/"}, findings=findings).experiment_map()


def test_the_map_shows_the_worst_that_is_done_to_each_line():
    levels, shown = map_of(no_root=entry(unseen=[2.9, 3.0]), nothing=ENTRY, more=entry(unseen=[2, 2]))
    assert levels == {"import math": 3, "size = math.sqrt(len(query))": 3, "def attend(query):": 0,
                      "def double(x): return 2 * x": 1}  # fmt: skip
    bars = dict(re.findall(r'href="@/programs/x/#L(\d+)"[^>]*><title>.*?class="([\w-]+)"', shown))
    assert (bars["1"], bars["3"], bars["5"], bars["6"]) == ("harm-3", "harm-1", "harm-0", "untried")
    assert re.findall(": ([1-9]+)</li>", shown) == ["2", "1", "1", "14"]  # lines of each level, and those not tried
    assert "Neither the loss nor the names change: Nothing." in text_of(shown)
    assert all(word in shown for word in ("a machine", "Python 3.11.2", "2026-11-24"))


@pytest.mark.parametrize(("changes", "level"), [
    ({"unseen": [2.5, 2.7]}, 0), ({"unseen": [2.4, 2.5]}, 0), ({"samples": ["x"]}, 0), ({"unseen": [2.54, 2.64]}, 1),
    ({"unseen": [2.56, 2.66]}, 2), ({"unseen": [2.8, 2.9]}, 3), ({"unseen": [2.0, 3.4]}, 0),
    ({"unseen": [2.3, 3.2]}, 0), ({"unseen": [2.9, 52.4]}, 3), ({"unseen": [None, None]}, 3),
    ({"unseen": [None, None], "raised": STOPPED}, 4), ({"raised": STOPPED | {"seeds": 1}}, 4),
    ({"steps": 30}, None), ({"steps": 30, "unseen": [3.3, 3.3]}, 3), ({"program": "gone.py"}, None),
])  # fmt: skip
def test_the_level_of_the_damage(changes, level):
    assert map_of(nothing=entry(**changes))[0].get("def attend(query):") == level


def test_a_picture_shows_both_curves_and_where_one_ends():
    """Each has its name, and both begin at the same place; without a difference there is no picture."""
    base = entry(curve=[3.5, 2.5] * 20)
    stopped = entry(curve=[3.5, None], raised=STOPPED | {"seeds": 1}, samples=["x", "y"])
    record = record_of(no_root=stopped, nothing=base) | {"programs": {"microgpt.py": base}}
    box = box_of("no-root", record)
    picture = re.search('<figure class="tried-curve">(.*)</figure>', box)[1]
    assert text_of(picture).endswith("as it iswith the change: a run stops")
    (kind, points), (other, begun) = re.findall('<polyline class="([a-z-]+)" points="(.*?)"/>', picture)
    assert (kind, other) == ("as-is", "changed") and points.startswith(begun) and points.count(",") == 40
    assert "As it is: from 3.50 to 2.50. With the change: from 3.50 to 3.50; a run stops." in picture
    assert re.findall("<li>(.*?)</li>", box) == ["karel", "anna", "x", "y", "a"]  # and that of the explanation
    assert "<polyline" not in box_of("nothing", record)


def test_a_map_and_a_program_in_one_piece_are_where_the_essay_asks_for_them(tmp_path):
    """Experiments beside the map are not folded, and on GitHub the numbers in a block of HTML are links."""
    root = project(tmp_path, TABLE)
    woven = Weave(root)
    woven.write_pages()
    page = (root / "build" / "pages" / "all" / "index.md").read_text(encoding="utf-8")
    assert '<figure class="map"' in page and "<details" not in page and 'class="finding"' in page
    assert re.search('<a class="number" href="../#chunk-start"[^>]*>1</a> <span class="kn">import', page)
    assert 'href="../../all/">Experiments</a>' in (root / "build/pages/programs/microgpt-py/index.md").read_text()
    written = chapters.on_github(woven.essay, woven.reading, {}, woven.findings)["all.md"].decode()
    assert "](figures/map-of-the-program.svg)\n\nstops: 0 · " in written
    blocks = pytest.importorskip("markdown_it").MarkdownIt().enable("table").parse(written)
    (listing,) = [block.content for block in blocks if block.type == "html_block" and "<pre>" in block.content]
    code = html.unescape(re.sub(r" *<a href=\"[^\"]*\">\d+</a> ?", "", listing)).removeprefix("<pre>")
    assert code.removesuffix("</pre>\n") == woven.essay.main.text and "<details>" not in written
    book = chapters.Book(woven.essay, woven.reading, {}, woven.findings)
    assert "  3 def double(x): return 2 * x\n" in book.whole(woven.essay.main)


@pytest.mark.parametrize("line", ["<!-- experiments: all -->", " <!-- experiments -->", "<!-- listing: no.py -->"])
def test_a_directive_that_means_nothing_is_an_error(line):
    with pytest.raises(WeaveError, match=r"<!-- experiments --> or <!-- listing: PROGRAM -->") as raised:
        Essay(TABLE.replace("<!-- experiments -->", line))
    assert raised.value.errors[0][0] == TABLE.split("\n").index("<!-- experiments -->") + 1


# Stale records


def test_missing_records_end_the_weave_with_one_line_and_the_command_for_all(tmp_path):
    root = project(tmp_path, TEXT)
    done = run_weave(root, "--pages")
    said = "3 records, such as that of microgpt.py, are missing or stale: run `python docs/laboratory/experiments.py`"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"microgpt.md:5: {said}")
    assert done.stderr.count("docs/laboratory/experiments.py") == 1
    assert not (root / "build" / "pages").exists()


def test_a_stale_record_holds_nothing_back_in_the_preview(tmp_path):
    root = project(tmp_path, TEXT)
    wrong = Weave(root)
    assert [*wrong.stale] == ["microgpt.py", "no-root", "nothing"]
    record = record_of(no_root=ENTRY, nothing=ENTRY)
    jobs = records.jobs(wrong.essay.fences, wrong.essay.tangled)
    for (kind, name), job in jobs.items():
        record[kind][name] = entry(key=job.key(records.sum_of(root / trials.NAMES)))
    record["experiments"]["nothing"] = entry(key="of something else")
    (root / "docs" / "experiments.json").write_text(json.dumps(record))
    woven = Weave(root)
    ((line, message),) = woven.complaints()
    assert line == woven.essay.experiments["nothing"].fence.line
    assert message.startswith("the record of nothing is missing or stale: run `python docs/laboratory/experiments.py`")
    woven.write_pages()  # as --serve does
    page = (root / "build" / "pages" / "index.md").read_text(encoding="utf-8")
    assert page.count("Loss on unseen names stays at 2.550") == 2


def test_a_record_that_cannot_be_read_is_told_by_the_commands(tmp_path):
    root = project(tmp_path, TEXT)
    (root / "docs" / "experiments.json").write_text("<<<<<<< HEAD\n{}\n")
    for command in (["docs/weave.py", "--pages"], ["docs/laboratory/experiments.py", "--list"]):
        done = subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "docs/experiments.json is not a record of experiments" in done.stderr
        assert done.stderr.count("\n") == 1

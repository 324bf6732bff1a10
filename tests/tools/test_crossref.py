"""The cross-referenced essay: pages, places and their ids, programs, what they define and use, the index."""


import pytest
from essays import SMALL
from weaver.essay import Essay

from tangle import TangleError


@pytest.fixture(scope="module")
def essay():
    return Essay(SMALL)


def errors_of(text):
    """Return what is wrong with an essay."""
    with pytest.raises(TangleError) as caught:
        Essay(text)
    return caught.value.errors


def ids_of(essay):
    """Return the ids of all headings and places."""
    return [*(heading.id for heading in essay.headings), *(place.id for place in essay.blocks.values())]


# Pages and headings


def test_each_heading_of_the_first_level_is_a_page(essay):
    assert [page.path for page in essay.pages] == ["", "two/"]
    assert [(page.start, page.end) for page in essay.pages] == [(1, 10), (11, 37)]


@pytest.mark.parametrize(("opening", "line"), [("A text.\n\n", 1), ("\n\n<!-- a remark -->\n", 3)])
def test_text_before_the_first_heading_is_an_error_with_its_line(opening, line):
    assert errors_of(opening + SMALL) == [(line, "text without a page: an essay begins with a heading like # Title")]
    assert [page.start for page in Essay("\n\n" + SMALL).pages] == [3, 13]


@pytest.mark.parametrize("text", ["~~~ sh\n# a comment\n~~~", "```sh\n# a comment\n```", "    # code", "#no blank",
                                  "> # quoted", "- # listed", "####### seven"])  # fmt: skip
def test_what_looks_like_a_heading_and_is_none(text):
    assert len(Essay(f"{SMALL}\n{text}\n").headings) == 3


@pytest.mark.parametrize("hidden", ["```text\nhidden\n```", "## Hidden"])
def test_a_comment_hides_no_heading_and_no_fence(hidden):
    errors = errors_of(f"{SMALL}\n<!-- begins here\n\n{hidden}\n\n-->\n")
    assert errors[0][0] == 40
    assert "the comment that begins on line 38" in errors[0][1]
    Essay(f"{SMALL}\n<!-- a remark\n\nof several lines -->\n\n`<!--`\n\n# Three\n\n`-->`\n")


@pytest.mark.parametrize("odd", ["\x02", "\ufdd0", "\u202e"])
def test_a_character_that_no_page_can_show_is_an_error_with_its_line(odd):
    message = f"{ascii(odd)[1:-1]} is a control character, which no page can show"
    assert errors_of(SMALL.replace("whole", f"wh{odd}ole")) == [(3, message)]


@pytest.mark.parametrize(("heading", "folds"), [("## Solution: one", True), ("#### Listing", True),
                                                ("## Solutions", False), ("##### Solution", False)])  # fmt: skip
def test_a_heading_that_begins_with_solution_folds(heading, folds):
    essay = Essay(f"{SMALL}\n{heading}\n\nText.\n")
    assert essay.headings[-1].folds == folds
    assert essay.level_at(len(essay.lines)) == (2 if folds else essay.headings[-1].level)


# Names of pages and places


@pytest.mark.parametrize(("title", "path"), [
    ("日本語", "日本語/"), ("Ελληνικά!", "ελληνικά/"), ("!!!", "untitled/"), ("Indexes", "indexes-2/"),
    ("Two", "two-2/"), ("../../etc", "etc/"), ("A+B", "a-b/"), ("Cafe\u0301", "café/"), ("*em* `code`", "em-code/"),
])  # fmt: skip
def test_each_page_has_an_address_of_letters_and_digits(title, path):
    essay = Essay(f"{SMALL}\n# {title}\n\nText.\n", ["indexes", "programs", "files", "404"])
    assert essay.pages[-1].path == path
    assert all(not page.path.startswith("/") for page in essay.pages)


@pytest.mark.parametrize("names", [["other-", "other--"], ["other", "other-2"], ["other-2", "other-2-2"]])
def test_chunks_of_similar_names_have_places_of_their_own(names):
    references = "".join(f"<<{name}>>\n" for name in names)
    fences = "".join(f"``` python {{#{name}}}\npass\n```\n" for name in [*names, *names])
    essay = Essay(SMALL.replace("<<other>>\n", f"<<other>>\n{references}") + fences)
    assert len(ids_of(essay)) == len({*ids_of(essay)}) == 7 + 2 * len(names)
    for name in names:
        assert essay.first_block(name).fence.name == name


# Programs


def test_the_uses_of_a_name_are_found_where_they_stand(essay):
    assert essay.main.uses == {4: {25: "double", 32: "double"}, 6: {6: "quadruple"}}
    found = essay.names_in(essay.chunks["a-part"][1])
    assert {place: target.id for place, target in found.items()} == {(24, 25): "chunk-a-part", (24, 32): "chunk-a-part"}


@pytest.mark.parametrize(("code", "used"), [
    ("def f(double): return double", []), ("x = [double for double in ()]", []),
    ("def f():\n    global double\n    double = double(1)", [(3, 13)]), ("x = 'é' + double(1)", [(1, 10)]),
    ("import math\nx = math.double + x.double", [(2, 20)]),
    ("class A:\n    def double(self): return self.double()", [(2, 34)]),
])  # fmt: skip
def test_only_what_is_used_is_a_use(code, used):
    text = SMALL.replace("print(quadruple(1) < 5)", code)
    uses = Essay(text).main.uses
    rows = [row for row in uses if row > 5]
    assert [(row - 5, column) for row in rows for column in uses[row] if uses[row][column] == "double"] == used


def test_the_index_has_every_name_with_its_users(essay):
    shown = [(name, place.id, [user.id for user in users]) for name, place, users in essay.index]
    assert shown == [("double", "chunk-a-part", ["chunk-a-part-2"]), ("quadruple", "chunk-a-part-2", ["chunk-other"])]


def test_two_programs_may_define_the_same_name():
    more = "\n``` python {file=more.py}\ndef double(x): return x + x\nprint(double(2))\n```\n"
    essay = Essay(SMALL + more)
    assert [place.id for name, place, _ in essay.index if name == "double"] == ["chunk-a-part", "program-more-py"]
    assert [program.target for program in essay.programs_with(essay.roots["more.py"])] == ["more.py"]


def test_a_first_root_of_another_language():
    essay = Essay("# One\n\n``` c {file=a.c}\nint main() { return 0; }\n```\n" + SMALL.replace("# One", "# Three"))
    assert (essay.main.target, essay.main.is_python, essay.main.definitions, essay.main.uses) == ("a.c", False, {}, {})


def test_a_name_in_the_prose_means_what_the_first_program_has_or_else_another():
    chunk = "``` python {{file={}}}\nclass {}:\n    def {}(self): pass\n```\n"
    essay = Essay("# One\n\n" + chunk.format("a.py", "Value", "go") + "\n" + chunk.format("b.py", "Other", "__init__")
                  + "\n# In C\n\n``` c {file=c.c}\nint go;\n```\n\n# Three\n")  # fmt: skip
    names = ("Value", "go", "Other", "__init__")
    found = [[essay.meant(name, page) is not None for name in names] for page in essay.pages]
    assert found == [[True, True, True, False], [False] * 4, [True, True, True, False]]

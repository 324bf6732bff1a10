"""All pages of the site: their Markdown, the files in build/pages, the settings, and what mkdocs makes of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlparse

import pytest
from essays import SMALL, project, run_weave, with_prose
from weaver import duration, pages, playground
from weaver.essay import Essay, WeaveError
from weaver.pipeline import Weave
from weaver.prose import Reading
from weaver.results import Result
from weaver.trials import RECORD
from weaver.website import SiteError, build_site

pytest.importorskip("mkdocs", reason="mkdocs is not installed")

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g id="a"/></svg>'


@pytest.fixture(scope="module", autouse=True)
def without_pyodide():
    """Weave as where Pyodide is not installed; with it, pages of programs have controls: test_run.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playground, "is_possible", lambda: False)
        yield


def woven(root, text=SMALL, printed="8\n"):
    """Weave the pages of a project; each demonstration prints the same, and draws if it has an alternative text."""
    (root / "microgpt.md").write_text(text, encoding="utf-8")
    woven = Weave(root)
    for session in woven.outcome.sessions:
        woven.outcome.results[session] = [
            Result(printed, [SVG] if item.names("alt") else []) if item.fence else Result("8\n", [])
            for item in session.items
        ]
    woven.write_pages()
    return woven


def listed(root):
    """Return the paths of all files in build/pages."""
    folder = root / "build" / "pages"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# What is written


def test_a_heading_of_the_first_level_is_a_page_in_the_navigation(tmp_path):
    nav = nav_of(woven(project(tmp_path), SMALL + "\n# A *pause* & <b>5<!-- = 8 --></b> `x`\n\n# 日本\n"))
    assert nav[:4] == [
        {"One": "index.md"}, {"Two": "two/index.md"}, {"A pause &amp; 5 x": "a-pause-b-5-8-b-x/index.md"},
        {"日本": "日本/index.md"},
    ]  # fmt: skip
    assert nav[4] == {"Programs": [{"small.py": "programs/small-py/index.md"}]}
    assert [*nav[5]["Reference"][-1]] == ["Everything on one page"]


PARTS = """
# Three
<!-- part: By <hand> -->

# Four

{}

# Words
<!-- part without numbers: At the back -->
"""


def test_the_source_says_where_a_part_begins_and_its_chapters_are_numbered(tmp_path):
    text = SMALL.replace("# Two\n", "# Two\n<!-- part: First & last -->\n") + PARTS.format("[there](#two)")
    nav = nav_of(woven(project(tmp_path), text + "\n``` c {file=deep/x.c}\nint x;\n```\n"))
    assert nav[:5] == [
        {"One": "index.md"}, {"First &amp; last": [{"1. Two": "two/index.md"}]},
        {"By &lt;hand&gt;": [{"2. Three": "three/index.md"}, {"3. Four": "four/index.md"}]},
        {"At the back": [{"Words": "words/index.md"}]},
        {"Programs": [{"small.py": "programs/small-py/index.md"}, {"deep": [{"x.c": "programs/deep-x-c/index.md"}]}]},
    ]  # fmt: skip
    first, two, everything = ((tmp_path / "build" / "pages" / path / "index.md").read_text(encoding="utf-8")
                              for path in ("", "two", "everything"))  # fmt: skip
    assert two.startswith("# <span data-search-exclude>1. </span>Two { #two }")
    assert '<li><a href="two/#two">1. Two</a> <span>1 min</span></li>' in first
    assert "<strong>By &lt;hand&gt;</strong>, about 2 minutes" in first
    assert '<li><a href="#two">1. Two</a>' in everything
    assert '<a href="#two">there</a>' in everything
    assert "## <span data-search-exclude>3. </span>Four { #four }" in everything


def test_a_part_that_begins_elsewhere_is_an_error_with_its_line():
    assert Essay(SMALL + PARTS.format("`<!-- part: x -->`")).pages[-1].number == 0
    with pytest.raises(WeaveError) as error:
        Essay(SMALL + PARTS.format("<!-- part: x -->"))
    ((line, message),) = error.value.errors
    assert (line, message.partition(" or ")[0]) == (SMALL.count("\n") + 7, "a part begins with <!-- part: NAME -->")
    with pytest.raises(WeaveError, match="on the line below the title of its first page"):
        Essay("# One\n<!-- part x -->\n\n" + SMALL)


def nav_of(woven):
    """Return the navigation as the settings have it."""
    settings = (woven.build / "mkdocs.yml").read_text(encoding="utf-8")
    return json.loads(re.search("^nav: (.*)$", settings, re.M)[1])


def test_everything_is_one_level_deeper_and_leads_to_itself(tmp_path):
    woven(project(tmp_path))
    text = (tmp_path / "build" / "pages" / "everything" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^#+ .* \{ #.* \}$", text, re.M) == [
        "## One { #one }", "## Two { #two }", "### Deeper { #deeper }",
    ]  # fmt: skip
    assert re.findall("<h([0-9])", text) == ["3", "4", "4", "4"]
    assert 'class="chunk-link" href="#chunk-a-part"' in text
    assert 'href="../programs/small-py/#L1"' in text
    assert "exclude: true" in text


def test_markdown_finds_nothing_to_read_in_html():
    text = "`~\n```\n~~~\n\tx\n  \n   \n\n    y"
    block = pages.raw(text)
    assert not re.search("[`~\t]", block)
    assert unescape(block).removeprefix("<div>\n").removesuffix("\n</div>") == text


def test_a_figure_needs_an_alternative_text_and_links_that_lead_somewhere():
    described = Essay(SMALL.replace('"twice"', '"twice", alt="x"'))
    linked = SVG.replace("</svg>", '<a href="#nowhere"/><a href="#chunk-other"/></svg>')
    for essay, svg, problem in (
        (Essay(SMALL), SVG, "the figure of twice has no alternative text"),
        (described, linked, "#nowhere in the figure of twice leads nowhere on the site"),
    ):
        ((line, message),) = pages.check(essay, {"twice": Result("", [svg])})
        assert (line, message.partition(":")[0]) == (31, problem)
    assert pages.check(described, {"twice": Result("", [SVG])}) == pages.check(described, {}) == []


def test_a_widget_needs_data_and_data_need_a_widget():
    essay = Essay(SMALL.replace('"twice"', '"twice", widget="tape"'))
    without = "twice has a widget, but gives it no data: call give(…)"
    assert pages.mismatched_widgets(essay, {"twice": Result("", [], "")}) == [(31, without)]
    alone = "twice gives data, but has no widget"
    assert pages.mismatched_widgets(Essay(SMALL), {"twice": Result("", [], "[]")}) == [(31, alone)]
    assert pages.mismatched_widgets(essay, {}) == pages.mismatched_widgets(essay, {"twice": Result("", [], "[]")}) == []


# How long it takes

LONG = f"# One\n\n{'word ' * 460}\n\n``` c {{file=x.c}}\n{'int x;' + chr(10) * 2}```\n"
SOLVED = f"# Two\n\n{'word ' * 600}\n\n## Solution\n\n{'word ' * 999}\n\n```text\n{'x' + chr(10)}```\n\n## After\n"
TRIED = f"``` diff {{#try-it title=\"T\"}}\n-int x;\n+int y;\n```\n\n> {'word ' * 999}\n"


def times_of(text):
    """Return the texts of the lines that say how long the pages take."""
    essay = Essay(text)
    found = duration.times(essay, duration.minutes(essay, Reading(essay))).values()
    return [re.fullmatch('<p class="reading-time" data-search-exclude>(.*)</p>', html)[1] for html in found]


def test_each_page_says_how_long_it_takes_and_the_first_one_the_whole():
    assert times_of(LONG) == ["about 2 minutes"]
    assert times_of(LONG + SOLVED) == ["about 2 minutes; the whole: about 5 minutes", "about 3 minutes, and 1 solution"]
    assert times_of(LONG + "# Two\n") == ["about 2 minutes; the whole: about 2 minutes", "about 1 minute"]
    assert times_of(LONG + TRIED + TRIED.replace("try-it", "again") + "## Solution\n") == [
        "about 2 minutes, and 2 experiments and 1 solution"
    ]
    for lines, time in ((24, "2 minutes"), (1200, "2 hours")):
        code = "int x;\n" * lines
        assert times_of(f"# One\n\n``` c {{file=x.c}}\n{code}```\n") == [f"about {time}"]


# Nothing foreign is touched


def test_the_folder_holds_what_was_woven_last_and_only_what_changes_is_written(tmp_path):
    root = project(tmp_path)
    woven(root)
    folder = root / "build" / "pages"
    before = {path: (folder / path).stat().st_mtime_ns for path in listed(root)}
    assert [path for path in before if not path.startswith("assets/")] == [
        "everything/index.md", "files/small.py", "index.md", "indexes/index.md", "programs/small-py/index.md",
        "tools/index.md", "two/index.md",
    ]  # fmt: skip
    woven(root, SMALL.replace("The whole", "All of it"))
    changed = {path for path in before if (folder / path).stat().st_mtime_ns != before[path]}
    assert changed == {"index.md", "everything/index.md"}
    woven(root, SMALL + "\n# Three\n\n``` c {file=deep/x.c}\nint x;\n```\n")
    assert {*listed(root)} - {*before} == {"three/index.md", "files/deep/x.c", "programs/deep-x-c/index.md"}
    woven(root, SMALL + "\n``` c {file=deep}\nint x;\n```\n")  # a file where a folder was
    assert not (folder / "three").exists() and (folder / "files" / "deep").is_file()


@pytest.mark.parametrize("name", ["pages", "site", "cache"])
def test_a_link_where_the_weaver_writes_is_refused(tmp_path, name):
    root, elsewhere = project(tmp_path / "project"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    (root / "build").mkdir()
    (root / "build" / name).symlink_to(elsewhere)
    with pytest.raises(OSError, match="is a link"):
        woven(root)
    assert [path.name for path in elsewhere.iterdir()] == ["mine.txt"]


def test_what_editors_leave_is_not_published(tmp_path):
    root = project(tmp_path)
    assets = root / "docs" / "assets"
    kinds = (".css", ".js", ".pdf", ".png", ".svg", ".txt", ".woff2")
    wanted = {path.name for path in assets.iterdir() if path.suffix in kinds}
    for name in (".#page.css", ".page.css.swp", "page.css~", "#page.css#", ".DS_Store", "page.css.bak", "4913"):
        (assets / name).write_bytes(b"\xff")
    woven(root)
    published = {path.removeprefix("assets/") for path in listed(root) if path.startswith("assets/")}
    assert published == wanted | {"chunks.json"}


def test_data_is_offered_with_the_program_but_not_the_record_of_experiments(tmp_path):
    root = project(tmp_path)
    (root / RECORD).write_text('{"programs": {}, "experiments": {}}')
    woven(root, SMALL.replace('name="twice"', f'name="twice", data="docs/names.txt, {RECORD}"'))
    assert (root / "build" / "pages" / "files" / "names.txt").read_bytes() == (root / "docs" / "names.txt").read_bytes()
    listing = (root / "build" / "pages" / "programs" / "small-py" / "index.md").read_text(encoding="utf-8")
    assert 'href="../../files/names.txt" download' in listing
    assert "experiments.json" not in listing


# The site, built from an essay in which everything is odd

ODD = r'''# A < B & "C" `d_e_f` *g*

Prose ⟨a⟩, `f`, 8<!-- = 8 -->. [there](#日本語), [here](#a-b-2), [a heading](#a-b-c-d-e-f-g).

``` python {file=a+b_c.d.py needs=x}
<<a>>
<<other->>
<<other>>
```

````text
# not a heading
```python name="x"
⟨nobody⟩ 5<!-- = 6 -->
```
````

``` python {#a}
def f():
    r"""~~~
~~~
    ````
[tab]`x` <!-- c --> </div> </pre> &amp; {{ x }} {% y %} \x
  [blank]
# at the left { #z }
wzxhzdk:0 klzzwxh:0001 {fence:3} [a](b)
    """
```

``` python {#other}
x = f()
```

``` python {#other}
y = x
```

``` python {#other-}
z = 1
```

```python name="fig", alt="a < b & 'c' `d` ⟨e⟩ ~~~", caption="<i>x</i> & `y` ~~~ | ``` [z](q)"
f()
```

# A+B

# A-B

## Indexes

# 日本語

# Indexes

# other

## Chunk other

``` c {file=a.b}
[tab]int x; // <b> & "q" ```
```

``` nonsense {file=x/y+z.nonsense}
blub
```

~~~ sh
# comment ⟨no⟩ `f` 5<!-- = 6 -->
<b>
~~~

# Emoji 😀 \*not em\* [link](https://x.y)

<details><summary>More</summary>

```text
hidden </details>
```

</details>
'''.replace("[tab]", "\t").replace("[blank]", " ")
PRINTED = """<b>x</b> & "q" `t`
```
~~~ fence
    four
# left { #x }

[a](b) <!-- c -->
\ttab
  \x20
wzxhzdk:0 {fence:3}
"""


class Site(HTMLParser):
    """A page of the site: its ids, addresses and text."""

    def __init__(self, markup):
        super().__init__()
        self.ids, self.addresses, self.text, self.copied, self.hidden = [], [], "", [], 0
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.addresses += [attributes[name] for name in ("href", "src") if attributes.get(name) and tag != "use"]
        self.copied += [attributes["data-code"]] if "data-code" in attributes else []
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, text):
        self.text += "" if self.hidden else text


def read_site(folder):
    """Return {path: Site} of all pages of a site."""
    files = {file: file.parent.relative_to(folder).as_posix() for file in folder.rglob("index.html")}
    return {"" if path == "." else f"{path}/": Site(file.read_text(encoding="utf-8")) for file, path in files.items()}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Return the folder of the project with the odd essay, its site built."""
    root = project(tmp_path_factory.mktemp("odd"))
    woven(root, ODD, PRINTED)
    build_site(root / "build", root / "build" / "site")
    return root


@pytest.fixture(scope="module")
def built(odd):
    return read_site(odd / "build" / "site")


def test_every_address_leads_to_the_right_place(odd, built):
    broken = []
    for page, here in built.items():
        for address in here.addresses:
            target = urlparse(urljoin(f"http://site/{page}", address))
            path, place = unquote(target.path).lstrip("/"), unquote(target.fragment)
            file = odd / "build" / "site" / (f"{path}index.html" if path in built else path)
            if target.netloc == "site" and not (file.is_file() and (not place or place in built[path].ids)):
                broken.append((page, address))
    assert broken == []
    assert len(built) == 13


def test_links_in_prose_lead_to_their_headings(odd):
    page = (odd / "build" / "site" / "index.html").read_text(encoding="utf-8")
    leads = dict(re.findall('<a href="([^"]*)">(there|here|a heading)</a>', page))
    assert leads == {"日本語/#日本語": "there", "a-b-2/#a-b-2": "here", "#a-b-c-d-e-f-g": "a heading"}
    essay = Essay(ODD, pages.RESERVED)
    assert {heading.text: heading.id for heading in essay.headings}["A-B"] == "a-b-2"


def test_no_page_shows_a_tag_or_a_mark(built):
    own = [ODD, PRINTED]
    for page, here in built.items():
        assert not re.search("[\ufdd0-\ufdef]|&lt;|&amp;lt;|&#|<a |<span", here.text), page
        for mark in re.finditer(r"wzxhzdk:\d+|\{fence:\d+\}|klzzwxh:\d+|</\w+>", here.text):
            assert any(mark[0] in text for text in own), (page, mark)


def test_code_and_output_are_shown_as_they_are(odd, built):
    essay = Essay(ODD, pages.RESERVED)
    for path in ("", "everything/"):
        assert PRINTED in built[path].text
        assert "<i>x</i> & `y` ~~~ | ``` [z](q)" in built[path].text
    shown = [place for place in essay.blocks.values() if place.page.path == ""]
    assert built[""].copied == ["\n".join(place.fence.code) for place in shown]
    assert built["everything/"].copied == ["\n".join(place.fence.code) for place in essay.blocks.values()]
    for target in essay.programs:
        assert (odd / "build" / "site" / "files" / target).read_text(encoding="utf-8") == essay.programs[target].text


def test_titles_are_text_in_the_navigation(odd):
    page = (odd / "build" / "site" / "other" / "index.html").read_text(encoding="utf-8")
    for title in ("A &lt; B &amp; &quot;C&quot; d_e_f g", "Emoji 😀 *not em* link", "a+b_c.d.py"):
        assert title in page
    assert "<c>" not in page


def test_zensical_builds_the_same_site(odd, built):
    zensical = shutil.which("zensical", path=os.path.dirname(sys.executable))  # noqa: PTH120
    if not zensical:
        pytest.skip("Zensical is not installed")
    copy = odd / "zensical"
    shutil.copytree(odd / "build" / "pages", copy / "build" / "pages")
    shutil.copy(odd / "build" / "mkdocs.yml", copy / "build")
    shutil.copy(odd / "mkdocs.yml", copy)
    shutil.copytree(odd / "docs" / "theme", copy / "docs" / "theme")
    command = [zensical, "build", "-f", "build/mkdocs.yml"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    other = read_site(copy / "build" / "site")
    assert other.keys() == built.keys()
    for page in built:
        assert other[page].copied == built[page].copied
        assert [name for name in built[page].ids if name[:2] != "__"] == [
            name for name in other[page].ids if name[:2] != "__"
        ]
        assert all(line.strip() in other[page].text for line in PRINTED.split("\n") if line in built[page].text)


# The command

SLOW = "import time\n\ndef on_pre_build(config):\n    print('building', flush=True)\n    time.sleep(60)\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent differently there")
def test_a_weave_that_is_ended_while_mkdocs_builds_says_nothing(tmp_path):
    root = project(tmp_path, with_prose("Text."))
    (root / "build").mkdir()
    (root / "build" / "slow.py").write_text(SLOW)
    settings = (root / "mkdocs.yml").read_text(encoding="utf-8")
    (root / "mkdocs.yml").write_text(f"{settings}\nhooks: [slow.py]\n", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "docs/weave.py"], cwd=root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert "building" in [process.stdout.readline().strip() for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_a_program_is_not_where_the_weaver_writes(tmp_path):
    with pytest.raises(WeaveError) as caught:
        Weave(project(tmp_path, "# One\n\n``` text {file=pages/a.py}\nx\n```\n"))
    assert caught.value.errors == [(3, "build/pages/a.py is reserved for the weaver: rename it")]


def test_the_preview_builds_only_pages_that_have_changed_and_the_search_finds_the_others(tmp_path):
    root = project(tmp_path)
    woven(root)
    site = root / "build" / "site"
    build_site(root / "build", site)
    other, index = site / "two" / "index.html", site / "search" / "search_index.json"
    before = other.stat().st_mtime_ns, index.read_bytes()
    woven(root, SMALL.replace("The whole", "All of it"))
    build_site(root / "build", site, only_changed=True)
    assert "All of it" in (site / "index.html").read_text(encoding="utf-8")
    assert (other.stat().st_mtime_ns, index.read_bytes()) == before


def test_what_mkdocs_complains_of_is_told(tmp_path):
    root = project(tmp_path)
    woven(root)
    (root / "mkdocs.yml").write_text("site_name: x\nplugins: [nonsense]\n", encoding="utf-8")
    with pytest.raises(SiteError, match=r"^mkdocs: "):
        build_site(root / "build", root / "build" / "site")


def test_what_is_wrong_is_told_with_its_line_from_any_folder_on_any_terminal(tmp_path):
    root = project(tmp_path / "project", SMALL.replace("⟨a part⟩", "⟨日本⟩"))
    done = run_weave(root, PYTHONIOENCODING="latin-1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "microgpt.md:3: there is no chunk \\u27e8\\u65e5\\u672c\\u27e9\n")
    assert not (root / "build" / "pages").exists()
    assert (root / "build" / "small.py").exists()  # the code is right
    (root / "build" / "small.py").write_text("日本 = 1\n", encoding="utf-8")
    (root / "microgpt.md").write_text(SMALL, encoding="utf-8")
    done = run_weave(root, PYTHONIOENCODING="latin-1")
    assert done.returncode == 1
    assert "-\\u65e5" in done.stdout and "Traceback" not in done.stderr
    (root / "microgpt.md").unlink()
    done = run_weave(root)
    assert (done.returncode, done.stderr) == (1, "microgpt.md: No such file or directory\n")

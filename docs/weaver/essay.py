"""The essay, cross-referenced: its pages, the blocks of its chunks, and what each of its programs defines and uses."""

import ast
import re
import unicodedata
from functools import cached_property
from typing import NamedTuple

from markupsafe import Markup

import tangle

HEADING = re.compile(r"(#{1,6}) +(.*?)(?: +#+)? *")
PART = re.compile("<!-- part(?P<plain> without numbers)?: (?P<name>.+) -->")  # below the title of its first page
DIRECTIVE = re.compile("<!-- (?P<kind>experiments|listing: (?P<target>.+)) -->")  # alone on its line
COMMENT = re.compile(r"(?<!`)<!--.*?-->", re.S)
# No page can show these, or they make it show a line in another order than it has.
ODD = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")
SPAN = re.compile(r"`(?P<code>[^`]+)`|\*(?P<em>[^*]+)\*|[^`*]+|.")  # of a title
NAMED = ("demonstration", "experiment")  # fences whose id on the page is made of their name alone


class WeaveError(tangle.TangleError):
    """The errors of a weave, in the same form: a list of (line, message)."""


class Names:
    """Gives out names, for ids and addresses: words of letters and digits of any script, no two the same."""

    def __init__(self, *taken):
        self.taken = {*taken}

    def new(self, title, prefix=""):
        """Return a name made from a title; of two that would be the same the second gets a number."""
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", title).lower())
        kept = "".join(c if unicodedata.category(c)[0] in "LMN" else "-" for c in plain)
        base = prefix + (re.sub("-+", "-", kept).strip("-") or "untitled")
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name)
        return name


class Heading(NamedTuple):
    """A heading of the essay; `id` is its name on the page, and no other one on the whole site has it."""

    line: int
    level: int
    text: str
    id: str

    @property
    def folds(self):
        """Whether the page shows it, and what follows up to the next heading, folded away: a solution or a listing."""
        return 2 <= self.level <= 4 and bool(re.match(r"(Solution|Listing)\b", self.text))


class Page(NamedTuple):
    """A page of the site: a heading of the first level and what follows it, the lines `start` to `end` of the essay."""

    path: str  # of its folder below the site's root: nothing, or with a / at its end
    start: int
    end: int
    part: str  # of the essay: nothing before the first
    number: int  # of the chapter; 0 if it has none


class Block(NamedTuple):
    """A root, a fence of a chunk or an experiment on the site: its page, its id there, its number among the fences of
    its name.
    """

    fence: tangle.Fence
    page: Page
    id: str
    number: int

    @property
    def title(self):
        """What the page calls it, without marks."""
        return "".join(text for _, text in self.spans)

    @property
    def html(self):
        """What the page calls it, as HTML."""
        return html_of(self.spans)

    @property
    def spans(self):
        """What the page calls it, as [(tag or nothing, text)]; an experiment's title may have `code` and *emphasis*."""
        plain = self.fence.name if self.fence.kind == "root" else self.fence.name.replace("-", " ")
        title = self.fence.options.get("title", plain) if self.fence.kind == "experiment" else plain
        return [(span.lastgroup or "", span[span.lastgroup or 0]) for span in SPAN.finditer(title)]


def html_of(spans):
    """Return [(tag or nothing, text)] as HTML."""
    forms = {"": "{}", "code": "<code>{}</code>", "em": "<em>{}</em>"}
    return Markup().join(Markup(forms[tag]).format(text) for tag, text in spans)  # noqa: S704


class Program:
    """The program of a root: its lines, and, if it is Python, what it defines and where it uses that."""

    def __init__(self, target, lines):
        self.target, self.lines = target, lines
        self.name = target.rsplit("/", 1)[-1]
        self.is_python = target.endswith(".py")
        self.text = tangle.render(lines)

    @cached_property
    def tree(self):
        """Its syntax tree; an empty one for another language."""
        return ast.parse(self.text if self.is_python else "")

    @cached_property
    def code(self):
        """Its code without comments and layout."""
        return ast.unparse(self.tree)

    @cached_property
    def imports(self):
        """The names of the modules that it imports."""
        return imports_in(self.tree, self.target.rpartition("/")[0].replace("/", "."))

    @cached_property
    def numbers(self):
        """{line of the essay: [its lines that come from there]}."""
        numbers = {}
        for number, line in enumerate(self.lines, 1):
            numbers.setdefault(line.origin, []).append(number)
        return numbers

    def runs(self, fence):
        """Return the runs [[first, last], …] of its lines that come from a fence."""
        rows = sorted(n for line in range(fence.line + 1, fence.end) for n in self.numbers.get(line, []))
        runs = []
        for number in rows:
            if runs and number == runs[-1][1] + 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        return runs

    @cached_property
    def definitions(self):
        """{name: line} of its classes, functions, methods and global names, where each is defined first."""
        definitions = {}
        for node in self.tree.body:
            for name, line in [*defined_by(node), *(pair for inner in methods(node) for pair in defined_by(inner))]:
                definitions.setdefault(name, line)
        return definitions

    @cached_property
    def uses(self):
        """{line: {column: name}} of all places where it uses a name that it defines, columns counted from 0."""
        modules = {alias.asname or alias.name for node in self.tree.body if isinstance(node, ast.Import)
                   for alias in node.names}  # fmt: skip
        top = {name for node in self.tree.body for name, _ in defined_by(node)}
        visitor = Uses(top, {*self.definitions}, modules)
        visitor.visit(self.tree)
        lines, uses = self.text.split("\n"), {}
        for (row, column), name in visitor.uses.items():
            uses.setdefault(row, {})[len(lines[row - 1].encode()[:column].decode())] = name
        return uses


def imports_in(tree, package=""):
    """Return the names of the modules that some code in a package imports."""
    nodes = [*ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*parts, *filter(None, [node.module])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def defined_by(node):
    """Return [(name, line)] of what a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [(node.name, node.lineno)]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [(inner.id, inner.lineno) for target in targets if target for inner in ast.walk(target)
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)]  # fmt: skip


def methods(node):
    """Return the methods of a class."""
    inner = node.body if isinstance(node, ast.ClassDef) else []
    return [method for method in inner if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)]


class Uses(ast.NodeVisitor):
    """Collects where global names are used, and attributes that may be methods: `uses` is {(line, column): name}."""

    def __init__(self, names, attributes, modules):
        self.names, self.attributes, self.modules, self.uses, self.local = names, attributes, modules, {}, []

    def visit_scope(self, node):
        """Look into a function: what it binds is its own."""
        nodes = [*ast.walk(node)]
        shared = {name for inner in nodes if isinstance(inner, ast.Global) for name in inner.names}
        bound = {inner.arg for inner in nodes if isinstance(inner, ast.arg)}
        bound |= {inner.id for inner in nodes if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load)}
        self.local.append(bound - shared)
        self.generic_visit(node)
        self.local.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_scope  # noqa: N815
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_scope  # noqa: N815

    def visit_Name(self, node):
        """A name is global, if no function around it binds it."""
        mine = isinstance(node.ctx, ast.Load) and not any(node.id in names for names in self.local)
        if mine and node.id in self.names:
            self.uses[node.lineno, node.col_offset] = node.id

    def visit_Attribute(self, node):
        """An attribute is one of ours, unless it belongs to a module: math.exp is not our exp."""
        foreign = isinstance(node.value, ast.Name) and node.value.id in self.modules
        if node.attr in self.attributes and not foreign:
            self.uses[node.end_lineno, node.end_col_offset - len(node.attr.encode())] = node.attr
        self.generic_visit(node)


class Essay:
    """The essay, parsed, tangled and cross-referenced. Raises TangleError for its errors.

    `tangled` is {target: lines} of its programs, as tangle.py has them.
    `reserved` are the first parts of paths that other pages of the site have; `known` are its fences and programs, if
    they have been made already.

    A heading is a line outside of fences that begins with # and a space. Tangler and weaver know no comments: that one
    reaches over a heading or a fence is an error, since a reader of the Markdown would not see what counts here.
    """

    def __init__(self, text, reserved=(), known=None):
        self.text, self.lines = text, text.split("\n")
        if known is None:
            fences, errors = tangle.parse(text)
            known = fences, tangle.programs_of(fences, errors)
        self.fences, self.tangled = known
        self.programs = {target: Program(target, lines) for target, lines in self.tangled.items()}
        self.main = next(iter(self.programs.values()))
        self.chunks = tangle.named(self.fences, "definition")
        self.roots = {target: root for target, (root,) in tangle.named(self.fences, "root").items()}
        self.check_text()
        self.ids = Names(*(f"{fence.kind}-{fence.name}" for fence in self.fences if fence.kind in NAMED))
        self.headings = self.find_headings(self.ids)
        self.pages = self.find_pages(Names(*reserved))
        self.blocks = self.find_blocks(self.ids)
        self.directives = self.find_directives()

    @cached_property
    def inside(self):
        """{line: fence} of all lines that belong to a fence."""
        return {line: fence for fence in self.fences for line in range(fence.start, fence.end + 1)}

    @cached_property
    def prose(self):
        """Its text with blank lines in place of fences."""
        return "\n".join("" if n in self.inside else line for n, line in enumerate(self.lines, 1))

    def check_text(self):
        """Raise WeaveError for characters that no page can show, and for comments that hide what counts."""
        errors = [(n, f"{ascii(odd[0])[1:-1]} is a control character, which no page can show")
                  for n, line in enumerate(self.lines, 1) if (odd := ODD.search(line))]  # fmt: skip
        for comment in COMMENT.finditer(self.prose):
            first = self.prose[: comment.start()].count("\n") + 1
            for number in range(first + 1, first + comment[0].count("\n") + 1):
                if number in self.inside or HEADING.fullmatch(self.lines[number - 1]):
                    form = f"a heading or a fence in the comment that begins on line {first}: it would take effect"
                    errors.append((number, f"{form}, so end the comment above"))
                    break
        if errors:
            raise WeaveError(errors)

    def find_headings(self, ids):
        """Return the headings in their order: lines that begin with #, outside of fences."""
        matches = [(n, HEADING.fullmatch(line)) for n, line in enumerate(self.lines, 1) if n not in self.inside]
        return [Heading(n, len(m[1]), m[2], ids.new(re.sub("<!--.*?-->", "", m[2]))) for n, m in matches if m]

    def find_pages(self, paths):
        """Return the pages in their order."""
        titles = [heading for heading in self.headings if heading.level == 1]
        first = next((n for n, line in enumerate(self.lines, 1) if line.strip()), 1)
        if not titles or titles[0].line > first:
            raise WeaveError([(first, "text without a page: an essay begins with a heading like # Title")])
        ends = [heading.line - 1 for heading in titles[1:]] + [len(self.lines)]
        names = ["" if i == 0 else paths.new(heading.text) + "/" for i, heading in enumerate(titles)]
        starts = [heading.line for heading in titles]
        parts = self.find_parts(starts)
        return [Page(*values, *part) for *values, part in zip(names, starts, ends, parts, strict=True)]

    def find_parts(self, starts):
        """Return [(part, number of the chapter or 0)] of the pages that begin on these lines."""
        begun = {n: PART.fullmatch(line) for n, line in enumerate(self.lines, 1)
                 if n not in self.inside and re.match(r"<!-- part\b", line)}  # fmt: skip
        if stray := [line for line, match in begun.items() if not match or line - 1 not in starts]:
            forms = "<!-- part: NAME --> or <!-- part without numbers: NAME -->"
            message = f"a part begins with {forms}, on the line below the title of its first page"
            raise WeaveError([(line, message) for line in stray])
        parts, part, has_numbers, last = [], "", False, 0
        for start in starts:
            if match := begun.get(start + 1):
                part, has_numbers = match["name"], not match["plain"]
            last += has_numbers
            parts.append((part, last if has_numbers else 0))
        return parts

    def find_blocks(self, ids):
        """Return {line of a fence: Block} for all roots and definitions, in their order."""
        blocks, counts = {}, {}
        for fence in self.fences:
            if fence.kind in ("root", "definition"):
                key = (fence.kind, fence.name)
                number = counts[key] = counts.get(key, 0) + 1
                name = fence.name if number == 1 else f"{fence.name} {number}"
                prefix = "program-" if fence.kind == "root" else "chunk-"
                blocks[fence.line] = Block(fence, self.page_of(fence.line), ids.new(name, prefix), number)
        return blocks

    def find_directives(self):
        """Return {line: (kind, target)} of the comments that a map of the program or a whole program replaces."""
        directives, errors = {}, []
        for number, line in enumerate(self.lines, 1):
            if number not in self.inside and re.match(r" *<!-- *(experiments|listing)\b", line):
                match = DIRECTIVE.fullmatch(line)
                if match and (match["target"] is None or match["target"] in self.programs):
                    directives[number] = match["kind"].partition(":")[0], match["target"]
                else:
                    form = "<!-- experiments --> or <!-- listing: PROGRAM -->, with a program of the essay"
                    errors.append((number, f"what is generated here is written {form}, alone on its line"))
        if errors:
            raise WeaveError(errors)
        return directives

    @cached_property
    def experiments_page(self):
        """The page with the map of all experiments, on which none is folded; None if there is no map."""
        lines = [line for line, (kind, _) in self.directives.items() if kind == "experiments"]
        return self.page_of(lines[0]) if lines else None

    def page_of(self, line):
        """Return the page on which a line of the essay stands."""
        return [page for page in self.pages if page.start <= line][-1]

    def end_of(self, heading):
        """Return the last line before the next heading."""
        return next((other.line - 1 for other in self.headings if other.line > heading.line), len(self.lines))

    def is_folded(self, line):
        """Return whether a line belongs to a solution."""
        return [heading for heading in self.headings if heading.line <= line][-1].folds

    def level_at(self, line):
        """Return the level of the last heading above a line; a solution that folds has none."""
        return [heading.level for heading in self.headings if heading.line <= line and not heading.folds][-1]

    def first_block(self, name):
        """Return the block of the first fence of a chunk."""
        return self.blocks[self.chunks[name][0].line]

    def siblings(self, block):
        """Return the blocks of all fences of the same name, in their order."""
        fences = [block.fence] if block.fence.kind == "root" else self.chunks[block.fence.name]
        return [self.blocks[fence.line] for fence in fences]

    def block_at(self, line):
        """Return the block that a line of code of the essay belongs to."""
        return self.blocks[self.inside[line].line]

    @cached_property
    def anchors(self):
        """{id: page} of all headings, blocks, demonstrations and experiments."""
        anchors = {heading.id: self.page_of(heading.line) for heading in self.headings}
        anchors |= {block.id: block.page for block in self.blocks.values()}
        named = [fence for fence in self.fences if fence.kind in NAMED]
        return anchors | {f"{fence.kind}-{fence.name}": self.page_of(fence.line) for fence in named}

    @cached_property
    def experiments(self):
        """{name: Block} of all experiments, in their order."""
        fences = {name: group[0] for name, group in tangle.named(self.fences, "experiment").items()}
        return {name: Block(fence, self.page_of(fence.line), f"experiment-{name}", 1) for name, fence in fences.items()}

    @cached_property
    def users(self):
        """{name of a chunk: blocks that refer to it}."""
        users = {name: [] for name in self.chunks}
        for block in self.blocks.values():
            for name in dict.fromkeys(match["name"] for _, _, match in tangle.numbered([block.fence]) if match):
                users[name].append(block)
        return users

    def users_shown(self, fence):
        """Return the blocks that are said to use the chunk of a fence: the main program and chunks, or any one at all.

        Other roots are known as the programs that it is in.
        """
        users = self.users[fence.name] if fence.kind == "definition" else []
        main = [user for user in users if user.fence is self.roots[self.main.target]]
        return main + [user for user in users if user.fence.kind == "definition"] or users[:1]

    def programs_with(self, fence):
        """Return the programs that have lines of a fence, in the order of the essay; one for a root without lines."""
        return self.homes.get(fence.line) or ([self.programs[fence.name]] if fence.kind == "root" else [])

    @cached_property
    def homes(self):
        """{line of a fence: programs that have lines of it, in the order of the essay}."""
        homes = {}
        for program in self.programs.values():
            for line in dict.fromkeys(self.inside[number].line for number in program.numbers):
                homes.setdefault(line, []).append(program)
        return homes

    def definition(self, name, programs=None):
        """Return the block where the first of some programs that has a name defines it, or None."""
        for program in self.programs.values() if programs is None else programs:
            if name in program.definitions:
                return self.block_at(program.lines[program.definitions[name] - 1].origin)
        return None

    def meant(self, name, page):
        """Return the block that a name in the prose of a page means, or None.

        __init__ and its like are the main program's. On a page with code in other languages alone, names are of these.
        """
        languages = self.languages.get(page.path, {"python"})
        programs = [self.main] if name.startswith("__") else None
        return self.definition(name, programs) if "python" in languages else None

    @cached_property
    def languages(self):
        """{path of a page: languages of the chunks on it}."""
        languages = {}
        for block in self.blocks.values():
            languages.setdefault(block.page.path, set()).add(block.fence.language)
        return languages

    def names_in(self, fence):
        """Return {(line of the essay, column): block of the definition} of the names that a fence uses, but its own."""
        names = {}
        for program in self.programs_with(fence)[:1]:
            for number in range(fence.line + 1, fence.end):
                for row in program.numbers.get(number, []):
                    for column, name in program.uses.get(row, {}).items():
                        block = self.definition(name, [program])
                        if block.fence is not fence:
                            names[number, column - len(program.lines[row - 1].indent)] = block
        return names

    @cached_property
    def index(self):
        """[(name, block of its definition, blocks that use it)] of all programs, by the alphabet."""
        users = {}
        for program in self.programs.values():
            for name in program.definitions:
                users.setdefault((name, self.definition(name, [program]).fence.line), set())
            for row, names in program.uses.items():
                user = self.block_at(program.lines[row - 1].origin)
                for name in names.values():
                    users[name, self.definition(name, [program]).fence.line].add(user.fence.line)
        order = sorted(users, key=lambda key: (key[0].strip("_").lower(), key))
        return [(name, self.blocks[line], [self.blocks[user] for user in sorted(users[name, line])])
                for name, line in order]  # fmt: skip

"""Watch: run the tests that a change concerns, whenever something is saved.

    python tests/watch.py

After a save of microgpt.md the programs are tangled. Then those tests run that use a function or class that has
changed, directly or through others, those that run a whole program that has changed, those that read the essay, and
those that failed the last time; a save in the meantime starts them again. A change of a Python file runs the tests in
it or those that import it. After three failures it waits for you. Ctrl-C ends it. The tests of the site are left out:
docs/weave.py --serve shows it.
"""

import argparse
import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import weave  # noqa: E402
from demonstrations import closures  # noqa: E402
from follow import follow  # noqa: E402

import tangle  # noqa: E402

ESSAY = ROOT / "microgpt.md"
PROGRAMS = {"MICROGPT": "microgpt.py", "GRAPH_SEARCH": "efficiency/graph_search.py"}  # as tests/programs.py calls them
FOLLOWED = (ESSAY, ROOT / "tangle.py", ROOT / "docs", ROOT / "tests")


def changed_names(before, after):
    """Return the names of all that differs between two versions of the programs, each {target: text}.

    A name is one that a program defines, or stands for a whole program. ESSAY is always among them.
    """
    names = {"ESSAY"}
    for name, target in PROGRAMS.items():
        old, new = (ast.unparse(ast.parse(texts.get(target, ""))) for texts in (before, after))  # comments do not count
        if old != new:
            names |= {name} | {key for key, _ in closures(old).items() ^ closures(new).items()}
    return names


class Plain(ast.NodeTransformer):
    """Brings a file of tests into a form in which the names that a test reads say what it is about."""

    def visit_Assign(self, node):
        """A module that was loaded for all tests concerns those that use something of it."""
        self.generic_visit(node)
        return ast.Assign(node.targets, ast.Constant(None)) if "load(" in ast.unparse(node) else node

    def visit_Call(self, node):
        """The helper run(…) runs the program, if it is not given another one."""
        self.generic_visit(node)
        plain = "program" not in {keyword.arg for keyword in node.keywords}
        if plain and isinstance(node.func, ast.Name) and node.func.id == "run":
            node.args.append(ast.Name("MICROGPT", ast.Load()))
        return node

    def visit_arguments(self, node):
        """A parameter of a test is a fixture, and what the fixture uses, the test uses."""
        node.kw_defaults.append(ast.Tuple([ast.Name(a.arg, ast.Load()) for a in node.args], ast.Load()))
        node.kwonlyargs.append(ast.arg("fixtures"))
        return self.generic_visit(node)


def concerned(path, source, names):
    """Return the tests in a file that use one of some names, themselves or by what they use in the file.

    What a program defines is used as an attribute of its module; ESSAY and the names of PROGRAMS are read as they are.
    """

    def uses(test):
        nodes = [*ast.walk(ast.parse(whole[test]))]
        used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        used |= {node.id for node in nodes if isinstance(node, ast.Name)} & {"ESSAY", *PROGRAMS}
        return used & names

    tree = ast.fix_missing_locations(Plain().visit(ast.parse(source)))
    whole = closures(ast.unparse(tree))
    tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return [f"{path}::{test}" for test in tests if uses(test)]


def imports(source):
    """Return the names of the modules that a file imports."""
    nodes = [*ast.walk(ast.parse(source))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}


def failed():
    """Return the tests that failed the last time, as pytest remembers them."""
    try:
        return [*json.loads((ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed").read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return []


def select(changed, names):
    """Return what pytest has to run after a change of some files, the essay's change being that of some names."""
    modules, wanted = {file.stem for file in changed if file.suffix == ".py"}, []
    for file in sorted((ROOT / "tests").glob("test_*.py")):
        path, source = file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")
        if file.stem == "test_site":
            continue
        try:
            whole = file in changed or imports(source) & modules
            wanted += [path] if whole else concerned(path, source, names)
        except SyntaxError:
            wanted.append(path)  # pytest shows what is wrong
    return wanted


def texts():
    """Return {target: text} of the programs as they are in build/."""
    files = {target: ROOT / "build" / target for target in PROGRAMS.values()}
    return {target: file.read_text(encoding="utf-8") for target, file in files.items() if file.exists()}


def stop(process):
    """End a run of pytest as Ctrl-C would, so that what its tests have started ends as well."""
    if process and process.poll() is None:
        process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main():
    """Follow what is saved until Ctrl-C; return the exit status."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    before, process, pending = texts(), None, []
    saves = follow(FOLLOWED)
    next(saves)  # from here on nothing is missed
    print("waiting for something to be saved; Ctrl-C ends it", flush=True)
    try:
        for changed in saves:
            if process and process.poll() is not None:
                process, pending = None, []
            if not changed:
                continue
            stop(process)  # it would test a mixture of old and new
            names = set()
            if ESSAY in changed:
                try:
                    if tangle.update(ESSAY):
                        continue
                except tangle.TangleError as error:
                    print(weave.complaints(error), flush=True)
                    continue
                names, before = changed_names(before, texts()), texts()
            pending = [*dict.fromkeys([*pending, *select(changed, names), *failed()])]
            saved = ", ".join(sorted(file.name for file in changed))
            print(f"\n{saved}: {len(pending)} tests or files of tests are concerned", flush=True)
            if pending:
                process = subprocess.Popen([sys.executable, "-m", "pytest", "-q", "--maxfail=3", *pending], cwd=ROOT)
    except KeyboardInterrupt:
        return 130
    finally:
        stop(process)


if __name__ == "__main__":
    sys.exit(main())

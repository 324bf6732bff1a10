"""Coverage of the essay: a plugin by which coverage.py counts lines of microgpt.md.

coverage run tangle.py --run microgpt.py --num_steps 5 && coverage report -m
"""

import ast

from coverage import CoveragePlugin, FileReporter, FileTracer

import tangle


class Tracer(FileTracer):
    """The code that tangle.load makes has the essay's line numbers already, so there is nothing to translate."""

    def __init__(self, filename):
        self.filename = filename

    def source_filename(self):
        return self.filename


class Reporter(FileReporter):
    """Knows which lines of the essay are statements of its Python programs."""

    def lines(self):
        statements = set()
        for target, program in tangle.tangle(tangle.decode(self.source().encode())).items():
            nodes = ast.walk(ast.parse(tangle.render(program))) if target.endswith(".py") else ()
            statements |= {program[node.lineno - 1].origin for node in nodes if isinstance(node, ast.stmt)
                           and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))}  # fmt: skip
        return statements


class Essay(CoveragePlugin):
    """Sends coverage.py's questions about Markdown files to the classes above."""

    def file_tracer(self, filename):
        return Tracer(filename) if filename.endswith(".md") else None

    def file_reporter(self, filename):
        return Reporter(filename)


def coverage_init(registry, options):
    """Register the plugin; coverage.py calls this."""
    registry.add_file_tracer(Essay())

"""The weave, in its order: parse, run what is missing, render, build. All ways to weave are this one pipeline."""

import os
import sys
import tempfile
from pathlib import Path

import tangle
from weaver import chapters, epub, experiments, numbers, pages, site
from weaver.essay import Essay, WeaveError
from weaver.prose import Reading
from weaver.results import Cache, DemonstrationError, Outcome, environment, imported, sessions_of, set_keys

LONGEST = 400  # characters of a message


class Weave:
    """One weave of the essay in a folder. Raises TangleError, or WeaveError, for what is wrong in it."""

    def __init__(self, root):
        self.root, self.path, self.build = root, root / "microgpt.md", root / "build"
        self.bytes = self.path.read_bytes()
        self.essay = Essay(tangle.decode(self.bytes), pages.RESERVED)
        check_targets(self.essay)
        self.reading = Reading(self.essay)
        if self.reading.errors:
            raise WeaveError(self.reading.errors)
        self.record = experiments.record_in(root)
        self.stale = experiments.stale(self.essay, self.record, root)
        self.numbers = sorted(self.reading.numbers)
        sessions = sessions_of(self.essay, self.numbers)
        set_keys(self.essay, sessions, root, environment())
        cache = self.build / "cache"
        if cache.is_symlink():
            raise OSError(f"{cache} is a link: remove it, and the weave makes a folder of its own")
        self.outcome = Outcome(sessions, Cache(cache))

    @property
    def data(self):
        """The files that demonstrations read, as they name them."""
        return sorted({name for session in self.outcome.sessions for name in session.data})

    @property
    def laboratory(self):
        """What there is to say about experiments."""
        return experiments.Laboratory(self.record, self.reading.explanations, self.stale)

    @property
    def wrong(self):
        """The corrections that the numbers in the prose need, as far as is known."""
        return numbers.corrections(self.numbers, self.outcome.values(self.numbers))

    @property
    def complaints(self):
        """What is wrong in the essay and yet leaves pages to be shown: numbers, records of experiments, and widgets."""
        widgets = pages.mismatched_widgets(self.essay, self.outcome.demonstrations())
        return numbers.complaints(self.wrong) + experiments.complaints(self.essay, self.stale) + widgets

    def run(self, report):
        """Run the demonstrations whose results are missing; raise DemonstrationError at an error."""
        if self.outcome.missing:
            try:
                Path.home()
            except RuntimeError:  # a user without a name, as in some containers: Jupyter is not even imported then
                os.environ["HOME"] = tempfile.gettempdir()
            from weaver.kernel import execute  # it takes a second

            def run(session):
                return execute(self.path, imported(self.essay, session), session, self.outcome.cache, report)

            self.outcome.run(run)

    def shown(self, old=None):
        """Return the Results that are shown, some `old` ones where none is known yet; raise WeaveError where one cannot
        be shown.
        """
        results = (old or {}) | self.outcome.demonstrations()
        if errors := pages.check(self.essay, results, self.reading.anchors):
            raise WeaveError(errors)
        return results

    def write_pages(self, old=None):
        """Write build/pages and the settings of the site; `old` are results that are shown for those not known yet.

        Returns the Results that are shown. Raises WeaveError, and writes nothing, where a page would be wrong.
        """
        results = self.shown(old)
        found, unfolded = pages.sheets(
            self.essay, self.reading, results, self.data, self.root / "docs", self.laboratory
        )
        pages.write(self.build / "pages", pages.files(self.essay, found, unfolded, self.root / "docs", self.data))
        site.write_settings(self.build, found)
        return results

    def write_chapters(self):
        """Write build/essay, the form that GitHub shows; return the names of the files that have changed.

        Raises OSError, and writes nothing, where something is in the way.
        """
        wanted = chapters.on_github(self.essay, self.reading, self.shown(), self.laboratory)
        folder = self.build / "essay"
        pages.check_paths(folder, wanted)
        return chapters.write(folder, wanted)

    def write_book(self, file):
        """Write the essay as an EPUB; raise OSError where that fails."""
        files = epub.files(self.essay, self.reading, self.shown(), self.laboratory)
        epub.write(file, site.about(self.root), files)

    def update(self):
        """Write the right numbers into the essay, as it was when this weave began; return how many were wrong.

        Raises OSError, and writes nothing, if the essay was saved in the meantime.
        """
        wrong = self.wrong
        if wrong:
            with tangle.locked(self.path.parent):
                new = numbers.corrected(self.bytes, wrong)
                tangle.write([tangle.Change(self.path.resolve(), self.bytes, new)])
        return len(wrong)


def check_targets(essay):
    """Raise WeaveError for programs that would stand where the weave writes in build/."""
    ours = ("mkdocs.yml", "essay", "pages", "site", "cache", ".cache")
    wrong = [root for root in essay.roots.values() if root.name.partition("/")[0] in ours]
    if wrong:
        raise WeaveError([(root.line, f"build/{root.name} is where the weaver writes: rename it") for root in wrong])


def weave(root, report, update=False, build=True, book=None):
    """Weave the essay: run what has to run, write the pages, let mkdocs build the site. Raises what the steps raise.

    With `update` what is committed is brought up to date as well: numbers in the prose, and build/essay. With `book`,
    the path of a file, an EPUB is made and no site. Another weave waits with its pages until this one is done.
    """
    if book:
        epub.check_place(book)  # before what takes long
    woven = Weave(root)
    woven.run(report)
    if update and (count := woven.update()):
        report(f"microgpt.md: {count} numbers put right")
        woven = Weave(root)
        woven.run(report)
    programs = experiments.lines_of_programs(woven.essay)
    if wrong := woven.complaints + tangle.check_experiments(woven.essay.fences, programs, compiles=True):
        raise WeaveError(wrong)
    if book:
        woven.write_book(book)
        return
    with tangle.locked(root / "docs"):
        woven.write_pages()
        if update and (changed := woven.write_chapters()):
            report(f"build/essay: {len(changed)} files have changed, such as {changed[0]}: commit them")
        if build:
            site.build_site(woven.build, woven.build / "site")


def say(text):
    """Print a message on stderr."""
    print(text, file=sys.stderr, flush=True)


def complaints(error):
    """Return what there is to say about an error in the essay or in a demonstration, a line for each."""
    if isinstance(error, tangle.TangleError):
        return "\n".join(f"microgpt.md:{line}: {shortened(message)}" for line, message in error.errors)
    if isinstance(error, DemonstrationError):
        return f"microgpt.md:{error.line}: {error}"
    if isinstance(error, OSError) and error.filename:
        return f"{shown(error.filename)}: {error.strerror}"
    return str(error)


def shortened(message):
    """Return a message without the middle of what it repeats: a picture in an address is longer than any screen."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} […] {message[-LONGEST // 2 :]}"


def shown(path):
    """Return a path as it is shown: from the working directory."""
    return os.path.relpath(Path(os.fsdecode(path)))

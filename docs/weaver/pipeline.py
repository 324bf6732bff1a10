"""The weave in its order: tangle, run stale demonstrations, render, build. All ways to weave are this one pipeline."""

import os
import sys
import tempfile
from pathlib import Path

from laboratory import record as records

import tangle
from weaver import chapters, epub, film, pages, prose_numbers, trials, walk, website
from weaver.essay import Essay, WeaveError
from weaver.prose import Reading
from weaver.results import Cache, DemonstrationError, Outcome, environment, imported, sessions_of, set_keys

OURS = ("mkdocs.yml", "essay", "pages", "site", "cache", ".cache")  # what the weaver writes in build/


class Weave:
    """One weave of the essay in a folder. Raises TangleError, or WeaveError, for its errors.

    `known` is what tangle.read_essay has returned, if it was read already.
    """

    def __init__(self, root, known=None):
        self.root, self.path, self.build = root, root / "microgpt.md", root / "build"
        self.bytes, *known = known or tangle.read_essay(self.path)
        self.essay = Essay(tangle.decode(self.bytes), pages.RESERVED, known)
        check_build(self.essay, self.build)
        self.reading = Reading(self.essay)
        if self.reading.errors:
            raise WeaveError(self.reading.errors)
        record = records.read(root / trials.RECORD)
        self.stale = trials.stale(self.essay, record, root)
        self.findings = trials.Findings(record, self.reading.explanations, self.stale)
        self.numbers = sorted(self.reading.numbers)
        sessions = sessions_of(self.essay, self.numbers)
        set_keys(self.essay, sessions, root, environment())
        self.data = sorted({name for session in sessions for name in session.data})
        self.outcome = Outcome(sessions, Cache(self.build / "cache"))

    @property
    def corrections(self):
        """The corrections that the numbers in the prose need, as far as is known."""
        return prose_numbers.corrections(self.numbers, self.outcome.values(self.numbers))

    def complaints(self, compiles=False):
        """Return the errors in the essay that leave pages to be shown: numbers, experiments, and widgets.

        With `compiles` experiments are applied as well, which takes longer.
        """
        widgets = pages.mismatched_widgets(self.essay, self.outcome.demonstrations())
        wrong = trials.complaints(self.essay, self.stale, compiles)
        mute = walk.complaints(self.essay, self.reading.said, self.outcome.demonstrations())
        return sorted(prose_numbers.complaints(self.corrections) + wrong + widgets + mute)

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

    def results(self, old=None):
        """Return the Results to show, some `old` ones where none is known yet; raise WeaveError where one cannot be."""
        results = (old or {}) | self.outcome.demonstrations()
        if errors := pages.check(self.essay, results, self.reading.anchors):
            raise WeaveError(errors)
        return results

    def write_pages(self, old=None):
        """Write build/pages and the settings of the site; `old` are results that are shown for those not known yet.

        Returns the Results that are shown. Raises WeaveError, and writes nothing, where a page would be wrong.
        """
        results, docs = self.results(old), self.root / "docs"
        scenes = walk.scenes(self.essay, self.reading.said, results)
        sheets, unfolded = pages.sheets(self.essay, self.reading, results, self.data, docs, self.findings, scenes)
        wanted = pages.files(
            self.essay, self.reading, sheets, unfolded, docs, self.data, self.findings, results, scenes
        )
        pages.write(self.build / "pages", wanted)
        website.write_settings(self.build, sheets)
        return results

    def write_chapters(self):
        """Write build/essay, the form that GitHub shows; return the names of the files that have changed.

        Raises OSError, and writes nothing, where something is in the way.
        """
        folder = self.build / "essay"
        wanted = chapters.on_github(self.essay, self.reading, self.results(), self.findings)
        return chapters.write(folder, wanted)

    def write_book(self, file):
        """Write the essay as an EPUB; raise OSError if that fails."""
        files = epub.files(self.essay, self.reading, self.results(), self.findings)
        epub.write(file, website.about(self.root), files)

    def update(self):
        """Write the right numbers into the essay, as it was when this weave began; return how many were wrong.

        Raises OSError, and writes nothing, if the essay was saved in the meantime.
        """
        corrections = self.corrections
        if corrections:
            with tangle.locked(self.root):
                new = prose_numbers.corrected(self.bytes, corrections)
                tangle.save(Path(shown(self.path.resolve())), self.bytes, new)
        return len(corrections)


def check_build(essay, build):
    """Raise an error for a program where the weaver writes in build/, and for a link there, which leads elsewhere."""
    clashes = [root for root in essay.roots.values() if root.name.partition("/")[0] in OURS]
    if clashes:
        raise WeaveError([(root.line, f"build/{root.name} is reserved for the weaver: rename it") for root in clashes])
    for name in OURS:
        if (build / name).is_symlink():
            raise OSError(f"{shown(build / name)} is a link: remove it, and the weaver will create the folder")


def begin(root):
    """Read the essay in a folder, write its programs, and return its Weave; raise OSError where one was edited by hand.

    Errors in the prose do not keep the programs from being written.
    """
    path = root / "microgpt.md"
    with tangle.locked(root):
        known = tangle.read_essay(path)
        if tangle.write_build(Path(shown(path)), known[-1]):
            raise OSError("a program in build/ was edited by hand: see above, then use tangle.py --stitch or --force")
    return Weave(root, known)


def weave(root, report, update=False, build=True, book=None, video=None, scene=None):
    """Weave the essay: run what has to run, write the pages, let mkdocs build the site. Raises what the steps raise.

    With `update` what is committed is brought up to date as well: numbers in the prose, and build/essay. With `book`,
    the path of a file, an EPUB is made and no site; with `video` a film of the walk on the site, or of one `scene`.
    Another weave waits with its pages until this one is done.
    """
    if book:
        epub.check_place(book)
    if video:
        film.check(video)
    woven = begin(root)
    if wrong := trials.complaints(woven.essay, woven.stale, compiles=True):  # before what takes long
        raise WeaveError(wrong)
    woven.run(report)
    if update and (count := woven.update()):
        report(f"microgpt.md: numbers corrected: {count}")
        woven = begin(root)
        woven.run(report)
    if wrong := woven.complaints():
        raise WeaveError(wrong)
    if book:
        woven.write_book(book)
        return
    with tangle.locked(root / "docs"):
        woven.write_pages()
        if update and (changed := woven.write_chapters()):
            report(f"build/essay: files that have changed: {len(changed)}, such as {changed[0]}; commit them")
        if build:
            website.build_site(woven.build, woven.build / "site")
    if video:
        film.make(woven.build / "site", video, scene, report)


def say(text):
    """Print a message on stderr."""
    print(text, file=sys.stderr, flush=True)


def complaints(error):
    """Return what there is to say about an error in the essay or in a demonstration, a line for each."""
    if isinstance(error, tangle.TangleError):
        return "\n".join(f"microgpt.md:{line}: {message}" for line, message in error.errors)
    if isinstance(error, DemonstrationError):
        return f"microgpt.md:{error.line}: {error}"
    if isinstance(error, OSError) and error.filename:
        return f"{shown(error.filename)}: {error.strerror}"
    return str(error)


def shown(path):
    """Return a path as it is shown: from the working directory."""
    return os.path.relpath(Path(os.fsdecode(path)))

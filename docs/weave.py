"""Weave: turn the essay into a website.

    python docs/weave.py             microgpt.md -> build/pages/ (Markdown and HTML) -> build/site/ (mkdocs)
    python docs/weave.py --pages     only the pages
    python docs/weave.py --run       only run the demonstrations whose results are missing
    python docs/weave.py --update    also update the committed files: the numbers in the prose of microgpt.md, and
                                     build/essay, the essay with its output and figures, as GitHub shows it
    python docs/weave.py --epub FILE write the essay as an EPUB instead, with pandoc
    python docs/weave.py --film FILE also make a film of the walk through the program, with Chromium and ffmpeg;
                                     --scene NAME makes only that scene
    python docs/weave.py --serve     show the site at http://127.0.0.1:8000/ and reload it after every save

Every `# ` heading of the essay begins a page. Chunks become HTML with links; Pweave runs the demonstrations, and their
output and figures follow them. Results are kept in build/cache, which you may delete at any time. Errors are printed as
microgpt.md:LINE: MESSAGE, and the exit status is 1.
"""

import argparse
import gc
import signal
import sys
import warnings
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("weave.py needs Python 3.11 or later, and this is {}.{}".format(*sys.version_info))

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from weaver.pipeline import begin, complaints, say, weave  # noqa: E402
from weaver.results import DemonstrationError  # noqa: E402
from weaver.website import SiteError  # noqa: E402

import tangle  # noqa: E402

# Who ends the weave while a kernel answers need not hear of the answer that nobody waits for any more.
warnings.filterwarnings("ignore", "coroutine 'KernelClient.* was never awaited", RuntimeWarning)


def main():
    """Do what the command line asks, and return the exit status."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--pages", action="store_true", help="weave the pages in build/pages and stop there")
    modes.add_argument(
        "--run", action="store_true", help="run the demonstrations whose results are missing, and stop there"
    )
    modes.add_argument("--update", action="store_true", help="correct the numbers in the prose, and write build/essay")
    modes.add_argument("--epub", type=Path, metavar="FILE", help="write the essay as an EPUB, and stop there")
    modes.add_argument("--film", type=Path, metavar="FILE", help="also make a film of the walk, and its captions")
    modes.add_argument(
        "--serve", nargs="?", type=int, const=8000, metavar="PORT", help="serve the site, and follow every save"
    )
    parser.add_argument("--scene", metavar="NAME", help="with --film: make only this scene")
    options = parser.parse_args()
    if options.scene and not options.film:
        parser.error("--scene needs --film FILE")
    gc.set_threshold(200_000)  # nearly all that a weave makes stays: to look for garbage took a sixth of its time
    ended = []  # by what number

    def end(number, _):
        ended.append(number)
        sys.exit(128 + number)  # and so the kernel is ended

    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) != signal.SIG_IGN:  # as with nohup
            signal.signal(number, end)
    if options.serve is not None:
        from weaver.serve import serve  # it is needed for nothing else

        return serve(ROOT, options.serve)
    try:
        if options.run:
            begin(ROOT).run(say)
        else:
            weave(ROOT, say, options.update, not options.pages, options.epub, options.film, options.scene)
    except KeyboardInterrupt:
        return 130
    except (tangle.TangleError, DemonstrationError, SiteError, OSError) as error:
        if ended:  # a kernel that was starting then complains of that
            return 128 + ended[0]
        say(complaints(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

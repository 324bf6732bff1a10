"""The Python side of worker.js, in the browser: runs programs, lets them write more, and tangles essays."""

import argparse
import gc
import json
import os
import random
import runpy
import sys
import traceback

import pyodide.ffi

for module in ("js", "pyodide_js"):  # the program is somebody else's, and has no need of the browser
    pyodide.ffi.unregister_js_module(module)
    sys.modules.pop(module, None)

learned = []  # the global and local names of main() when the last program returned from it
watch = sys.monitoring
watch.use_tool_id(watch.PROFILER_ID, "microgpt")


def entered(code, _):
    """Watch for the end of main(); this costs nothing, since it is called once for each function."""
    if code.co_name == "main" and code.co_filename == "/essay/microgpt.md":
        watch.set_local_events(watch.PROFILER_ID, code, watch.events.PY_RETURN)
    return watch.DISABLE


def returned(*_):
    frame = sys._getframe(1)
    learned[:] = [frame.f_globals, {**frame.f_locals}]


watch.register_callback(watch.PROFILER_ID, watch.events.PY_START, entered)
watch.register_callback(watch.PROFILER_ID, watch.events.PY_RETURN, returned)
watch.set_events(watch.PROFILER_ID, watch.events.PY_START)


def can_write():
    """Return whether the last program has left all the names needed to write with it."""
    return bool(learned) and "sample" in learned[0] and {"model", "characters", "flags"} <= learned[1].keys()


def write(beginning, temperature):
    """Return a new document with a given beginning: until it ends, the program's random draws are fixed."""
    (names, own), choices = learned, random.choices
    unknown = [character for character in beginning if character not in own["characters"]]
    if unknown:
        return json.dumps({"problem": f"The model knows only {''.join(own['characters'])}, not {' '.join(unknown)}."})
    first = [own["characters"].index(character) for character in beginning]
    flags = argparse.Namespace(**{**vars(own["flags"]), "temperature": temperature})
    random.choices = lambda *given: [first.pop(0)] if first else choices(*given)
    try:
        tokens = names["sample"](own["model"], len(own["characters"]), flags)
        return json.dumps({"text": "".join(own["characters"][token] for token in tokens)})
    except Exception as error:
        return json.dumps({"problem": f"The model cannot write that ({error})."})
    finally:
        random.choices = choices


class Ended(BaseException):
    """Instead of os._exit, which would end Python here for good."""


def run(words):
    def end(status):
        raise Ended(status)

    before, os._exit = os._exit, end
    learned.clear()
    modules, argv, path, main = {*sys.modules}, sys.argv, [*sys.path], sys.modules["__main__"]
    sys.argv, status = ["tangle.py", *words], 0
    try:
        runpy.run_path("tangle.py", run_name="__main__")
    except SystemExit as error:
        status = error.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except Ended as error:
        status = error.args[0]
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        kind, error, place = sys.exc_info()
        while place and place.tb_frame.f_code.co_filename != "/essay/microgpt.md":
            place = place.tb_next
        traceback.print_exception(kind, error, place)
        status = 1
    finally:
        os._exit, sys.argv, sys.path[:], sys.modules["__main__"] = before, argv, path, main
        for name in {*sys.modules} - modules:
            if getattr(sys.modules[name], "__file__", "").startswith("/essay/"):
                del sys.modules[name]
        if status == 130:
            print()  # the line on which it was stopped may have no end
        sys.stdout.flush()
        sys.stderr.flush()
        gc.enable()
        gc.collect()
    return status


def tangle(text, target):
    """Return a program of an essay, and the errors, as JSON."""
    tangler = runpy.run_path("tangle.py", run_name="tangle")
    try:
        return json.dumps({"program": tangler["render"](tangler["tangle"](text)[target]), "errors": []})
    except tangler["TangleError"] as error:
        return json.dumps({"program": "", "errors": error.errors})


run, tangle, can_write, write  # noqa: B018 - worker.js takes them

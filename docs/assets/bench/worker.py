"""The Python side of worker.js, in the browser: runs programs, and tangles essays."""

import gc
import json
import os
import runpy
import sys
import traceback

import pyodide.ffi

for module in ("js", "pyodide_js"):  # the program is somebody else's, and has no need of the browser
    pyodide.ffi.unregister_js_module(module)
    sys.modules.pop(module, None)


class Ended(BaseException):
    """Instead of os._exit, which would end Python here for good."""


def run(words):
    def end(status):
        raise Ended(status)

    before, os._exit = os._exit, end
    modules, path = {*sys.modules}, [*sys.path]
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
        traceback.print_exc()
        status = 1
    finally:
        os._exit, sys.path[:] = before, path
        for name in {*sys.modules} - modules:
            if getattr(sys.modules[name], "__file__", "").startswith("/essay/"):
                del sys.modules[name]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.fsync(stream.fileno())  # ends a line without an end
        gc.enable()  # programs turn it off
    return status


def tangle(text, target):
    """Return a program of an essay, and the errors, as JSON."""
    tangler = runpy.run_path("tangle.py", run_name="tangle")
    try:
        return json.dumps({"program": tangler["render"](tangler["tangle"](text)[target]), "errors": []})
    except tangler["TangleError"] as error:
        return json.dumps({"program": "", "errors": error.errors})


run, tangle  # noqa: B018 - worker.js takes them

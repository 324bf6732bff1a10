"""Small essays for the tests of the weaver, and projects that are made of them."""

import os
import shutil
import subprocess
import sys
from textwrap import dedent

from programs import ROOT
from weaver.essay import Essay
from weaver.results import sessions_of, set_keys

SMALL = dedent("""\
    # One

    The whole is here, and ⟨a part⟩ of it.

    ``` python {file=small.py}
    <<a-part>>

    <<other>>
    ```

    # Two

    ## Deeper

    ``` python {#a-part}
    def double(x):
        return 2 * x
    ```

    It is called by `quadruple`, not by `nobody`.

    ``` python {#a-part}

    def quadruple(x): return double(double(x))
    ```

    ``` python {#other}
    print(quadruple(1) < 5)
    ```

    ```python name="twice"
    y = double(4)
    print(y)
    ```

    Twice four is 8<!-- = double(4) -->.
    """)


def with_prose(prose, code="def double(x):\n    return 2 * x", target="small.py"):
    """Return an essay of one page: a program, its code in the chunk a-part on line 8, and prose from line 12 on."""
    assert code.count("\n") == 1
    return f"# One\n\n``` python {{file={target}}}\n<<a-part>>\n```\n\n``` python {{#a-part}}\n{code}\n```\n\n{prose}\n"


def demonstration(name, code, options=""):
    """Return the fence of a demonstration."""
    return f'```python name="{name}"{options}\n{code}\n```\n'


def project(folder, text=SMALL):
    """Make a project of an essay: a folder with what the weaver needs, without any record. Return the folder."""
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__", "experiments.json"))
    for name in ("tangle.py", "mkdocs.yml"):
        shutil.copy(ROOT / name, folder)
    (folder / "microgpt.md").write_text(text, encoding="utf-8")
    return folder


def run_weave(folder, *arguments, cwd=None, **environment):
    """Run docs/weave.py of a project, there or elsewhere, and return the completed process."""
    command = [sys.executable, folder / "docs" / "weave.py", *arguments]
    return subprocess.run(command, cwd=cwd or folder, env={**os.environ, **environment}, capture_output=True,
                          encoding="utf-8", timeout=300, check=False)  # fmt: skip


def keys_of(text, root=ROOT, environment=""):
    """Return the keys of the sessions of an essay, in their order."""
    essay = Essay(text)
    sessions = sessions_of(essay, [])
    set_keys(essay, sessions, root, environment)
    return [session.key for session in sessions]

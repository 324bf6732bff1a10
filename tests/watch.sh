#!/bin/sh
# Follow what is saved: tangle, and run the tests that are not slow, those that failed last first. Ctrl-C ends it.
cd "$(dirname "$0")/.." || exit
exec .venv/bin/watchmedo auto-restart --no-restart-on-command-exit --debounce-interval 0.5 --recursive \
    --patterns '*.md;*.py;*.js;*.html' --ignore-patterns '*/build/*;*/.venv/*' \
    sh -- -c 'python3 tangle.py && .venv/bin/pytest -q -n 0 --ff --maxfail 3 -m "not slow and not nightly"'

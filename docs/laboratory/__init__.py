"""The laboratory: what experiments do to the loss, measured exactly and soon. docs/experiments.py is its command.

trace      a program runs on symbols, and what it computes is written down as instructions
machine.c  a small interpreter that runs such instructions again, with other numbers and other tokens
machine    the program's own `train` with both of them beneath, and the loss on many documents
measure    what is measured of a program, and how
record     docs/experiments.json: reading it, what in it is stale, and what it says
"""

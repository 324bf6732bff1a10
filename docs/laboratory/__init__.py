"""The laboratory: all that is measured of the programs, and the commands that measure it.

experiments  the command that measures what experiments do to the loss, into docs/experiments.json
record       that file: reading it, what in it is stale, and what it says; nothing here runs a program
measure      the measurements of a program
machine      the program's own `train` on traces of what it computes, exactly and soon; the loss on many documents
tracing      a program runs on symbols, and what it computes is written down as instructions
machine.c    a small interpreter that runs such instructions again, with other numbers and other tokens

benchmark    the command that times the programs against each other, into docs/benchmark.json
heads        what the heads of twenty runs like to look at, into docs/heads.json
parts        where the time of a step goes
devices      a step of torch_gpt.py on the processor and on a GPU, into docs/devices.json
peak.c       how many operations a second one core does at the most
programs     the programs with their contracts, and how to run them: the tests use it as well
"""

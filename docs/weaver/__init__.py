"""The weaver: from the essay to a website, and to other forms. docs/weave.py is its command.

essay          the essay, cross-referenced: pages, blocks of chunks, what each program defines and uses
prose          its Markdown, read by Python-Markdown: links, and the numbers that have to be right
prose_numbers  are those numbers right, and how are they written
duration       how long it takes to read
trials         what experiments change, and what their record says of them
curves         the picture of an experiment: the losses with and without it
minimap        the program as a picture: its lines by what happens without them
walk           the walk through the program: its scenes with their sentences, and a still of each
results        what demonstrations printed and drew, and when that is still valid
kernel         demonstrations are run, by Pweave; prelude is what they find there
render         HTML for chunks, demonstrations, listings and indexes, by the templates in docs/templates
pages          all pages of the site, and build/pages
website        the site's settings, and build/site, by mkdocs
playground     what the page that edits and runs the essay needs
chapters       the essay in Markdown that GitHub shows, build/essay: its own lines, and what its fences print and draw
epub           the essay as an EPUB, made of these chapters by pandoc
film           the film of the walk, made by a browser and ffmpeg
pipeline       all of this in its order
serve          the same while the essay is being written
"""

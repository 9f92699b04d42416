"""What the demo's jobs run: a shaded relief map, drawn from real elevations by six steps.

    survey (A)   reads the whole model: where water runs, which colours the heights get
    refine (B)   one strip of the map: heights, slopes and open sky for each pixel
    shade (C)    the strip in colour, from its own refined heights and the survey
    draw (D)     contour lines over it, its figures, and its part of the PNG
    picture (E)  the strips, a frame and a title make the picture
    figures (F)  what the strips counted, as text

Each step is a process (``python -m batchyard.relief STEP FOLDER STRIPS``) that reads what earlier steps have left in
FOLDER and leaves its own; a file appears there whole or not at all, so a step that was killed can be run again. Imports
the standard library only: a job needs nothing of Batchyard. Start reading with ``__main__.py``; ``model.py`` has the
elevations, ``data/README.md`` says where they come from.
"""

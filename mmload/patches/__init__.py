"""A variant as a patch of somebody's own SGLang: a diff for people to read, keep and apply.

    recipes.py     variant -> Patch: the table of recipes, and what is refused
    tree.py        somebody's SGLang: where it is, its version, its files while they are edited
    source.py      edits of one file, located by structure
    landmarks.py   what the edits hold on to
    commit.py      the form before SGLang's commit, which every variant but one is written against
    plain.py       variants whose whole change is a few lines of SGLang
    hosted.py      variants that need a module beside SGLang's own, and the lines that call it
    bundle.py      that module: a strategy of mmload.handoff, its host from inside/, and what both need, in one file
    inside/        hosts for a strategy within SGLang's processes
    diff.py        what `git apply` takes

No code of SGLang is kept here: a patch is made from the tree it is for. A file that doesn't look as expected is
refused, with the function and what differs.
"""

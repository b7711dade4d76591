"""A disk that fills up."""


def fill(folder):
    """Take all the room that there is."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"\0" * 4096)
        except OSError:
            pass

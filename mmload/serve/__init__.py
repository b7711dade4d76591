"""The system under test: starting it, asking it about itself, watching it, ending it if it was started here.

client.py    its HTTP side: health, server information, what its ranks say they run
engines.py   the command line that starts each engine
process.py   a started server: its log, its end
target.py    what a run is aimed at: a URL and the processes behind it, started here or attached to
"""

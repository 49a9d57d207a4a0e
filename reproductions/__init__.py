"""What each system of the chapter is known for, shown: one module and one command a system.

``python -m reproductions.NAME`` trains it from three seeds and says whether what is claimed of it holds;
``python -m reproductions.table`` makes the README's table of the results.
"""

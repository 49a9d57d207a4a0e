"""Well-known networks, plain, compiled and accelerated: does one line make somebody's own model faster, or slower?"""

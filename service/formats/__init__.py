"""The newsroom's own formats: bytes in, stories out.

Pure mappings. Nothing here reads a clock, a file, a database or the network.
"""

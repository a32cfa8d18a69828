"""The chaos run: faults during fan-outs, and a check of what the readers' phones received."""

"""How the stand-ins can be told to misbehave; the control API calls it the weather."""

"""How the system is doing: holds, workers' signs of life, figures, the canary."""

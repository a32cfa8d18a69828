"""What Prometheus reads: the names, the files that processes count in, and where they are read."""

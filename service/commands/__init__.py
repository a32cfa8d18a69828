"""One file per group of commands; `service.cli` puts them together."""

"""The whole system on one machine: embedded servers, its programs, its first data."""

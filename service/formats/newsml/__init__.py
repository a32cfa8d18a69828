"""NewsML-G2 of IPTC, to stories."""

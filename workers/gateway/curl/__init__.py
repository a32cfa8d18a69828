"""The gateway on libcurl: for what speaks no HTTP/2, or for everything."""

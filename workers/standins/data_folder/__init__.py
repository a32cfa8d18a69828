"""What the stand-ins keep in their data folder: accounts, certificates, keys and ports."""

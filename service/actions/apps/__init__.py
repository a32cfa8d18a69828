"""Apps: which there are, which one a device belongs to, and who has logged in through one."""

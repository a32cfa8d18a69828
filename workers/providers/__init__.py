"""One file, one provider; none knows another and none does I/O."""

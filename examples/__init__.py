"""Programs that use wsrec from Python, to read and to start from."""

"""Pure decisions: values in, the time among them, values out; no I/O, no clock, no event loop."""

"""The console: a replay driven, and sessions looked at, over HTTP; the page at ``/`` is one client of it."""

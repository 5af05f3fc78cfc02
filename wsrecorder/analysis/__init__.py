"""Answers from recordings: sessions as their user sees them, SQL, figures."""

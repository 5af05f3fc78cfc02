"""What can be asked for: a job is a verb, the only place that waits and brings edges together."""

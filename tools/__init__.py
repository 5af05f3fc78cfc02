"""What the project's own verbs run beside the tools of others."""

"""Questions about a pose and their answers, read off its joints."""

"""Pictures of people, drawn from poses."""

"""What an adapter to another framework needs, without any framework."""

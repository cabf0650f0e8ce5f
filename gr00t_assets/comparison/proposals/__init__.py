"""What to run next: the fewest experiments that settle what is open."""

"""What a sender is: the names that the author of one imports."""

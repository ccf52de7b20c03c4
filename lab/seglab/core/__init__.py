"""Values and helpers that all other packages import, and that import nothing above them."""

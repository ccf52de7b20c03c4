"""What is to be run: scenarios, the sessions that a scenario plans, and how the server reads."""

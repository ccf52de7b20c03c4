"""What is to be run: a scenario, the sessions it plans, how the server reads."""

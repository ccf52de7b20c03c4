"""How Linux cuts what a program writes into TCP segments: rules and a forward model, no sockets."""

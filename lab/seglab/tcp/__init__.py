"""How Linux cuts what a program writes into TCP segments: pure models of it, without a socket."""

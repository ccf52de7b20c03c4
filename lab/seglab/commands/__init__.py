"""The commands of ``seglab``, one module each: they read options, call an engine and print."""

"""The modules of the simulator as compiled, where there was a compiler; else empty."""

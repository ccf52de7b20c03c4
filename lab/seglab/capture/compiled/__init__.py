"""The modules of ``seglab.capture.core`` as compiled, where there was a compiler; else empty."""

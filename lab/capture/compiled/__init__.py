"""The modules of ``lab.capture.core`` as compiled, where there was a compiler; else empty."""

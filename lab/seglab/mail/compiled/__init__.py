"""The text of generated mail as compiled, where there was a compiler; else empty."""

"""Whether the simulator agrees with the kernel engine: sessions of both, compared."""

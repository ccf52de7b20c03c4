"""The kernel engine: real TCP stacks in network namespaces, joined by the lab's own wire."""

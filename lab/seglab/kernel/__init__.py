"""The kernel engine: real TCP stacks in network namespaces, connected by the lab's own wire."""

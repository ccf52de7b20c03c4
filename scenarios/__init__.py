"""The scenarios: one TOML file each, found by ``lab.registry``."""

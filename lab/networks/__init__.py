"""The networks: one TOML file each, found by ``lab.registry``."""

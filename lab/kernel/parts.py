"""The processes of a lab, beside its first."""

PARTS = {
    "wire": ("wire", "lab.kernel.wire"),
    "server": ("server", "lab.server"),
    "client": ("client", "lab.kernel.client"),
}
"""Part -> the node it runs in, and its module."""

"""A plugin of tox: environments that share one folder (``env_dir`` in tox.ini).

tox notes in a folder which environment made it, and makes it again for another one, although both
want the same packages. The runner ``shared`` leaves that name out. tox compares all else as it
always does: another Python, extra or dependency makes the folder again.
"""

from contextlib import AbstractContextManager
from typing import Any

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner
from tox.tox_env.register import ToxEnvRegister


class SharedInfo(Info):
    """What tox notes in a folder, without the name of the environment."""

    def compare(
        self, value: Any, section: str, sub_section: str | None = None
    ) -> AbstractContextManager[tuple[bool, Any]]:
        """Compare and note a value, as tox does."""
        if section == "ToxEnv":
            value = {**value, "name": "shared"}
        return super().compare(value, section, sub_section)


class SharedRunner(VirtualEnvRunner):
    """An environment whose folder others use as well."""

    @staticmethod
    def id() -> str:
        """The name for ``runner`` in tox.ini."""
        return "shared"

    @property
    def cache(self) -> Info:
        """What tox has noted in the folder."""
        return SharedInfo(self.env_dir)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    """Let tox.ini name the runner."""
    register.add_run_env(SharedRunner)

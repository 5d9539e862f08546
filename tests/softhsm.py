"""A PKCS#11 token for the tests: Debian's SoftHSM2 in a temporary folder, gone afterwards.

Belongs here: finding the module and making tokens. Without SoftHSM2 the tests that need a token are skipped,
except where CI is set: there they fail.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

PIN = "6913-user-pin"
_MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
_CONFIGURATION = "directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n"


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The module, set up with a folder of tokens for this session."""
    module = next((Path(each) for each in _MODULES if Path(each).is_file()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        message = "no PKCS#11 token: install Debian's package `softhsm2`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(_CONFIGURATION.format(folder=folder / "tokens"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        yield module


@pytest.fixture
def new_token(softhsm: Path) -> Callable[[], dict[str, object]]:
    """Makes an empty token; returns the settings of a house that uses it."""

    def make() -> dict[str, object]:
        label = f"token-{secrets.token_hex(4)}"
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678"]
        subprocess.run([*command, "--pin", PIN], check=True, capture_output=True)
        return {
            "key_service": "pkcs11",
            "pkcs11_module": softhsm,
            "pkcs11_token": label,
            "pkcs11_pin": SecretStr(PIN),
        }

    return make

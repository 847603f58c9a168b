"""Where settings come from: files, variables of the environment and ``.env``."""

from __future__ import annotations

import io
import logging
import os
import typing as t
from pathlib import Path

from dotenv import find_dotenv
from dotenv.main import DotEnv

from tap_acumatica.errors import SettingsError
from tap_acumatica.settings.checks import check
from tap_acumatica.settings.documents import decoded, document
from tap_acumatica.settings.given import Given, as_given, origin_of, without_line_ends
from tap_acumatica.settings.table import PREFIX, schemas
from tap_acumatica.settings.unknown import warn_of_unknown_settings, warn_of_unknown_variables
from tap_acumatica.settings.values import as_meant, secret_fault

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

logger = logging.getLogger(__name__)

ENVIRONMENT = "ENV"
"""What ``--config`` is given for variables of the environment."""

_ENV_FILE = ".env"


def read_files(sources: Iterable[str]) -> Given:
    """The configuration that files hold; of a setting given twice, the last one counts.

    Args:
        sources: Paths of JSON files, ``-`` for standard input; ``ENV`` is left out.

    Raises:
        SettingsError: If one of them does not hold a configuration, or there is no setting.
    """
    config, listed = Given(), list(sources)
    for path in listed:
        if path != ENVIRONMENT:
            for name, value in document(path, "configuration").items():
                config.put(name, value, _shown(path))
    if listed and not config and ENVIRONMENT not in listed:
        msg = f"'url' is missing: there are no settings in {', '.join(listed)}"
        raise SettingsError(msg)
    return config


def read_config(sources: Iterable[str]) -> Given:
    """The configuration that ``--config`` names, checked; variables win over files.

    Args:
        sources: Paths of JSON files, or ``ENV`` for environment variables.

    Raises:
        SettingsError: If a file does not hold a configuration, or a setting is missing or wrong.
    """
    listed = list(sources)
    config = read_files(listed)
    return prepared(with_environment(config) if ENVIRONMENT in listed else config)


def prepared(config: Mapping[str, t.Any]) -> Given:
    """A configuration with its values as they are meant, checked; warns of what has no effect.

    Args:
        config: The configuration as given.

    Raises:
        SettingsError: One line that names every setting at fault and what is allowed.
    """

    def secret(name: str, text: str) -> str:
        if fault := secret_fault(text):
            origin = origin_of(config, name)
            held = " holds a text that" if isinstance(config[name], dict) else ""
            logger.warning("'%s'%s %s%s", name, held, fault, f" ({origin})" if origin else "")
        return without_line_ends(text)

    found = as_given(config, secret=secret)
    warn_of_unknown_settings(found)
    check(found)
    return found


def with_environment(
    config: Mapping[str, t.Any] | None, environment: MutableMapping[str, str] | None = None
) -> Given:
    """A configuration with what variables of the environment set, which wins.

    The variables of the file ``.env`` in the working folder, or in the nearest one above it that
    has one, are set first; a variable that is set already keeps its value.

    Args:
        config: The configuration so far.
        environment: The variables; None for those of the process.

    Raises:
        SettingsError: If ``.env`` cannot be read, or no variable sets anything.
    """
    variables = os.environ if environment is None else environment
    file, of_file = _set_variables_of_file(variables)
    found = Given(config)
    for name, schema in schemas().items():
        variable = f"{PREFIX}{name.upper()}"
        if variable in variables:
            value = as_meant(variables[variable], schema, separated=True)
            origin = f"{variable} in {_ENV_FILE}" if variable in of_file else variable
            found.put(name, value, origin, variable=True)
    warn_of_unknown_variables(variables)
    if not found:
        where = f"neither in the environment nor in {file}" if file else "and there is no file .env"
        msg = f"no settings were given: no variable {PREFIX}… is set, {where}"
        raise SettingsError(msg)
    return found


def _set_variables_of_file(variables: MutableMapping[str, str]) -> tuple[str, set[str]]:
    """Set the variables of ``.env`` that are not set yet; its path and their names."""
    path = find_dotenv(_ENV_FILE, usecwd=True)
    if not path:
        return "", set()
    shown = _ENV_FILE if Path(path).parent == Path.cwd() else path
    name = f"the file {shown}"
    try:
        text = decoded(Path(path).read_bytes(), name)
    except OSError as error:
        msg = f"{name} cannot be read ({error.strerror})"
        raise SettingsError(msg) from error
    held = DotEnv(None, io.StringIO(text, newline=None), override=False).dict()
    new = {
        each: value for each, value in held.items() if value is not None and each not in variables
    }
    variables.update(new)
    ours = sorted(each for each in new if each.startswith(PREFIX))
    logger.info("Settings are read from %s: %s", shown, ", ".join(ours) or "none")
    return shown, set(new)


def _shown(path: str) -> str:
    """What to call a file in a message about one of its settings."""
    parts = Path(path).parts
    # Meltano writes its settings into a file that nobody has ever seen.
    return "as Meltano passes it" if ".meltano" in parts else Path(path).name

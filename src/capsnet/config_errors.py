"""Errors of Hydra, OmegaConf and pydantic in one line: the nearest key, or what is possible."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from traceback import walk_tb
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from capsnet.errors import UserError

BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
FULL = "HYDRA_FULL_ERROR"  # Hydra then raises its errors instead of printing them and exiting


@contextmanager
def hydra_errors_raised() -> Iterator[None]:
    """Surround Hydra's entry point: raise its errors as UserError.

    Where the user has set HYDRA_FULL_ERROR=1, the traceback stays.
    """
    from hydra.errors import HydraException  # `capsnet.load` needs no Hydra

    if os.environ.get(FULL) == "1":
        yield
        return
    os.environ[FULL] = "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(in_one_line(error)) from error
    except OSError as error:
        if error.filename is None or not _raised_in_hydra(error):
            raise
        message = f"hydra.run.dir: {error.filename} cannot be made: {error.strerror}"
        another = "hydra.run.dir=…, in a sweep by hydra.sweep.subdir=…"
        raise UserError(f"{message} (name another folder by {another})") from error
    except (ValueError, TypeError) as error:
        if not _raised_in_hydra(error):
            raise
        message = f"the command line is not possible: {error} (a group is chosen by group=NAME)"
        raise UserError(message) from error
    finally:
        del os.environ[FULL]


def _raised_in_hydra(error: Exception) -> bool:
    """Tell whether Hydra itself failed: on an override, as on `schedule=null`, or on a folder."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    *_, last = (name for name in modules if not name.startswith("pathlib"))
    return last.startswith("hydra.")


def in_one_line(error: Exception) -> str:
    """Describe an error of Hydra or OmegaConf, with the choices where there are some."""
    from hydra.errors import MissingConfigException

    match error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error:
        case MissingConfigException(missing_cfg_file=str(path), options=list(choices)):
            group, _, name = path.rpartition("/")
            return f"{group}={name} does not exist: {_suggestion(name, choices)}"
        case (
            ConfigKeyError(full_key=str(key), parent_node=DictConfig() as parent)
            | ConfigAttributeError(full_key=str(key), parent_node=DictConfig() as parent)
        ):
            above = key.removesuffix(key.split(".")[-1])
            keys = [above + below for below in _keys(OmegaConf.to_container(parent))]
            return f"there is no key {key}: {_suggestion(key, keys)}"
        case OmegaConfBaseException(full_key=key, msg=str(text)):
            return (f"{key}: " if key else "") + text.splitlines()[0]
        case other:
            return " ".join(str(other).split())


def _suggestion(wrong: str, choices: Sequence[str]) -> str:
    """Name the choice whose last part is nearest to that of `wrong`, and those of its level."""
    beside = [choice for choice in choices if choice.count(".") == wrong.count(".")]
    parts = {choice.split(".")[-1]: choice for choice in (*choices, *beside)}
    near = get_close_matches(wrong.split(".")[-1], parts, n=1, cutoff=0.65)
    guess = f"did you mean {parts[near[0]]}? " if near else ""
    return f"{guess}Possible: {', '.join(beside)}"


def _keys(values: Any) -> Iterator[str]:
    """List the keys of nested dictionaries, dotted, apart from Hydra's own."""
    for key, value in values.items():
        if key != "hydra":
            yield key
            if isinstance(value, dict):
                yield from (f"{key}.{below}" for below in _keys(value))


def first_fault(error: ValidationError, kinds: Mapping[str, Any]) -> str:
    """Describe the first fault that pydantic found in a configuration.

    `kinds` gives the dataclass of each part and of each model by its name, and "" that of a run.
    """
    fault = error.errors()[0]
    path = ["", *map(str, fault["loc"])]
    key = ".".join([*path[1:2], *path[2:][-1:]])  # a model's name is between the two
    rule = fault["msg"].removeprefix("Input should be ")
    if BOUNDS.keys() & fault.get("ctx", {}).keys():
        rule = _bounds(kinds[path[-2]].__pydantic_fields__[path[-1]])
    return impossible(key, fault["input"], rule)


def _bounds(field: FieldInfo) -> str:
    """Write all bounds of a field in words, such as "above 0 and at most 1"."""
    bounds = (bound for one in field.metadata for bound in asdict(one).items())
    return " and ".join(f"{BOUNDS[name]} {value:,}" for name, value in bounds if name in BOUNDS)


def impossible(key: str, value: object, rule: str) -> str:
    """Write that a value is not possible, and what it must be."""
    return f"{key} = {value} is not possible: it must be {rule}"

"""`python -m capsnet.compose PROFILE`: every experiment under a profile, fully resolved.

The files in `configs/PROFILE` are what DVC's training stages depend on. Each carries a digest of
all that decides its numbers, so that an edit re-runs exactly the runs that it changes. Runtime
settings of the machine are left to the training: on another machine nothing is out of date.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from capsnet import config
from capsnet.config_errors import in_one_line
from capsnet.data.storage import building
from capsnet.errors import UserError, exit_on_user_error
from capsnet.training.fingerprint import composition

MACHINE = {"optional machine": "${oc.env:CAPSNET_MACHINE,local}"}  # as in conf/config.yaml


def main() -> None:
    """Compose the profile's experiments."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.compose", description=__doc__)
    parser.add_argument("profile", choices=names("profile"))
    profile: str = parser.parse_args().profile
    with exit_on_user_error():
        compose(profile, Path("configs") / profile)


def names(group: str) -> list[str]:
    """List the choices of a configuration group."""
    return sorted(path.stem for path in (config.CONF / group).glob("*.yaml"))


def compose(profile: str, folder: Path) -> None:
    """Write `folder/<experiment>.yaml` for every experiment; other files in `folder` go."""
    with building(folder) as scratch:
        for experiment in names("experiment"):
            values = resolved(profile, experiment)
            text = f"# Composed from conf/ for profile {profile}; not to be edited.\n"
            (scratch / f"{experiment}.yaml").write_text(text + OmegaConf.to_yaml(values))


def resolved(profile: str, experiment: str) -> dict[str, Any]:
    """Resolve an experiment's configuration, folder and record; only the seed stays open."""
    words = f"experiment={experiment}", f"profile={profile}"
    run, anywhere = composed(*words), composed(*words, "machine=none")
    place = f"{profile}/{experiment}/seed${{seed}}"
    digest = composition(run)
    run = replace(run, trainer=anywhere.trainer, logger=anywhere.logger)
    values = asdict(replace(run, record=f"results/{place}.json", composition=digest))
    hydra = {"run": {"dir": f"runs/{place}"}, "job": {"chdir": False}}
    return {"defaults": ["_self_", MACHINE], **values, "hydra": hydra}


def composed(*overrides: str) -> config.RunConfig:
    """Compose the run that training makes of these overrides. Raises UserError for bad ones."""
    config.register()
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        try:
            return config.validated(hydra_compose("config", list(overrides)))
        except HydraException as error:
            raise UserError(f"{' '.join(overrides)}: {in_one_line(error)}") from error


if __name__ == "__main__":
    main()

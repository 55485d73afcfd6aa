"""Attacks on a finished run, from its folder to what is kept of them."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from capsnet.attack.plan import BIM, FGSM, Plan
from capsnet.errors import UserError
from capsnet.evaluate import LoadedRun, find_run, load_run
from capsnet.records.attacks import Attacked, Attacks
from capsnet.records.record import outcome_of
from capsnet.records.run_folder import WEIGHTS, run_folder


def attack(
    checkpoint: Path, overrides: Sequence[str], plan: Plan, device: str | None = None
) -> Attacks:
    """Attack the network of a finished run on its test set, and count the errors.

    Raises UserError as `capsnet.evaluate` does, and for a limit where examples come in groups.
    """
    from capsnet.attack.count import attack_all
    from capsnet.attack.target import target_of
    from capsnet.evaluation.outcomes import groups_of
    from capsnet.kernels.precision import fp32_arithmetic
    from capsnet.training.factory import autocast

    loaded = load_run(checkpoint, [*overrides], device)
    run, test = loaded.run, loaded.data.tests["test"]
    groups = groups_of(test)
    if groups is not None and plan.limit is not None:
        raise UserError(f"--limit would divide a {groups.name} of {test.source}: leave it out")
    target, points = target_of(loaded, plan.loss), points_of(plan)
    described = about(loaded, checkpoint)  # the commit as it was before the hours of an attack
    with fp32_arithmetic(run.precision), autocast(run, loaded.device):
        found = attack_all(target, test.split, points, loaded.device, plan.limit)
    distinct = min(test.num_distinct, len(found.clean))
    count = partial(outcome_of, test.source, num_distinct=distinct, groups=groups)
    return Attacks(
        **described,
        loss=plan.loss,
        bim_steps=plan.steps,
        bim_step=plan.step,
        zero_gradients=int(found.without_gradient.sum()),
        clean=count(found.clean.numpy()),
        attacked=tuple(
            Attacked(*point, count(wrong.numpy())) for point, wrong in found.wrong.items()
        ),
    )


def points_of(plan: Plan) -> dict[tuple[str, float], Any]:
    """Return each attack of the plan at each eps, as a function of images and the gradient."""
    from capsnet.attack.methods import bim, fgsm

    makers = {
        FGSM: lambda eps: partial(fgsm, eps=eps),
        BIM: lambda eps: partial(bim, eps=eps, steps=plan.steps, step=plan.step * eps),
    }
    return {(name, eps): makers[name](eps) for name in plan.attacks for eps in plan.eps}


def about(loaded: LoadedRun, checkpoint: Path) -> dict[str, Any]:
    """Say which run is attacked, from its record where that is there, and by what code."""
    from capsnet.records.provenance import device_name, git_commit

    run, info, trained = loaded.run, loaded.data.info, find_run(checkpoint)
    weights = (run_folder(checkpoint) / WEIGHTS).read_bytes()
    commit, clean = git_commit()
    return {
        "experiment": run.name,
        "seed": run.seed,
        "variant": trained.record.variant if trained else run.recipe.name,
        "schedule": run.schedule.name,
        "dataset": info.name,
        "demo": info.stand_in,
        "width": run.model.width,
        "stopped": trained.record.stopped if trained else None,
        "record": trained.path.name if trained else None,
        "weights": hashlib.sha256(weights).hexdigest(),
        "commit": commit,
        "clean_code": clean,
        "device": device_name(loaded.device),
    }

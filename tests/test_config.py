"""A configuration is whole and right before torch is imported, or says what is wrong."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import cast

import pytest
from omegaconf import DictConfig, OmegaConf

from capsnet import config, paper, registry
from capsnet.compose import compose, composed, names
from capsnet.errors import UserError
from capsnet.training.factory import adam_settings
from helpers.running import output, output_here

EXPERIMENT = "experiment=mnist_capsnet_r3_recon"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "model.routing_iterationz=2",
            "there is no key model.routing_iterationz: did you mean model.routing_iterations? "
            "Possible: model.name, model.width, model.routing_iterations, model.decoder, "
            "model.routing, model.channels, model.types, model.primary_dim, model.class_dim, "
            "model.padding, model.sharing\n",
        ),
        ("schedul=short", "there is no key schedul: did you mean schedule? Possible: name, seed, "),
        ("learning_rat=1", "no key learning_rat: did you mean schedule.learning_rate? Possible: "),
        ("+model.foo=1", "there is no key model.foo: Possible: model.name, model.width, "),
        ("hydra.run.dri=x", "there is no key hydra.run.dri: did you mean hydra.run.dir?"),
        (
            "model.routing_iterations=2.5",
            "model.routing_iterations = 2.5 is not possible: it must be a valid integer, got a ",
        ),
        ("seed=abc", "seed = abc is not possible: it must be a valid integer, unable to parse "),
        (
            "model.decoder=maybe",
            "model.decoder = maybe is not possible: it must be a valid boolean",
        ),
        ("+learning_rat=1", "no key learning_rat: did you mean schedule.learning_rate? Possible: "),
        ("seed", "Error parsing override 'seed' missing EQUAL at "),
        ("profile=nope", "profile=nope does not exist: Possible: demo, paper\n"),
        (
            "experiment=mnist_capsnet_r3_recn",
            "experiment=mnist_capsnet_r3_recn does not exist: did you mean mnist_capsnet_r3_recon?"
            " Possible: affnist_baseline, affnist_capsnet, affnist_capsnet_r1, cifar10_capsnet, ",
        ),
        ("data.source=${nope}", "hydra.run.dir: Interpolation key 'nope' not found\n"),
        ("hydra.run.dir=/proc/x", "hydra.run.dir: /proc/x cannot be made: No such file or dir"),
        (f"recipe.name={'x' * 300}", " cannot be made: File name too long (name another folder by"),
        (
            "model.routing_iterations=0",
            "model.routing_iterations = 0 is not possible: it must be at least 1\n",
        ),
        ("model.width=-1", "model.width = -1 is not possible: it must be above 0 and at most 8\n"),
        ("model.name=mnist_baseline", "there is no key model.routing_iterations: Possible: model."),
        ("model.types=0", "model.types = 0 is not possible: it must be at least 1\n"),
        ("model.class_dim=0", "model.class_dim = 0 is not possible: it must be at least 1\n"),
        (
            "model.padding=full",
            "model.padding = full is not possible: it must be 'valid' or 'same'\n",
        ),
        (
            "model.routing=leeky",
            "model.routing = leeky is not possible: it must be one of dynamic, leaky, detached, ",
        ),
        ("model.name=mine", "model.name = mine is not possible: it must be one of capsnet, mnist_"),
        ("data.name=mine", "data.name = mine is not possible: it must be one of shifted, enumerat"),
        (
            "data.shift=15",
            "data.shift = 15 is not possible: it must be at least 0 and at most 14\n",
        ),
        ("schedule.steps=0", "schedule.steps = 0 is not possible: it must be at least 1\n"),
        (
            "schedule.learning_rate=3",
            "learning_rate = 3 is not possible: it must be above 0 and at ",
        ),
        ("schedule.floor=-1", "schedule.floor = -1 is not possible: it must be at least 0\n"),
        ("schedule.floor=nan", "schedule.floor = nan is not possible: it must be at least 0\n"),
        (
            "schedule.floor=5",
            "schedule.floor = 5.0 is not possible: it must be at most schedule.learning_rate",
        ),
        ("schedule.learning_rate=nan", "schedule.learning_rate = nan is not possible: it must be"),
        ("schedule.decay_to=0", "schedule.decay_to = 0 is not possible: it must be above 0 and at"),
        ("~schedule.steps", "schedule.steps: Missing mandatory value: steps\n"),
        ("recipe.balance=mine", "recipe.balance = mine is not possible: it must be 'released' or"),
        ("trainer.checkpoint_every=-1", "trainer.checkpoint_every = -1 is not possible"),
        ("trainer.kernels=quick", "must be 'auto', 'fast', 'reference' or 'fused'\n"),
        ("trainer.convolutions=fft", "must be 'auto', 'fourier' or 'direct'\n"),
        ("precision=16-mixed", "must be '32-true', 'tf32' or 'bf16-mixed'\n"),
        ("trainer.num_nodes=3", "trainer.devices × num_nodes = 3 is not possible"),
        ("trainer.devices=3", "a divisor of the global batch, schedule.batch = 128"),
        ("logger.project=a/b", "it must be a name of at most 128 letters without / \\ # ? % :\n"),
        ("schedule=null", "the command line is not possible: Config group override must be a"),
        ("seed=-1", "seed = -1 is not possible: it must be at least 0 and below 4,294,967,296\n"),
    ],
)
def test_a_wrong_override_ends_with_one_message(override: str, told: str, tmp_path: Path) -> None:
    code, printed = output_here("train", EXPERIMENT, override, cwd=tmp_path)
    assert code == 1
    assert printed.startswith("error: ")
    assert told in printed
    assert printed.count("\n") == 1


def test_hydras_own_report_can_be_had(tmp_path: Path) -> None:
    arguments = ("train", EXPERIMENT, "sed=1")
    code, printed = output(*arguments, cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert code == 1
    assert "Traceback" in printed
    assert "Could not override 'sed'" in printed


def test_no_experiment_lists_the_experiments(tmp_path: Path) -> None:
    code, printed = output("train", cwd=tmp_path)
    assert code == 1
    assert "You must specify 'experiment'" in printed
    assert "mnist_baseline" in printed


def test_torch_is_not_imported_before_the_configuration_is_right(tmp_path: Path) -> None:
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['train', {EXPERIMENT!r}, '+foo=1']\n"
        "try: runpy.run_module('capsnet.train', run_name='__main__')\n"
        "except SystemExit: print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]


def test_a_validated_run_cannot_change() -> None:
    run = composed(EXPERIMENT)
    for part, key in ((run, "seed"), (run.model, "width")):
        with pytest.raises(FrozenInstanceError):
            setattr(part, key, 1)


def test_a_plain_file_is_checked_as_overrides_are() -> None:
    values = asdict(composed(EXPERIMENT))
    assert config.validated(OmegaConf.create(values)) == composed(EXPERIMENT)
    with pytest.raises(UserError, match="seed = abc is not possible: it must be a valid integer"):
        config.validated(OmegaConf.create(values | {"seed": "abc"}))
    del values["schedule"]["steps"], values["schedule"]["batch"]
    with pytest.raises(UserError, match=r"schedule\.steps: Missing"):
        config.validated(OmegaConf.create(values))


@pytest.mark.parametrize("model", [{"name": "nothing"}, {"name": None}, {"name": [1]}, {}, 1])
def test_an_unknown_model_is_named(model: object) -> None:
    with pytest.raises(UserError, match=r"model\.name = .* must be one of capsnet, mnist_baseline"):
        config.validated(OmegaConf.create({"model": model}))


@pytest.mark.parametrize("key", ["seed", "data.shift", "model.types", "schedule.steps"])
def test_a_boolean_is_no_integer(key: str) -> None:
    told = f"{key} = True is not possible: it must be a valid integer, not a boolean"
    with pytest.raises(UserError, match=told):
        composed("experiment=mnist_capsnet_r3", f"{key}=true")


def test_values_built_in_python_are_checked_too() -> None:
    run = composed(EXPERIMENT)
    with pytest.raises(ValueError, match="greater than 0"):
        replace(run.model, width=0)
    with pytest.raises(ValueError, match="foo"):
        config.MODELS["capsnet"](foo=1)  # pyright: ignore[reportCallIssue]
    schedule = config.Schedule(name="thirty", steps=1, decay_steps=30)
    assert repr(schedule.decay_steps) == "30.0"  # digests are of the text


@pytest.mark.slow
@pytest.mark.parametrize("profile", names("profile"))
@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_composes_under_its_own_name(profile: str, experiment: str) -> None:
    run = composed(f"experiment={experiment}", f"profile={profile}")
    assert run.name == experiment


NETWORKS = {  # routing iterations and decoder: [P] Table 1
    "baseline": None,
    "capsnet_r1": (1, False),
    "capsnet_r1_recon": (1, True),
    "capsnet_r3": (3, False),
    "capsnet_r3_recon": (3, True),
}


def choices(run: config.RunConfig) -> tuple[int, bool] | None:
    model = run.model
    return (model.routing_iterations, model.decoder) if isinstance(model, config.CapsNet) else None


@pytest.mark.parametrize("row", paper.MNIST, ids=lambda row: row.experiment)
def test_rows_of_the_paper_have_its_networks_and_schedule(row: paper.PaperResult) -> None:
    run = composed(f"experiment={row.experiment}", "profile=paper")
    assert (run.data.source, run.data.shift, run.data.holdout) == ("mnist", 2, 0)
    assert (run.schedule.steps, run.schedule.batch) == (paper.STEPS, 128)
    assert (run.schedule.learning_rate, run.schedule.decay_rate) == (0.001, 0.96)
    assert (run.schedule.decay_steps, run.schedule.floor) == (2000, 1e-6)
    assert (run.recipe.name, run.model.width) == ("released", 1.0)
    assert choices(run) == NETWORKS[row.experiment.removeprefix("mnist_")]


@pytest.mark.parametrize("row", paper.MULTIMNIST, ids=lambda row: row.experiment)
def test_multimnist_decays_ten_times_slower(row: paper.PaperResult) -> None:
    run = composed(f"experiment={row.experiment}", "profile=paper")
    assert (run.data.name, run.data.source) == ("multimnist", "mnist")
    assert run.schedule.decay_steps * run.schedule.decay_stretch == 20_000  # [P] on [C]
    assert choices(run) == NETWORKS[row.experiment.removeprefix("multimnist_")]


@pytest.mark.parametrize(
    ("experiment", "accuracy"),
    [("affnist_capsnet", 0.9923), ("affnist_baseline", 0.9922), ("affnist_capsnet_r1", 0.9923)],
)
def test_affnists_networks_stop_at_the_papers_accuracy(experiment: str, accuracy: float) -> None:
    run = composed(f"experiment={experiment}", "profile=paper")
    assert (run.data.name, run.data.source) == ("affnist", "mnist")
    assert round(run.data.holdout * 60_000) == 10_000  # [C]
    assert run.schedule.stop_at == accuracy  # [P]
    iterations = {"affnist_capsnet": 3, "affnist_capsnet_r1": 1}.get(experiment)
    assert choices(run) == (None if iterations is None else (iterations, True))


SCHEDULES = {  # images shown in training, and the share of the learning rate at the end
    "demo": (1600 * 16, 1 / 20),
    "epochs2": (2 * 60_000, 1 / 20),
    "epochs5": (5 * 60_000, 1 / 20),
    "epochs50": (50 * 60_000, 1 / 50),
    "paper": (640 * 60_000, 0.96**150),  # [C]
    "paper600k": (1536 * 50_000, 1e-6 / 1e-3),  # [C] at the floor
    "short": (10 * 60_000, 1 / 5),
    "steps500": (500 * 128, 1 / 20),
    "steps10000": (10_000 * 128, 1 / 20),
}


@pytest.mark.parametrize("name", names("schedule"))
def test_a_schedule_shows_its_images_and_decays_to_its_end(name: str) -> None:
    schedule = composed("experiment=mnist_capsnet_r3_recon", f"schedule={name}").schedule
    images, end = SCHEDULES[name]
    assert 0 <= schedule.steps * schedule.batch - images < schedule.batch
    assert adam_settings(schedule).factor(schedule.steps) == pytest.approx(end, rel=3e-3)


@pytest.mark.parametrize("name", names("schedule"))
def test_multimnist_decays_a_tenth_as_far_but_where_a_schedule_names_its_end(name: str) -> None:
    schedule = composed("experiment=multimnist_baseline", f"schedule={name}").schedule
    full = SCHEDULES[name][1]
    slowed = 0.96**30 if name == "paper600k" else full**0.1  # above the floor
    end = full if name == "steps10000" else slowed
    decay = adam_settings(schedule)
    assert decay.factor(schedule.steps) == pytest.approx(end, rel=3e-3)
    assert decay.factor(schedule.steps // 2) == pytest.approx(end**0.5, rel=3e-3)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", names("experiment"))
def test_the_demos_baselines_with_dropout_have_a_rate_of_their_own(experiment: str) -> None:
    """A larger one leaves them guessing: docs/demo.md."""
    demo = composed(f"experiment={experiment}", "profile=demo")
    dropout = isinstance(demo.model, config.DropoutBaseline)
    assert demo.schedule.learning_rate == (0.001 if dropout else 0.004)
    for other in ("profile=paper", "schedule=epochs2"):
        assert composed(f"experiment={experiment}", other).schedule.learning_rate == 0.001  # [C]
    set_by_hand = composed(
        f"experiment={experiment}", "profile=demo", "schedule.learning_rate=0.01"
    )
    assert set_by_hand.schedule.learning_rate == 0.01


def test_a_stopping_rule_needs_validation_digits() -> None:
    with pytest.raises(UserError, match=r"schedule\.stop_at = 0\.9 .* data\.holdout is 0"):
        composed("experiment=mnist_capsnet_r1", "schedule.stop_at=0.9")


@pytest.mark.parametrize(
    ("experiment", "rule"),
    [
        ("affnist_capsnet", "left out with data.name = affnist, which does not read it$"),
        ("multimnist_baseline", "`python -m capsnet.prepare multimnist-mnist --max-shift 6`$"),
    ],
)
def test_a_shift_that_the_view_would_ignore_is_refused(experiment: str, rule: str) -> None:
    with pytest.raises(UserError, match=rf"data\.shift = 6 is not possible: .*{rule}"):
        composed(f"experiment={experiment}", "data.shift=6")
    assert composed(EXPERIMENT, "data=enumerated", "data.shift=6").data.shift == 6


def test_a_view_of_another_package_may_read_the_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    added = EntryPoint("mine", "mine:VIEW", "capsnet.views")
    monkeypatch.setattr(registry, "installed", lambda _: {"mine": added})
    assert composed(EXPERIMENT, "data.name=mine", "data.shift=6").data.shift == 6


def test_every_experiment_is_a_row_of_the_paper_or_an_ablation_and_never_both() -> None:
    rows = {row.experiment for table in paper.TABLES for row in table.rows}
    ablations = {one.experiment for one in paper.ABLATIONS}
    assert rows | ablations == set(names("experiment"))
    assert not rows & ablations
    assert {name for claim in paper.CLAIMS for name in (claim.better, claim.worse)} <= rows


def test_the_paper_s_results_are_found_by_experiment_and_test_set() -> None:
    assert paper.result_of("affnist_capsnet", "affnist").error_percent == 21
    with pytest.raises(KeyError, match="nothing"):
        paper.result_of("nothing")


@pytest.mark.parametrize("experiment", names("experiment"))
def test_an_experiment_says_whether_it_has_run_at_the_papers_schedule(experiment: str) -> None:
    text = (config.CONF / f"experiment/{experiment}.yaml").read_text()
    done = any((config.CONF.parent / "results/paper" / experiment).glob("*.json"))
    assert not (done and "not yet run" in text.lower())


@pytest.mark.slow
def test_composed_files_are_whole_and_train_takes_them(tmp_path: Path) -> None:
    compose("demo", tmp_path / "demo")
    values = cast(DictConfig, OmegaConf.load(tmp_path / "demo" / "mnist_capsnet_r1.yaml"))
    del values["hydra"], values["defaults"]
    values["seed"] = 7
    run = config.validated(values)
    expected = composed("experiment=mnist_capsnet_r1", "profile=demo", "seed=7")
    assert run.record == "results/demo/mnist_capsnet_r1/seed7.json"
    assert replace(run, record=None, composition=None) == expected
    assert sorted(path.stem for path in (tmp_path / "demo").iterdir()) == names("experiment")

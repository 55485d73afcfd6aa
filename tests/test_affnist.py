"""affNIST error at equal clean error: against known power laws, and in table and figure."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from capsnet import results
from capsnet.report.affnist import COLUMNS, equal_error_table, figure_affnist
from capsnet.report.document import extra_tables
from capsnet.report.equal_error import at_clean_error, points
from capsnet.report.runs import Run
from capsnet.results import Record
from records import record

STEPS = np.arange(1500, 13_001, 500.0)
DIGITS = 10_000


def power_law(clean_falls: float = 0.6, affine_falls: float = 0.3) -> NDArray[np.float64]:
    """Errors in percent: 2 % clean and 40 % affNIST at step 1,500."""
    elapsed = STEPS / 1500
    return np.column_stack([STEPS, 2 * elapsed**-clean_falls, 40 * elapsed**-affine_falls])


def known(target: float, slope: float = 0.5) -> float:
    return 40 * (target / 2) ** slope


@pytest.mark.parametrize("target", [1.5, 1.0, 0.775])
def test_a_power_law_is_met_exactly(target: float) -> None:
    estimate = at_clean_error(power_law(), target)
    assert estimate is not None
    assert estimate.percent == pytest.approx(known(target), rel=1e-9)
    assert not estimate.extrapolated


@pytest.mark.parametrize("target", [2.5, 0.4])
def test_beyond_all_points_it_says_so(target: float) -> None:
    estimate = at_clean_error(power_law(), target)
    assert estimate is not None
    assert estimate == (pytest.approx(known(target)), True)


def test_noise_brings_no_bias_that_counts() -> None:
    """Counts of 10,000 digits and 20,000 copies that fluctuate as those of checkpoints do."""
    random, law = np.random.default_rng(0), power_law()
    found: list[float] = []
    for _ in range(2000):
        noise = 1 + random.normal(size=law[:, 1:].shape) * (0.08, 0.03)
        errors = random.binomial((DIGITS, 2 * DIGITS), law[:, 1:] * noise / 100)
        counted = np.column_stack([STEPS, 100 * errors / (DIGITS, 2 * DIGITS)])
        estimate = at_clean_error(counted, 0.775)
        assert estimate is not None
        found.append(estimate.percent)
    assert np.mean(found) == pytest.approx(known(0.775), rel=0.01)
    assert np.std(found) < 0.04 * known(0.775)


def test_only_the_points_around_the_target_count() -> None:
    bent = power_law()
    bent[:2, 2] *= 3
    bent[-2:, 2] /= 3
    estimate = at_clean_error(bent, 0.9)
    assert estimate is not None
    assert estimate.percent == pytest.approx(known(0.9))


def test_too_few_points_or_none_that_fall_give_none() -> None:
    assert at_clean_error(power_law()[:2], 1.9) is None
    assert at_clean_error(power_law(), 0.2) is None  # the least is 0.55
    assert at_clean_error(points({}), 1) is None
    assert at_clean_error(power_law(clean_falls=-0.1), 2.1) is None
    assert len(points({})) == 0


def arrays(law: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    """Give the law as a record's arrays have it, and a first point without an error."""
    counts = {"test": (law[:, 1], DIGITS), "affnist": (law[:, 2], 2 * DIGITS)}
    return {
        f"along.{name}": np.array(
            [
                (1000, 0, total),
                *((s, round(p * total / 100), total) for s, p in zip(STEPS, percent, strict=True)),
            ]
        )
        for name, (percent, total) in counts.items()
    }


@pytest.fixture
def runs(tmp_path: Path) -> dict[Path, Record]:
    sets = {
        "test": results.outcome("mnist", 60, 10_000),
        "affnist": results.outcome("affnist-generated", 67_200, 320_000),
    }
    made = {
        tmp_path / f"{name}.json": record(
            experiment=name, tests=sets, stop_at=0.99, stopped=9000, model=model
        )
        for name, model in (
            ("affnist_baseline", {"name": "affnist_baseline", "width": 1.0}),
            ("affnist_capsnet", record().model),
            ("mnist_capsnet_r3_recon", record().model),
        )
    }
    for place, path in enumerate(made):
        results.write_arrays(path, arrays(power_law(affine_falls=0.2 + 0.1 * place)))
    return made


def test_the_table_has_a_line_a_run_and_the_end_beside_it(runs: dict[Path, Record]) -> None:
    plain = {path: one for path, one in runs.items() if one.experiment.startswith("affnist")}
    columns, baseline, capsnet = equal_error_table(plain)
    assert columns == COLUMNS
    assert baseline[0] == "affnist_baseline, seed 0"
    first, *others = capsnet[2:6]
    assert first == f"{known(2):.1f} extrapolated"
    expected = [known(target) for target in (1.5, 1, 0.775)]
    assert [float(one) for one in others] == pytest.approx(expected, abs=0.15)  # whole counts
    assert capsnet[6:] == ("24", "0.60", "21.00", "300,000 of 300,000, stopped")
    assert float(baseline[5]) > float(capsnet[5])
    assert "affNIST at equal clean test error" in extra_tables(plain)


def test_the_figure_marks_the_paper_s_two_networks(
    runs: dict[Path, Record], tmp_path: Path
) -> None:
    shown = [Run(one, results.read_arrays(path)) for path, one in runs.items()][:2]
    assert figure_affnist(tmp_path / "figure", shown)
    told = (tmp_path / "figure.svg").read_text()
    for words in (
        "paper, CNN",
        "paper, CapsNet",
        "3 iterations, decoder, seed 0",
        "baseline, seed 0",
    ):
        assert words in told
    assert not figure_affnist(tmp_path / "none", [Run(record(), {})])
    assert not (tmp_path / "none.svg").exists()

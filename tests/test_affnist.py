"""affNIST error at equal clean error: against known power laws, and in table and figure."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from capsnet import paper
from capsnet.analysis import plan
from capsnet.analysis.equal_error import at_clean_error, points
from capsnet.records import runs as records
from capsnet.records.record import outcome, read_arrays, write_arrays
from capsnet.records.runs import Run
from capsnet.report.figures.affnist import figure_affnist
from capsnet.report.figures.chart import save_chart
from capsnet.report.figures.style import BLACK, VERMILION
from capsnet.report.tables.affnist import equal_error_table
from capsnet.report.tables.claims import claims_table
from capsnet.report.tables.document import extra_tables
from capsnet.report.tables.paper_tables import paper_table
from helpers.drawn import panels, words
from helpers.records import record, run_of

STEPS = np.arange(1500, 13_001, 500.0)
DIGITS = 10_000
[AFFNIST] = [table for table in paper.TABLES if table.title == "affNIST"]


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
def runs(tmp_path: Path) -> list[Run]:
    sets = {
        "test": outcome("mnist", 60, 10_000),
        "affnist": outcome("affnist-generated", 67_200, 320_000),
    }
    made = [
        Run(
            record(experiment=name, tests=sets, stop_at=0.99, stopped=9000, model=model),
            tmp_path / f"{name}.json",
        )
        for name, model in (
            ("affnist_baseline", {"name": "affnist_baseline", "width": 1.0}),
            ("affnist_capsnet", {"name": "capsnet", "width": 1.0}),
            ("mnist_capsnet_r3_recon", {"name": "capsnet", "width": 1.0}),
        )
    ]
    for place, run in enumerate(made):
        write_arrays(run.path, arrays(power_law(affine_falls=0.2 + 0.1 * place)))
    return made


def test_the_table_has_a_line_a_run_and_the_end_beside_it(runs: list[Run]) -> None:
    plain = [run for run in runs if run.record.experiment.startswith("affnist")]
    table = equal_error_table(plain)
    baseline, capsnet = table.cells
    assert table.names[2:6] == tuple(
        f"affNIST % at {target} % clean" for target in ("2", "1.5", "1", "0.775")
    )
    assert baseline[0] == "affnist_baseline, seed 0"
    first, *others = capsnet[2:6]
    assert first == f"{known(2):.1f} extrapolated"
    expected = [known(target) for target in (1.5, 1, 0.775)]
    assert [float(one) for one in others] == pytest.approx(expected, abs=0.15)  # whole counts
    assert capsnet[6:] == ("24", "0.60", "21.00", "300,000 of 300,000, stopped")
    assert float(baseline[5]) > float(capsnet[5])
    assert "affNIST at equal clean test error" in {one.title for one in extra_tables(plain)}


def test_the_figure_marks_two_networks_of_the_paper(runs: list[Run], tmp_path: Path) -> None:
    shown = runs[:2]
    chart = figure_affnist(shown)
    assert chart is not None
    save_chart(tmp_path / "figure", chart)
    for name in ("paper, CNN", "paper, CapsNet", "3 iterations, decoder", "baseline"):
        assert name in words(tmp_path / "figure.svg")
    [panel] = panels(tmp_path / "figure.svg")
    published = {BLACK: (0.78, 34), VERMILION: (0.77, 21)}
    for run, (colour, errors) in zip(shown, published.items(), strict=True):
        [line] = panel.lines(colour)
        np.testing.assert_allclose(line, points(run.arrays)[:, 1:], rtol=2e-3)
        estimate = at_clean_error(points(run.arrays), 0.775)
        assert estimate is not None
        ring, diamond = panel.points(colour, by="stroke")
        assert ring == pytest.approx((0.775, estimate.percent), rel=2e-3)
        assert diamond == pytest.approx(errors, rel=2e-3)
    assert figure_affnist([run_of(record())]) is None


def three_seeds(folder: Path, experiment: str, affine_falls: float) -> list[Run]:
    """Give runs whose errors fell by three power laws, ended at 0.6 % clean and 12 % affNIST."""
    sets = {
        "test": outcome("mnist", 60, 10_000),
        "affnist": outcome("affnist-generated", 38_400, 320_000),
    }
    model = {"name": experiment.replace("affnist_c", "c"), "width": 1.0}
    changes = {"tests": sets, "stop_at": 0.99, "stopped": 9000, "model": model}
    made = [
        Run(
            record(experiment=experiment, seed=seed, **changes),
            folder / f"{experiment}-{seed}.json",
        )
        for seed in range(3)
    ]
    for seed, run in enumerate(made):
        law = power_law(affine_falls=affine_falls + 0.01 * seed)
        write_arrays(run.path, arrays(law))
    return made


def known_of_seeds(affine_falls: float) -> list[float]:
    slopes = [(affine_falls + 0.01 * seed) / 0.6 for seed in range(3)]
    return [known(0.775, slope) for slope in slopes]


BASELINE_FALLS, CAPSNET_FALLS = 0.09, 0.4


@pytest.fixture
def seeds(tmp_path: Path) -> list[Run]:
    baseline = three_seeds(tmp_path, "affnist_baseline", BASELINE_FALLS)
    return baseline + three_seeds(tmp_path, "affnist_capsnet", CAPSNET_FALLS)


def test_the_verdict_of_a_row_is_on_the_error_at_equal_clean_error(
    seeds: list[Run],
) -> None:
    """The paper has 34 % and 21 %; ours are about 35 % and 21 %, and 12 % at the stop."""
    rows = paper_table(seeds, AFFNIST).cells[2:]
    for row, falls in zip(rows, (BASELINE_FALLS, CAPSNET_FALLS), strict=True):
        percents = known_of_seeds(falls)
        error, where = row[2].split(" (3) ")
        assert [float(one) for one in error.split(" ± ")] == [
            pytest.approx(np.mean(percents), abs=0.1),
            pytest.approx(np.std(percents, ddof=1), abs=0.1),
        ]
        assert where == "at 0.775 % clean error"
        assert row[5] == "38,400, 38,400, 38,400 / 320,000 at the stop"
        assert row[6] == "–"  # single digits' errors are not counted along training
        assert row[3] == f"reproduced (interim, {plan.quoted()})"
    assert float(rows[1][4].split()[0].replace("−", "-")) == pytest.approx(
        np.mean(known_of_seeds(0.4)) - 21, abs=0.1
    )


def test_the_claim_is_on_it_too(seeds: list[Run]) -> None:
    claim = next(one for one in paper.CLAIMS if one.test == "affnist")
    [line] = claims_table(seeds, [claim]).cells
    gain = np.mean(known_of_seeds(BASELINE_FALLS)) - np.mean(known_of_seeds(CAPSNET_FALLS))
    assert float(line[2].split()[0]) == pytest.approx(gain, abs=0.1)
    assert line[1] == f"reproduced (interim, {plan.quoted()})"


def test_one_run_without_an_estimate_leaves_all_at_the_stop(seeds: list[Run]) -> None:
    claim = next(one for one in paper.CLAIMS if one.test == "affnist")
    alone = [run.path for run in seeds if "capsnet" in run.path.name][-1]
    early = {name: one[:7] for name, one in arrays(power_law()).items()}  # to 1.0 % clean
    write_arrays(alone, early)
    line = paper_table(seeds, AFFNIST).cells[-1]
    assert line[2] == "12.00 ± 0.000 (3)"
    assert line[3] == f"lower (interim, at the stop, {plan.quoted()})"
    [line] = claims_table(seeds, [claim]).cells
    assert line[2] == "+0.00 (−0.01 to +0.01)"  # as noisy as at the stop: not at all, but rounding
    assert line[1] == f"not reproduced (interim, at the stop, {plan.quoted()})"


def test_the_arrays_of_a_run_are_read_once_for_all_tables(
    seeds: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> dict[str, NDArray[np.int64]]:
        read.append(path)
        return read_arrays(path)

    monkeypatch.setattr(records, "read_arrays", counted)
    assert paper_table(seeds, AFFNIST).cells == paper_table(seeds, AFFNIST).cells
    assert sorted(read) == sorted(run.path for run in seeds)


def test_the_table_has_means_over_seeds(seeds: list[Run]) -> None:
    lines = equal_error_table(seeds).cells
    assert [line[0] for line in lines[3::4]] == [
        "affnist_baseline, mean of 3 seeds",
        "affnist_capsnet, mean of 3 seeds",
    ]
    percents = known_of_seeds(CAPSNET_FALLS)
    told = [float(one) for one in lines[-1][5].split(" ± ")]
    assert told == pytest.approx([np.mean(percents), np.std(percents, ddof=1)], abs=0.1)
    assert lines[-1][2] == "–"  # 2 %: extrapolated in every run
    assert lines[-1][7:9] == ("0.60 ± 0.00", "12.00 ± 0.00")

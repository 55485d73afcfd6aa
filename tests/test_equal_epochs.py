"""Check how our runs stand beside those of public implementations of as many epochs."""

from statistics import mean, stdev

import pytest
from scipy.stats import ttest_ind

from capsnet.public_results import PUBLIC_RESULTS, PublicResult
from capsnet.report.tables.equal_epochs import equal_epochs_table, welch
from helpers.records import record, runs_of

R3 = "mnist_capsnet_r3_recon"
LONG = {"schedule": "epochs50", "steps_planned": 23_438, "steps_done": 23_438}


def test_the_interval_is_that_of_welch_on_trials_of_that_mean_and_sd() -> None:
    theirs, ours = [0.31, 0.33, 0.38], [0.40, 0.44, 0.45]
    public = PublicResult(R3, "them", 50, mean(theirs), stdev(theirs), len(theirs), "epochs50")
    expected = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert welch(ours, public).interval() == pytest.approx(tuple(expected))


def test_rows_have_runs_of_as_many_epochs_by_recipe_and_no_demo() -> None:
    runs = [record(count, seed=seed, **LONG) for seed, count in enumerate((33, 35, 37))]
    runs += [record(40, recipe="text", **LONG), record(25), record(90, schedule="short")]
    runs.append(record(1, seed=4, **LONG, model={"width": 0.5, "routing_iterations": 3}))
    table = equal_epochs_table(runs_of(runs), PUBLIC_RESULTS)
    one, three, text = (line[2:] for line in table.cells)
    assert one[1:] == ("not yet run", "–", "–", "–")
    who = "0.34 ± 0.029 (3), XifengGuo/CapsNet-Pytorch"
    gain = "+0.01 (−0.05 to +0.07)"
    assert three == (who, "0.35 ± 0.020 (3)", "33, 35, 37 / 10,000", gain, "released")
    assert text == (who, "0.40 (1)", "40 / 10,000", "+0.06", "text")

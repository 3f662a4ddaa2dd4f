"""What jobs ask of a scheduler changes no result, and the plan counts the jobs that Snakemake would run."""

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import yaml

from plan import load_plan, load_resources

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.workflow

RESOURCES = "config/cluster/resources.yaml"


def test_an_edit_of_what_jobs_ask_for_reruns_nothing(finished: "Project") -> None:
    finished.edit(RESOURCES, "safety: 3", "safety: 5")
    finished.edit(RESOURCES, "train_copycat: {memory: 1200", "train_copycat: {memory: 9000")
    finished.edit(RESOURCES, "plain: {size: 8, cpu: 40000", "plain: {size: 8, cpu: 1")
    run = finished.run("-n")
    assert "Nothing to be done" in run.output, run.output


@pytest.mark.parametrize("scale", ["tiny", "demo"])
def test_the_plan_counts_the_jobs_that_would_run(project: "Project", scale: str) -> None:
    file = project.root / f"config/{scale}.yaml"
    run = project.run("-n", configfile=f"config/{scale}.yaml")
    resources = load_resources(project.root, load_plan(project.root, yaml.safe_load(file.read_text()), [str(file)]))
    jobs = {*resources.data_jobs(), *resources.victim_jobs(), *resources.closing_jobs()}
    jobs |= {job for table in resources.plan.tables for job in resources.table_jobs(table)}
    assert Counter(job.rule for job in jobs) == run.planned


def test_wrong_resources_stop_a_run(project: "Project") -> None:
    project.edit(RESOURCES, "safety: 3", "safety: -3")
    run = project.run("-n")
    assert run.code == 1
    [line] = run.errors
    assert RESOURCES in line
    assert "safety" in line
    assert "Traceback" not in run.output

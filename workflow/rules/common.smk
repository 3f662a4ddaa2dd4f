"""Names to specs: loads the plan and says, for every rule, what its jobs need."""

import sys
from pathlib import Path

from snakemake.persistence import RECORD_FORMAT_VERSION

sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))
from plan import ConfigError, load_plan, provenance


def loaded(load, *arguments):
    """What is read from the configuration; a bad one ends the run with its one line."""
    try:
        return load(Path(workflow.basedir), *arguments)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


plan = loaded(load_plan, config, [str(f) for f in workflow.configfiles])


def reconcile():
    """Lets only what is still good count as fresh, and keeps what every result was made from beside it."""
    try:
        for note in provenance.reconcile(Path(), RECORD_FORMAT_VERSION):
            print(f"note: {note}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None


if workflow.is_main_process and not provenance.locked(Path()):
    reconcile()

ENGINE = {key: plan.scale[key] for key in ("device", "threads")}
SCORING = ENGINE | {"resamples": plan.scale["resamples"]}


def dataset_spec(wildcards):
    entry = plan.entry("datasets", wildcards.dataset)
    keys = ("plugin", "parameters", "splits", "classes", "obtain")
    return {key: entry[key] for key in keys if key in entry}


def dataset_code(script):
    return lambda w: plan.code(
        script, ("datasets", plan.entry("datasets", w.dataset)["plugin"])
    )


def named(adaptive):
    """The query sets that are chosen as they are asked, or the others, as a pattern."""
    queries = plan.ingredients["queries"]
    return "|".join(q for q in queries if plan.adaptive(q) == adaptive) or "(?!)"


def pool(query):
    return plan.datasets_of(query)


def listings(query):
    return [f"results/data/{dataset}/items.csv" for dataset in pool(query)]


def pool_items(wildcards):
    return listings(wildcards.query)


def pool_plugins(query):
    """What decodes the images of a pool."""
    return [("datasets", plan.entry("datasets", d)["plugin"]) for d in pool(query)]


def pool_code(script):
    return lambda w: plan.code(script, *pool_plugins(w.query))


def grouping_code(wildcards):
    features = plan.entry("queries", wildcards.query)["tree"].get("features")
    network = [plan.architecture_plugin(features)] if features else []
    return plan.code("group_pool.py", *pool_plugins(wildcards.query), *network)


def choosing_code(wildcards):
    """Whatever decides which images are chosen: policy, pool, victim, and the copycat trained meanwhile."""
    entry = plan.entry("queries", wildcards.query)
    victim = plan.entry("victims", wildcards.victim)
    plugins = [
        ("strategies", entry["strategy"]),
        ("victims", victim["kind"]),
        plan.architecture_plugin(victim["architecture"]),
        plan.architecture_plugin(entry["copycat"]["architecture"]),
    ]
    return plan.code("choose_queries.py", *plugins, *pool_plugins(wildcards.query))


def state_before(wildcards):
    """What the shard before has left behind; the first goes on from nothing."""
    return plan.state_before(wildcards.victim, wildcards.query, int(wildcards.start))


def victim_spec(wildcards):
    return plan.victim(wildcards.victim)


def victim_code(script):
    return lambda w: plan.code(
        script,
        ("victims", plan.entry("victims", w.victim)["kind"]),
        plan.architecture_plugin(plan.entry("victims", w.victim)["architecture"]),
    )


def split_of(split, kind):
    """A file of the split of the data set that a victim learns or is tested on."""
    suffix = {"images": ".npy", "labels": "-labels.npy"}[kind]
    return (
        lambda w: f"results/data/{plan.entry('victims', w.victim)['dataset']}/{split}{suffix}"
    )


def guard_of(wildcards):
    span = f"{wildcards.start}-{wildcards.stop}"
    return plan.leak_report(wildcards.victim, wildcards.query, span)


def arm_of(wildcards):
    return plan.arms[wildcards.arm]


def training_inputs(wildcards):
    """Images and answers of a prefix, the guard's reports, and the weights that are fine-tuned."""
    return plan.training_inputs(wildcards.arm, f"{wildcards.first}-{wildcards.stop}")


def training_spec(wildcards):
    arm = arm_of(wildcards)
    response = ("responses", plan.entry("responses", arm.last.response)["plugin"])
    code = plan.code(
        "train_copycat.py", plan.architecture_plugin(arm.architecture), response
    )
    return plan.training(wildcards.arm) | {"code": code}


def scoring_inputs(wildcards):
    """A block's weights and logs, the victim's answers, and the test images."""
    victim = arm_of(wildcards).victim
    blocks = plan.blocks(wildcards.arm)
    return {
        "images": f"results/data/{plan.entry('victims', victim)['dataset']}/test.npy",
        "victim": f"results/scores/victims/{victim}.json",
        "answers": f"results/scores/victims/{victim}.npz",
        "weights": blocks,
        "logs": [block.removesuffix(".safetensors") + ".json" for block in blocks],
    }


def scoring_spec(wildcards):
    arm = arm_of(wildcards)
    return {
        "names": plan.names(wildcards.arm),
        "training": plan.training(wildcards.arm),
        "dataset": plan.entry("victims", arm.victim)["dataset"],
        "code": plan.code(
            "score_copycat.py", plan.architecture_plugin(arm.architecture)
        ),
    }


def table_inputs(kind):
    """Files that a table is made from."""
    return lambda w: plan.table_inputs(f"{w.paper}/{w.table}")[kind]


def paper_title(wildcards):
    return {"knockoff": "Knockoff Nets", "copycat": "Copycat CNN"}.get(
        wildcards.paper, wildcards.paper
    )


def table_title(wildcards):
    return plan.scale["tables"][f"{wildcards.paper}/{wildcards.table}"]["title"]

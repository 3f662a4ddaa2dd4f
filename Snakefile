"""Mimeo: how cheaply can a black-box image classifier be copied?

Every rule, in the order of the data: list and decode images, train victims, order pools, decode and guard query
sets, ask victims, train copycats, score, make tables and figures. Reads like the method section of the papers.
"""

from snakemake.utils import min_version

min_version("9.0")


if not workflow.configfiles:

    configfile: "config/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"


report: "workflow/report/workflow.rst"


wildcard_constraints:
    dataset="|".join(plan.ingredients["datasets"]),
    split="[^/]+",
    victim="|".join(plan.ingredients["victims"]),
    query="|".join(plan.ingredients["queries"]),
    folder="queries/[^/]+|labels/[^/]+/[^/]+/asked",
    role="model|twin-[0-9]+",
    start="[0-9]+",
    stop="[0-9]+",
    first="[0-9]+",
    scale=plan.name,
    paper="|".join({name.split("/")[0] for name in plan.tables}),
    table="|".join({name.split("/")[1] for name in plan.tables}),


localrules:
    all,
    data,
    victims,
    queries,
    labels,
    copycats,
    scores,
    tables,


onsuccess:
    reconcile()


onerror:
    reconcile()


# One target a room of results/, for DVC and for people.


rule data:
    input:
        plan.targets("data"),


rule victims:
    input:
        plan.targets("victims"),


rule queries:
    input:
        plan.targets("queries"),


rule labels:
    input:
        plan.targets("labels"),


rule copycats:
    input:
        plan.targets("copycats"),


rule scores:
    input:
        plan.targets("scores"),


rule tables:
    input:
        plan.targets("tables"),


# All of them together are the default, so that a lost intermediate result is made again, and what depends on it.


rule all:
    default_target: True
    input:
        rules.data.input,
        rules.victims.input,
        rules.queries.input,
        rules.labels.input,
        rules.copycats.input,
        rules.scores.input,
        rules.tables.input,


# A paper's name makes all its tables and figures, and a table's id, as in knockoff_T2, that one; each with all it needs.


for target, (what, files) in plan.table_targets().items():

    rule:
        name:
            target
        input:
            files,
        localrule: True

    workflow.get_rule(target).docstring = what


# --- data: images listed once, labelled splits decoded once ---------------------------------------------------


rule list_images:
    """Lists a data set's images: names, split, labels, sources and licences."""
    input:
        splits=lambda w: plan.dataset_files(w.dataset, "splits", "csv"),
        checksums=lambda w: plan.dataset_files(w.dataset, "checksums", "sha256"),
    output:
        listing="results/data/{dataset}/items.csv",
        manifest="results/data/{dataset}/manifest.json",
    log:
        "logs/data/{dataset}/items.log",
    group:
        together("data")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("list_images"),
    params:
        code=dataset_code("list_images.py"),
        spec=dataset_spec,
    message:
        "Listing the images of {wildcards.dataset}"
    script:
        "workflow/scripts/list_images.py"


rule decode_split:
    """Decodes a labelled split to arrays, for training and testing victims."""
    input:
        listing="results/data/{dataset}/items.csv",
        manifest="results/data/{dataset}/manifest.json",
    output:
        images="results/data/{dataset}/{split}.npy",
        labels="results/data/{dataset}/{split}-labels.npy",
    log:
        "logs/data/{dataset}/split-{split}.log",
    group:
        together("data")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("decode_split"),
    params:
        code=dataset_code("decode_split.py"),
        spec=lambda w: plan.decoding(w.dataset),
    message:
        "Decoding {wildcards.dataset}, split {wildcards.split}"
    script:
        "workflow/scripts/decode_split.py"


# --- victims ------------------------------------------------------------------------------------------------


rule train_victim:
    """Trains the victim, or a twin of it from another seed: the ceiling of what a copy can agree."""
    input:
        images=split_of("train", "images"),
        labels=split_of("train", "labels"),
    output:
        weights="results/victims/{victim}/{role}.safetensors",
        log="results/victims/{victim}/{role}.json",
        record="results/victims/{victim}/{role}.record.json",
    log:
        "logs/victims/{victim}/{role}.log",
    group:
        together("victims", "train_victim")
    conda:
        "envs/torch.yaml"
    threads: needs.threads("train_victim")
    resources:
        **asks("train_victim"),
    params:
        code=victim_code("train_victim.py"),
        spec=victim_spec,
        engine=ENGINE,
        checkpoints="results/checkpoints/victims/{victim}/{role}",
    message:
        "Training victim {wildcards.victim} ({wildcards.role})"
    script:
        "workflow/scripts/train_victim.py"


rule score_victim:
    """Scores victim, twins and majority class on the test set: victim, ceiling and floor of every table."""
    input:
        images=split_of("test", "images"),
        labels=split_of("test", "labels"),
        train_labels=split_of("train", "labels"),
        weights=expand(
            "results/victims/{{victim}}/{role}.safetensors", role=plan.roles()
        ),
        logs=expand("results/victims/{{victim}}/{role}.json", role=plan.roles()),
    output:
        scores="results/scores/victims/{victim}.json",
        answers="results/scores/victims/{victim}.npz",
    log:
        "logs/scores/victims/{victim}.log",
    group:
        together("references")
    conda:
        "envs/torch.yaml"
    threads: needs.threads("score_victim")
    resources:
        **asks("score_victim"),
    params:
        code=victim_code("score_victim.py"),
        spec=victim_spec,
        engine=SCORING,
    message:
        "Scoring victim {wildcards.victim}"
    script:
        "workflow/scripts/score_victim.py"


# --- query sets: order once, decode once, guard against leaks ---------------------------------------------------


rule order_pool:
    """Orders a pool by its strategy; every budget is a prefix of this order."""
    input:
        listings=pool_items,
    output:
        order="results/queries/{query}/order.npz",
    log:
        "logs/queries/{query}/order.log",
    group:
        together("data")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("order_pool"),
    params:
        code=lambda w: plan.code(
            "order_pool.py", ("strategies", plan.entry("queries", w.query)["strategy"])
        ),
        spec=lambda w: plan.ordering(w.query),
    message:
        "Ordering the pool of {wildcards.query}"
    script:
        "workflow/scripts/order_pool.py"


rule group_pool:
    """Puts the labels of a pool into a tree, for strategies that choose by label as they ask."""
    input:
        listings=pool_items,
    output:
        tree="results/queries/{query}/tree.npz",
    log:
        "logs/queries/{query}/tree.log",
    group:
        together("grouping")
    conda:
        "envs/torch.yaml"
    threads: needs.threads("group_pool")
    resources:
        **asks("group_pool"),
    params:
        code=grouping_code,
        spec=lambda w: plan.grouping(w.query),
        engine=ENGINE,
    message:
        "Grouping the labels of {wildcards.query}"
    script:
        "workflow/scripts/group_pool.py"


rule decode_queries:
    """Decodes a shard of a query set, in the order in which it is asked."""
    input:
        order="results/queries/{query}/order.npz",
        listings=pool_items,
    output:
        shard="results/queries/{query}/{start}-{stop}.npy",
    log:
        "logs/queries/{query}/{start}-{stop}.log",
    group:
        together("queries")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("decode_queries"),
    params:
        code=pool_code("decode_queries.py"),
        parts=lambda w: [plan.decoding(dataset) for dataset in pool(w.query)],
    message:
        "Decoding {wildcards.query}, images {wildcards.start} to {wildcards.stop}"
    script:
        "workflow/scripts/decode_queries.py"


rule check_leaks:
    """Stops a query set that holds (nearly) a test image of the victim, or names the images that no copy may learn."""
    input:
        shard="results/{folder}/{start}-{stop}.npy",
        order=lambda w: plan.order(w.folder, f"{w.start}-{w.stop}"),
        listings=lambda w: listings(plan.query_of(w.folder)),
        train="results/data/{dataset}/train.npy",
        test="results/data/{dataset}/test.npy",
    output:
        report="results/{folder}/{start}-{stop}.leaks-{dataset}.json",
    log:
        "logs/{folder}/{start}-{stop}.leaks-{dataset}.log",
    group:
        together("queries")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("check_leaks"),
    params:
        code=plan.code("check_leaks.py"),
        query=lambda w: plan.query_of(w.folder),
        leaks=lambda w: plan.entry("queries", plan.query_of(w.folder))["leaks"],
    message:
        "Checking {wildcards.folder}, images {wildcards.start} to {wildcards.stop}, for test images of {wildcards.dataset}"
    script:
        "workflow/scripts/check_leaks.py"


# --- labels: a victim is asked once ---------------------------------------------------------------------------


rule ask_victim:
    """Asks the victim for the posteriors of a shard; every response and budget derives from them."""
    input:
        weights="results/victims/{victim}/model.safetensors",
        shard="results/queries/{query}/{start}-{stop}.npy",
        guard=guard_of,
    output:
        answers="results/labels/{victim}/{query}/{start}-{stop}.npy",
    log:
        "logs/labels/{victim}/{query}/{start}-{stop}.log",
    wildcard_constraints:
        query=named(adaptive=False),
    group:
        together("answers")
    conda:
        "envs/torch.yaml"
    threads: needs.threads("ask_victim")
    resources:
        **asks("ask_victim"),
    params:
        code=victim_code("ask_victim.py"),
        spec=victim_spec,
        engine=ENGINE,
    message:
        "Asking {wildcards.victim} about {wildcards.query}, images {wildcards.start} to {wildcards.stop}"
    script:
        "workflow/scripts/ask_victim.py"


rule choose_queries:
    """Chooses a shard of queries by what the victim answers, asks them, and goes on from the shard before."""
    input:
        tree="results/queries/{query}/tree.npz",
        listings=pool_items,
        weights="results/victims/{victim}/model.safetensors",
        before=state_before,
    output:
        answers="results/labels/{victim}/{query}/{start}-{stop}.npy",
        images="results/labels/{victim}/{query}/asked/{start}-{stop}.npy",
        order="results/labels/{victim}/{query}/asked/{start}-{stop}.order.npz",
        policy="results/labels/{victim}/{query}/asked/{start}-{stop}.policy.npz",
        state="results/labels/{victim}/{query}/asked/{start}-{stop}.state.safetensors",
    log:
        "logs/labels/{victim}/{query}/{start}-{stop}.log",
    wildcard_constraints:
        query=named(adaptive=True),
    group:
        together("choices", "choose_queries")
    conda:
        "envs/torch.yaml"
    threads: needs.threads("choose_queries")
    resources:
        **asks("choose_queries"),
    params:
        code=choosing_code,
        spec=lambda w: plan.choosing(w.victim, w.query),
        engine=ENGINE,
        checkpoints="results/checkpoints/labels/{victim}/{query}/{start}-{stop}",
    message:
        "Choosing images of {wildcards.query} for {wildcards.victim}, {wildcards.start} to {wildcards.stop}"
    script:
        "workflow/scripts/choose_queries.py"


# --- copycats -------------------------------------------------------------------------------------------------


rule train_copycat:
    """Trains a block of replicates of one arm, each a network with a seed of its own, fresh unless it is fine-tuned."""
    input:
        unpack(training_inputs),
    output:
        weights="results/copycats/{arm}/{first}-{stop}.safetensors",
        log="results/copycats/{arm}/{first}-{stop}.json",
        record="results/copycats/{arm}/{first}-{stop}.record.json",
    log:
        "logs/copycats/{arm}/{first}-{stop}.log",
    group:
        together("copycats", "train_copycat")
    conda:
        "envs/torch.yaml"
    threads: needs.threads("train_copycat")
    resources:
        **asks("train_copycat"),
    params:
        spec=training_spec,
        engine=ENGINE,
        checkpoints="results/checkpoints/copycats/{arm}/{first}-{stop}",
    message:
        "Training copycats {wildcards.arm}, replicates {wildcards.first} to {wildcards.stop}"
    script:
        "workflow/scripts/train_copycat.py"


rule score_copycat:
    """Scores an arm: accuracy, F1, recall, ratio, agreement, divergence, with intervals; flags failed trainings."""
    input:
        unpack(scoring_inputs),
    output:
        scores="results/scores/copycats/{arm}/scores.json",
        predictions="results/scores/copycats/{arm}/predictions.npz",
    log:
        "logs/scores/copycats/{arm}.log",
    group:
        together("scores")
    conda:
        "envs/torch.yaml"
    threads: needs.threads("score_copycat")
    resources:
        **asks("score_copycat"),
    params:
        spec=scoring_spec,
        engine=SCORING,
    message:
        "Scoring copycats {wildcards.arm}"
    script:
        "workflow/scripts/score_copycat.py"


# --- tables and figures -----------------------------------------------------------------------------------------


rule make_table:
    """Sets our numbers beside the paper's, as CSV and Markdown."""
    input:
        arms=table_inputs("arms"),
        victims=table_inputs("victims"),
        evidence=table_inputs("evidence"),
        published="config/published.csv",
    output:
        table=report(
            "results/tables/{scale}/{paper}/{table}.csv",
            category=paper_title,
            subcategory=table_title,
            labels={"what": "data (CSV)"},
            caption="workflow/report/table.rst",
        ),
        web=report(
            "results/tables/{scale}/{paper}/{table}.html",
            category=paper_title,
            subcategory=table_title,
            labels={"what": "table"},
            caption="workflow/report/table.rst",
        ),
        text="results/tables/{scale}/{paper}/{table}.md",
    log:
        "logs/tables/{scale}/{paper}/{table}.log",
    group:
        together("tables")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("make_table"),
    params:
        code=lambda w: plan.code("make_table.py", (f"tables/{w.paper}", w.table)),
        spec=lambda w: plan.table(f"{w.paper}/{w.table}"),
    message:
        "Making table {wildcards.paper}/{wildcards.table}"
    script:
        "workflow/scripts/make_table.py"


rule draw_figure:
    """Draws a table's figure, where the paper has one."""
    input:
        table="results/tables/{scale}/{paper}/{table}.csv",
    output:
        png=report(
            "results/figures/{scale}/{paper}/{table}.png",
            category=paper_title,
            subcategory=table_title,
            labels={"what": "figure"},
            caption="workflow/report/table.rst",
        ),
        svg="results/figures/{scale}/{paper}/{table}.svg",
    log:
        "logs/figures/{scale}/{paper}/{table}.log",
    group:
        together("tables")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("draw_figure"),
    params:
        code=lambda w: plan.code("draw_figure.py", (f"tables/{w.paper}", w.table)),
        spec=lambda w: plan.table(f"{w.paper}/{w.table}"),
    message:
        "Drawing figure {wildcards.paper}/{wildcards.table}"
    script:
        "workflow/scripts/draw_figure.py"


rule weigh_claims:
    """Holds the papers' qualitative claims against what was measured, by intervals."""
    input:
        predictions=plan.claim_inputs("predictions"),
        answers=plan.claim_inputs("answers"),
        published="config/published.csv",
    output:
        table=report(
            "results/tables/{scale}/claims.csv",
            category="Claims of both papers",
            labels={"what": "data (CSV)"},
            caption="workflow/report/claims.rst",
        ),
        web=report(
            "results/tables/{scale}/claims.html",
            category="Claims of both papers",
            labels={"what": "claims"},
            caption="workflow/report/claims.rst",
        ),
        text="results/tables/{scale}/claims.md",
    log:
        "logs/tables/{scale}/claims.log",
    group:
        together("tables")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("weigh_claims"),
    params:
        code=plan.code("weigh_claims.py"),
        claims=plan.claims(),
        arms=plan.claim_arms(),
        resamples=plan.scale["resamples"],
    message:
        "Weighing the papers' claims"
    script:
        "workflow/scripts/weigh_claims.py"


rule collect_guards:
    """What the guards found: queries the victim had learnt or is tested on, chosen epochs, and trainings that failed."""
    input:
        reports=plan.all_leak_reports(),
        arms=plan.all_scores("copycats"),
        victims=plan.all_scores("victims"),
    output:
        table="results/tables/{scale}/guards.csv",
        web=report(
            "results/tables/{scale}/guards.html",
            category="Guards",
            labels={"what": "guards"},
            caption="workflow/report/guards.rst",
        ),
        text="results/tables/{scale}/guards.md",
    log:
        "logs/tables/{scale}/guards.log",
    group:
        together("tables")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("collect_guards"),
    params:
        code=plan.code("collect_guards.py"),
        tuned=[path for path in plan.arms if plan.selected_by(path) == "test"],
    message:
        "Collecting what the guards found"
    script:
        "workflow/scripts/collect_guards.py"


rule collect_arms:
    """Every arm in one table, a row each, and the headline numbers for `dvc metrics`."""
    input:
        arms=plan.all_scores("copycats"),
        victims=plan.all_scores("victims"),
    output:
        table=report(
            "results/tables/{scale}/arms.csv",
            category="All arms",
            labels={"what": "data (CSV)"},
            caption="workflow/report/arms.rst",
        ),
        metrics="results/tables/{scale}/metrics.json",
    log:
        "logs/tables/{scale}/arms.log",
    group:
        together("tables")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("collect_arms"),
    params:
        code=plan.code("collect_arms.py"),
        headline=plan.headline(),
        made={p: [plan.selected_by(p), arm.start] for p, arm in plan.arms.items()},
    message:
        "Collecting all arms"
    script:
        "workflow/scripts/collect_arms.py"


rule collect_costs:
    """Seconds, memory and hardware of every training; unlike the tables it differs from run to run."""
    input:
        records=list(plan.records().values()),
    output:
        table=report(
            "results/costs/{scale}.csv",
            category="Costs",
            labels={"what": "seconds and memory"},
            caption="workflow/report/costs.rst",
        ),
    log:
        "logs/costs/{scale}.log",
    group:
        together("tables")
    conda:
        "envs/cpu.yaml"
    resources:
        **asks("collect_costs"),
    params:
        code=plan.code("collect_costs.py"),
        names=list(plan.records()),
    message:
        "Collecting costs"
    script:
        "workflow/scripts/collect_costs.py"

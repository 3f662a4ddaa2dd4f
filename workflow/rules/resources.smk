"""What each rule's jobs ask of a scheduler: memory, run time and GPUs, none of them a parameter of any job."""

from plan import Job, load_resources

needs = loaded(load_resources, plan)


def job_of(rule, wildcards):
    return Job.of(rule, **dict(wildcards.items()))


def asks(rule):
    """Memory and run time, both doubled with every attempt, and a GPU where the scale may use one."""
    asked = {
        "mem_mb": lambda wildcards, attempt: needs.memory(
            job_of(rule, wildcards), attempt
        ),
        "runtime": lambda wildcards, attempt: needs.runtime(
            job_of(rule, wildcards), attempt
        ),
    }
    # A text, not a number: members of a group have it in common, so that a group has one GPU.
    return asked | ({"gres": "gpu:1"} if needs.on_gpu(rule) else {})


def together(name, rule=None):
    """The group of a rule's jobs; of trainings, by their rule, only of those small enough to share a GPU."""

    def group(wildcards):
        if workflow.remote_exec:
            # A job on the cluster is told its members, but not that they are one group: those that do not depend on
            # each other would run one after the other, in the time that was asked for to run them side by side.
            workflow.group_settings.group_components = {name: sys.maxsize}
        small = rule is None or needs.shares(job_of(rule, wildcards))
        return name if small else None

    return group

"""What has to be made, worked out from the configuration before anything runs.

The Snakefile asks this package which arms there are, what each is made from, and where it lies. It imports no
numerical library, so that a plan of thousands of arms stands in seconds.
"""

from plan import provenance
from plan.arms import Arm, Plan
from plan.config import ConfigError, load_plan
from plan.resources import Job, Resources, load_resources

__all__ = ["Arm", "ConfigError", "Job", "Plan", "Resources", "load_plan", "load_resources", "provenance"]

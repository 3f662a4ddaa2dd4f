"""Decodes one labelled split of a data set, for training and testing victims: images and labels as arrays."""

from typing import Any

from mimeo.console import job
from mimeo.errors import MimeoError
from mimeo.items import check_classes, load_items, rows_of, take
from mimeo.outside import data_folder
from mimeo.plugins import load
from mimeo.store import load_json, save_array


def main(dataset: str, split: str, spec: dict[str, Any], items: str, manifest: str, images: str, labels: str) -> None:
    """Writes uint8 images N x size x size x channels and int64 labels N."""
    columns = load_items(items)
    chosen, declared = take(columns, rows_of(dataset, columns, split)), load_json(manifest)
    check_classes(dataset, split, chosen["label"], declared["classes"])
    if len(chosen["name"]) != declared["splits"].get(split):
        raise MimeoError(f"{items}: {len(chosen['name'])} images of split {split!r}, its manifest says otherwise")
    pixels = load("datasets", spec["plugin"]).read(data_folder(), chosen, spec["size"], spec["channels"])
    expected = (len(chosen["name"]), spec["size"], spec["size"], spec["channels"])
    if pixels.shape != expected:
        raise MimeoError(f"{dataset}: decoded to shape {pixels.shape}, expected {expected}")
    save_array(images, pixels)
    save_array(labels, chosen["label"])


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main(
            snakemake.wildcards.dataset,
            snakemake.wildcards.split,
            snakemake.params.spec,
            snakemake.input.listing,
            snakemake.input.manifest,
            snakemake.output.images,
            snakemake.output.labels,
        )

"""Random changes to a batch of training images, drawn and applied on the device, all images at once."""

from mimeo.startup import torch


def augment(images: torch.Tensor, shift: int, flip: bool, generator: torch.Generator) -> torch.Tensor:
    """Moves every image by up to ``shift`` pixels each way (zeros move in) and mirrors half of them.

    Args:
        images: N x channels x height x width.
        generator: of the CPU; draws are made there, so that they are the same on every device.
    """
    if not shift and not flip:
        return images
    count, _, height, width = images.shape
    if shift:
        moves = torch.randint(-shift, shift + 1, (2, count), generator=generator).to(images.device)
        rows = torch.arange(height, device=images.device) + moves[0, :, None]
        columns = torch.arange(width, device=images.device) + moves[1, :, None]
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        place = torch.arange(count, device=images.device)[:, None, None]
        # Advanced indices around the slice bring N x height x width to the front: channels-last again.
        moved = images[place, :, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
        images = (moved * inside[..., None]).permute(0, 3, 1, 2)
    if flip:
        mirrored = torch.rand(count, generator=generator).to(images.device) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    return images

"""What a victim is: something that answers images with posteriors. A plug-in ``victims/{kind}.py`` holds one
function:

``answerer(weights, network, device, *, ...) -> (images -> posterior)``
    ``weights`` is the file that holds the model, ``network`` a function that builds the bare network; the
    function returned takes uint8 images N x height x width x channels and returns float32 posteriors N x classes.
    Keyword-only arguments are the kind's own parameters.
"""

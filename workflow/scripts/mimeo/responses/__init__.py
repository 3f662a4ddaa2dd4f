"""What a response is: the part of the victim's posterior that the attacker gets to see. A plug-in
``responses/{name}.py`` holds one function:

``respond(posterior, *, ...) -> posterior``
    from the victim's posterior, float32 N x classes, to what the API returns, of the same shape. The victim has
    been asked once; every response derives from its stored answers. Keyword-only arguments are the plug-in's own
    parameters.
"""

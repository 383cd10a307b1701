"""What a model computes on the way, by name: seen, and changed.

    with watch(model, "blocks.*.attention.pattern") as seen:
        model(tokens)
    seen["blocks.0.attention.pattern"]

    with edit(model, {"blocks.1.mlp": torch.zeros_like}):
        model(tokens)

A name is the path of a module, for what it returns, or that path and a variable of the
module's `forward`: whatever the source gives a name to can be seen under it, in a caller's own
class too. A model has no hooks; while it is neither watched nor edited nothing is changed.
"""

"""Pictures of what a run did and what a model computes."""

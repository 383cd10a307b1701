"""The learner's own code: found in their files, loaded, and given our weights."""

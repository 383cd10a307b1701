"""What a run computes on: device, precision, kernels, memory, and how many processes."""

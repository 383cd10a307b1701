"""What a run leaves on the disk: folder, checkpoints, model; and how they are read again."""

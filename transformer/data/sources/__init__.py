"""Where texts and tokens come from: files, named sets, and sources whose entropy is known."""

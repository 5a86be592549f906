"""What a step is, and how one is planned, made and checked. Nothing here knows a step by name."""
